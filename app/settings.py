"""The settings from the environment, read once at start. Each name is `SYNAP_` and the field's name in capitals."""

import os
import re
from collections.abc import Mapping, Sequence
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Literal, get_args, get_origin
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct

PREFIX = "SYNAP_"

MAX_WAIT_SECONDS = 31_536_000
MAX_TIMEOUT_SECONDS = 300

MAX_CALLS = 10_000
"""The maximum of calls in a batch. All of them run at once."""

MIN_CONNECTIONS, MAX_CONNECTIONS = 4, 1000
"""The limits of a process's database connections. Two are for notices, and no call should wait for another one."""

MAX_GRACE_DAYS = 3650

MAX_RATE = 1_000_000_000
"""The maximum of calls per minute: far beyond any use, and within what the database can count."""


_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
"""The name of a header (RFC 9110, section 5.1)."""

_ORIGIN = re.compile(r"[!-*,-~]{1,200}")
"""A key name of a C2SP signed note, in ASCII."""


class SettingsError(Exception):
    """A setting cannot be used. The message is one sentence for the operator."""


class Settings(Struct, frozen=True, kw_only=True):
    """Every setting with its default."""

    host: str = "127.0.0.1"
    """Address of the main listener. Any address but loopback exposes the log to the network."""
    port: int = 8000
    """Port of the main listener. Exit code 2 if it is in use."""
    ledger_port: int = 7777
    """Port of a second listener, only for the ledger, at `/v1`. Exit code 2 if it is in use. 0 turns it off."""
    data_dir: Path = Path("data")
    """Directory of the embedded database, `node.key`, `install.secret` and `control.token`. One server holds it."""
    node_key_file: Path | None = None
    """The Ed25519 signing key; default `node.key` in the data directory. All machines of one database share it."""
    secret_file: Path | None = None
    """32 random bytes that authenticate cursors and seal webhook secrets; default `install.secret` there."""
    origin: str | None = None
    """First part of a checkpoint's origin; default the node id without `did:key:`. The first start fixes it."""
    database_url: str | None = None
    """A libpq URL of PostgreSQL 15 or later. Default: the embedded database."""
    database_connections: int = 10
    """Maximum of database connections of each server process, two of them for notices between processes."""
    workers: int = 1
    """Server processes of the main listener."""
    cors_origins: tuple[str, ...] = ()
    """Origins whose pages may call, separated by commas."""
    public_logs: tuple[str, ...] = ()
    """Logs whose checkpoints and tiles anyone may read without a key, separated by commas. Tiles have no bodies."""
    witness_policy: Path | None = None
    """The tlog-policy file of the log `_node`: its keys, its witnesses, their quorum. Default: no witnesses."""
    witness_fail: Literal["open", "closed"] = "open"
    """Whether appends go on (`open`) or stop (`closed`) while a witness says that `_node` has another history."""
    witness_grace_days: float = 30
    """For how many days after a change of keys the old key signs the checkpoints of `_node` too."""
    cors_headers: tuple[str, ...] = ()
    """Request headers that these pages may also send, separated by commas; `*` allows every header."""
    transformer: Literal["none", "superjson"] = "none"
    """The transformer of the tRPC door. Clients must use the same."""
    sse_ping_seconds: float = 15
    """An event stream is pinged after this long without another message. Must be less than `sse_reconnect_seconds`."""
    sse_reconnect_seconds: float = 45
    """After this long without a message a client opens its stream again."""
    max_event_bytes: int = 1048576
    """Maximum of one event as sent; a larger one is 413."""
    max_body_bytes: int = 8388608
    """Maximum of one request; a larger one is 413."""
    max_batch_calls: int = 100
    """Maximum of calls in a tRPC batch; more is 400."""
    rate_publish: int = 1000
    """Publishes per minute and workspace at the publish door, on all machines together; more is 429. 0: no limit."""
    rate_query: int = 300
    """Queries per minute and workspace at the publish door, on all machines together; more is 429. 0: no limit."""
    max_streams: int = 500
    """Open event streams, sockets and their subscriptions per key and process; more is 429. 0: no limit."""
    search_seconds: float = 60
    """Seconds of searching per minute, workspace and process; more is 429. 0: no limit."""
    rate_read: int = 0
    """Queries, new streams and exports per minute, key and process, at every door; more is 429. 0: no limit."""
    rate_write: int = 0
    """Mutations per minute, key and process, at every door; more is 429. 0: no limit."""
    max_subscriptions: int = 10
    """Active webhook subscriptions of a workspace; more is 429. 0: no limit."""
    webhook_allow_http: bool = False
    """Whether webhook targets may be plain http, which anyone between can read."""
    webhook_allow_networks: tuple[str, ...] = ()
    """Private or special networks that webhooks may call, as CIDRs separated by commas."""
    webhook_schedule: tuple[float, ...] = (0, 5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400)
    """Seconds before each attempt of a delivery, separated by commas. After the last attempt it has failed."""
    webhook_timeout_seconds: float = 15
    """Time for one attempt as a whole."""
    console: bool = True
    """Whether the main listener serves the console, at `/console`."""
    log_calls: bool = False
    """Whether every call is logged, not only failed and slow ones."""
    extensions: tuple[str, ...] = ()
    """Modules that register metadata kinds, event data and procedures, separated by commas."""

    @property
    def url(self) -> str:
        """The URL of the main listener."""
        return f"http://{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"

    @property
    def browser_url(self) -> str:
        """The URL of the main listener for a browser on this machine: none opens an address that stands for all."""
        return self.url.replace("//0.0.0.0:", "//127.0.0.1:").replace("//[::]:", "//[::1]:")

    @property
    def node_key_path(self) -> Path:
        """The path of the signing key."""
        return self.node_key_file or self.data_dir / "node.key"

    @property
    def secret_path(self) -> Path:
        """The path of the install secret."""
        return self.secret_file or self.data_dir / "install.secret"

    @property
    def control_token_path(self) -> Path:
        """The path of the control token, which the first start writes."""
        return self.data_dir / "control.token"

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "Settings":
        """The settings in `environment`. Raises SettingsError, which names the variable but not its value."""
        values: dict[str, object] = {}
        for field in msgspec.structs.fields(cls):
            variable = PREFIX + field.name.upper()
            text = environment.get(variable, "").strip()
            if not text:
                continue
            value: object = text
            if get_origin(field.type) is tuple:
                value = tuple(part.strip() for part in text.split(",") if part.strip())
            try:
                values[field.name] = msgspec.convert(
                    value, field.type, strict=False, dec_hook=lambda kind, raw: kind(raw)
                )
            except (msgspec.ValidationError, ValueError):
                raise SettingsError(f"{variable} must be {_described(field.type)}.") from None
        settings = cls(**values)  # type: ignore[arg-type] # each value was converted to its field's type
        settings._check()
        settings._check_database()
        settings._check_listeners()
        settings._check_webhooks()
        return settings

    def _check(self) -> None:
        for name in ("workers", "max_event_bytes", "max_body_bytes"):
            if getattr(self, name) < 1:
                raise SettingsError(f"{PREFIX}{name.upper()} must be 1 or more.")
        if not 1 <= self.max_batch_calls <= MAX_CALLS:
            raise SettingsError(f"{PREFIX}MAX_BATCH_CALLS must be from 1 to {MAX_CALLS}.")
        for name in (
            "rate_publish",
            "rate_query",
            "rate_read",
            "rate_write",
            "search_seconds",
            "max_streams",
            "max_subscriptions",
        ):
            if not 0 <= getattr(self, name) <= MAX_RATE:
                raise SettingsError(f"{PREFIX}{name.upper()} must be from 0 to {MAX_RATE}.")
        if not 0 <= self.witness_grace_days <= MAX_GRACE_DAYS:
            raise SettingsError(f"{PREFIX}WITNESS_GRACE_DAYS must be from 0 to {MAX_GRACE_DAYS}.")
        if not 0 < self.sse_ping_seconds < float("inf"):
            raise SettingsError(f"{PREFIX}SSE_PING_SECONDS must be more than 0.")
        if not self.sse_ping_seconds < self.sse_reconnect_seconds < float("inf"):
            raise SettingsError(f"{PREFIX}SSE_RECONNECT_SECONDS must be more than {PREFIX}SSE_PING_SECONDS.")
        if not all(name == "*" or _HEADER.fullmatch(name) for name in self.cors_headers):
            raise SettingsError(
                f"{PREFIX}CORS_HEADERS must be names of headers, separated by commas, such as x-b3-traceid."
            )

    def _check_database(self) -> None:
        if self.database_url is not None and not _is_database_url(self.database_url):
            raise SettingsError(f"{PREFIX}DATABASE_URL must be a URL that begins with postgresql://.")
        if not MIN_CONNECTIONS <= self.database_connections <= MAX_CONNECTIONS:
            raise SettingsError(f"{PREFIX}DATABASE_CONNECTIONS must be from {MIN_CONNECTIONS} to {MAX_CONNECTIONS}.")

    def _check_listeners(self) -> None:
        if not 0 < self.port < 65536:
            raise SettingsError(f"{PREFIX}PORT must be from 1 to 65535.")
        if not 0 <= self.ledger_port < 65536 or self.ledger_port == self.port:
            raise SettingsError(f"{PREFIX}LEDGER_PORT must be from 1 to 65535 and not {PREFIX}PORT, or 0 for none.")
        if self.origin is not None and not _ORIGIN.fullmatch(self.origin):
            raise SettingsError(
                f"{PREFIX}ORIGIN must have 1 to 200 printable characters, without spaces or plus signs, such as "
                "events.example.org."
            )

    def _check_webhooks(self) -> None:
        if not self.webhook_schedule or not all(0 <= seconds <= MAX_WAIT_SECONDS for seconds in self.webhook_schedule):
            raise SettingsError(
                f"{PREFIX}WEBHOOK_SCHEDULE must be numbers from 0 to {MAX_WAIT_SECONDS}, separated by commas."
            )
        if not 0 < self.webhook_timeout_seconds <= MAX_TIMEOUT_SECONDS:
            raise SettingsError(
                f"{PREFIX}WEBHOOK_TIMEOUT_SECONDS must be more than 0, and at most {MAX_TIMEOUT_SECONDS}."
            )
        try:
            networks(self.webhook_allow_networks)
        except ValueError:
            raise SettingsError(
                f"{PREFIX}WEBHOOK_ALLOW_NETWORKS must be networks such as 10.1.0.0/16, separated by commas; each "
                "address must be the first one of its network."
            ) from None


def _is_database_url(text: str) -> bool:
    try:
        return urlsplit(text).scheme in {"postgresql", "postgres"}
    except ValueError:
        return False


def _described(kind: object) -> str:
    """What a setting of this type must be. The message omits the value, which may be a secret in the wrong place."""
    if get_origin(kind) is Literal:
        return f"one of: {', '.join(get_args(kind))}"
    if kind == tuple[float, ...]:
        return "numbers, separated by commas"
    return {int: "a whole number", float: "a number", bool: "true or false"}.get(kind, "valid text")  # type: ignore[call-overload,no-any-return]


def networks(texts: Sequence[str]) -> tuple[IPv4Network | IPv6Network, ...]:
    """The networks in `texts`: CIDRs (`10.1.0.0/16`) or addresses, without zones. Raises ValueError."""
    if any("%" in text for text in texts):
        raise ValueError("a network must have no zone")
    return tuple(map(ip_network, texts))
