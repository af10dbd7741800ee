"""Decides which addresses a webhook may call. A stranger chose the URL, so it must not reach our private network.

A URL is checked twice. When it is registered: its scheme, its spelling, and its address if it contains one. Before each
attempt: its host is resolved, and all of its addresses are checked. The call goes to one of these same addresses, so a
name that changes in between gains nothing.

Rejected are all blocks of IANA's special-purpose registries, everything else that is not public unicast, and the same
inside the IPv6 forms that lead to an IPv4 address. The guard cannot recognise a translator with a network's own prefix
(RFC 6052, section 2.2): keep such a prefix off these machines.
"""

import asyncio
import re
import socket
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from threading import Thread

from msgspec import Struct

from app.delivery.queues import Queues, TooManyWaitError

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
Resolver = Callable[[str, int], Awaitable[Sequence[str]]]
"""Returns every address of a host (and port), as text. Raises OSError or UnicodeError if there is none."""

MAX_URL_CHARACTERS = 2048
MAX_LOOKUPS = 32
"""The maximum of names that a process looks up at once."""

MAX_LOOKUPS_EACH = 8
MAX_LOOKUPS_WAITING = 64
"""The maximum of names of one workspace that are looked up at once, and that wait."""

_SPECIAL_V4 = (
    # IANA IPv4 Special-Purpose Address Registry
    ("0.0.0.0/8", "this network, RFC 791"),
    ("10.0.0.0/8", "private use, RFC 1918"),
    ("100.64.0.0/10", "shared address space, RFC 6598"),
    ("127.0.0.0/8", "loopback, RFC 1122"),
    ("169.254.0.0/16", "link local, RFC 3927"),
    ("172.16.0.0/12", "private use, RFC 1918"),
    ("192.0.0.0/24", "protocol assignments, RFC 6890"),
    ("192.0.2.0/24", "documentation, RFC 5737"),
    ("192.31.196.0/24", "AS112, RFC 7535"),
    ("192.52.193.0/24", "multicast tunnels, RFC 7450"),
    ("192.88.99.0/24", "6to4 relays, RFC 7526"),
    ("192.168.0.0/16", "private use, RFC 1918"),
    ("192.175.48.0/24", "AS112, RFC 7534"),
    ("198.18.0.0/15", "benchmarking, RFC 2544"),
    ("198.51.100.0/24", "documentation, RFC 5737"),
    ("203.0.113.0/24", "documentation, RFC 5737"),
    ("240.0.0.0/4", "reserved, RFC 1112"),
    ("255.255.255.255/32", "broadcast, RFC 919"),
    # IANA IPv4 Multicast Address Space Registry
    ("224.0.0.0/4", "multicast, RFC 5771"),
)
_SPECIAL_V6 = (
    # IANA IPv6 Special-Purpose Address Registry
    ("::1/128", "loopback, RFC 4291"),
    ("::/128", "unspecified, RFC 4291"),
    ("64:ff9b:1::/48", "local translation to IPv4, RFC 8215"),
    ("100::/64", "discard only, RFC 6666"),
    ("100:0:0:1::/64", "dummy prefix, RFC 9780"),
    ("2001::/23", "protocol assignments, Teredo among them, RFC 2928"),
    ("2001:db8::/32", "documentation, RFC 3849"),
    ("2002::/16", "6to4, RFC 3056"),
    ("2620:4f:8000::/48", "AS112, RFC 7534"),
    ("3fff::/20", "documentation, RFC 9637"),
    ("5f00::/16", "segment routing, RFC 9602"),
    ("fc00::/7", "unique local, RFC 4193"),
    ("fe80::/10", "link local, RFC 4291"),
    # IANA IPv6 Address Space Registry
    ("fec0::/10", "site local, RFC 3879"),
    ("ff00::/8", "multicast, RFC 4291"),
)
_SPECIAL: dict[int, tuple[tuple[Network, str], ...]] = {
    4: tuple((IPv4Network(block), kind) for block, kind in _SPECIAL_V4),
    6: tuple((IPv6Network(block), kind) for block, kind in _SPECIAL_V6),
}
_UNICAST = IPv6Network("2000::/3")
"""The IPv6 addresses that are assigned for public unicast (IANA IPv6 Address Space Registry)."""
_NAT64 = IPv6Network("64:ff9b::/96")
"""The addresses that a DNS64 resolver returns for hosts with IPv4 only (RFC 6052, section 2.1)."""
_LOOPBACKS = (IPv4Address("127.0.0.1"), IPv6Address("::1"))

_URL = re.compile(
    r"(?P<scheme>[a-z][a-z0-9+.-]*)://(?P<authority>[^/?#]*)(?P<path>[^?#]*)(?P<query>\?[^#]*)?(?P<fragment>#.*)?",
    re.IGNORECASE,
)
_CHARACTERS = re.compile(r"(?:[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=-]|%[0-9A-Fa-f]{2})*")
_AUTHORITY = re.compile(r"(?P<host>\[[^\]]*\]|[^:\[\]]*)(?::(?P<port>[1-9][0-9]{0,4}))?")
_NAME = re.compile(
    r"(?=.{1,253}\Z)(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
)
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")


class TargetRefused(ValueError):
    """A URL that must not be called. The message continues a sentence that names it: `must begin with https://`.

    It quotes only the caller's own words, never what a name resolves to.
    """


class Unresolved(Exception):
    """The host of a URL has no address at the moment. The message is one sentence."""


class Target(Struct, frozen=True):
    """The parts of a URL, as they are sent."""

    secure: bool
    host: str
    """The host in lower case; an IPv6 address without brackets. The certificate must be for it."""
    port: int
    authority: str
    """The value of `Host`."""
    path: str
    """The path with the query, never empty (RFC 9112, section 3.2.1)."""
    address: Address | None
    """The address, if the URL contains one instead of a name."""


class SystemResolver:
    """Asks the operating system, at most 32 times at once.

    It uses its own threads. So a stranger's name server that never answers delays neither other lookups of the process
    (the event loop has few threads) nor its exit.
    """

    def __init__(self, max_lookups: int = MAX_LOOKUPS) -> None:
        self._free = asyncio.Semaphore(max_lookups)

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        """Every address of `host`, in the order to try them (RFC 6724). Raises OSError, UnicodeError."""
        await self._free.acquire()
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Sequence[str]] = loop.create_future()

        def settle(found: Sequence[str] | OSError | UnicodeError) -> None:
            self._free.release()
            if answer.done():  # the caller has given up
                return
            if isinstance(found, OSError | UnicodeError):
                answer.set_exception(found)
            else:
                answer.set_result(found)

        def look_up() -> None:
            found: Sequence[str] | OSError | UnicodeError
            try:
                listed = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
                found = [str(sockaddr[0]) for *_, sockaddr in listed]
            except (OSError, UnicodeError) as error:
                found = error
            with suppress(RuntimeError):  # the loop has ended meanwhile
                loop.call_soon_threadsafe(settle, found)

        try:
            Thread(target=look_up, name="webhook-lookup", daemon=True).start()
        except RuntimeError:
            self._free.release()
            raise OSError("no thread can be started") from None
        return await answer


class Guard:
    """Checks URLs and addresses against the settings. For any number of tasks of one event loop."""

    def __init__(
        self, *, allow_http: bool = False, allow_networks: Sequence[Network] = (), resolve: Resolver | None = None
    ) -> None:
        """`allow_networks` permits addresses that would be rejected.

        An IPv4 address written as IPv6 (`::ffff:…`) counts as the IPv4 address. One behind a translator does not.
        """
        self._allow_http = allow_http
        self._allowed = tuple(allow_networks)
        self._resolve = resolve or SystemResolver()
        self._queues = Queues(at_once=MAX_LOOKUPS_EACH, waiting=MAX_LOOKUPS_WAITING)
        self._lookups: dict[tuple[str, int], asyncio.Task[Sequence[str]]] = {}

    def target(self, url: str) -> Target:
        """The target of `url`: http or https (RFC 9110, section 4.2) in RFC 3986 syntax, at most 2,048 characters.

        Raises TargetRefused for any other URL, a user name, a fragment, an address in unusual spelling, or one that
        must not be called. Resolves no names.
        """
        if len(url) > MAX_URL_CHARACTERS:
            raise TargetRefused(f"must be at most {MAX_URL_CHARACTERS:,} characters")
        if _CHARACTERS.fullmatch(url) is None:
            raise TargetRefused(
                "must be plain ASCII: percent-encode other characters, and write an international host name as xn--"
            )
        parts = _URL.fullmatch(url)
        scheme = parts["scheme"].lower() if parts is not None else ""
        if parts is None or not (scheme == "https" or (scheme == "http" and self._allow_http)):
            raise TargetRefused(f"must begin with https://{' or http://' if self._allow_http else ''}")
        if "@" in parts["authority"]:
            raise TargetRefused("must not have a user name or password; the signature authenticates the server")
        if parts["fragment"] is not None:
            raise TargetRefused("must not have a fragment (#), which is never sent")
        authority = _AUTHORITY.fullmatch(parts["authority"])
        if authority is None or int(authority["port"] or 1) > 65535:
            raise TargetRefused("must have a host and, if there is a colon after it, a port from 1 to 65535")
        host, address = self._host(authority["host"].lower())
        default = 443 if scheme == "https" else 80
        port = int(authority["port"] or default)
        shown = f"[{host}]" if ":" in host else host
        return Target(
            secure=scheme == "https",
            host=host,
            port=port,
            authority=shown if port == default else f"{shown}:{port}",
            path=(parts["path"] or "/") + (parts["query"] or ""),
            address=address,
        )

    async def addresses(self, target: Target, party: str = "") -> tuple[Address, ...]:
        """The current addresses of `target` in the order to try them. There is at least one, and each may be called.

        `party` is the workspace on whose behalf a name is looked up; slow name servers delay only that workspace.
        Raises TargetRefused if any address must not be called, Unresolved. Call it before every attempt, because names
        change.
        """
        if target.address is not None:
            texts: Sequence[str] = [str(target.address)]
        else:
            try:
                texts = await self._looked_up(target, party)
            except (OSError, UnicodeError, TooManyWaitError):
                texts = []
        if not texts:
            raise Unresolved("The name of the host could not be resolved")
        found = []
        for text in texts:
            address = _address(text)
            if address is None or self.refusal(address) is not None:
                raise TargetRefused("must not lead to an address that is not public, as its host now does")
            found.append(_unmapped(address))
        return tuple(dict.fromkeys(found))

    async def _looked_up(self, target: Target, party: str) -> Sequence[str]:
        """The current addresses of a name. Callers that ask during a lookup share its answer."""
        key = target.host, target.port
        lookup = self._lookups.get(key)
        if lookup is None:
            lookup = self._lookups[key] = asyncio.create_task(self._look_up(target, party))
            lookup.add_done_callback(lambda ended: ended.cancelled() or ended.exception())  # the caller may have gone
        # The system's lookup cannot be stopped: a caller that gives up leaves it running, and its turn occupied.
        return await asyncio.shield(lookup)

    async def _look_up(self, target: Target, party: str) -> Sequence[str]:
        try:
            async with self._queues.of(party):
                return await self._resolve(target.host, target.port)
        finally:
            del self._lookups[target.host, target.port]

    def refusal(self, address: Address) -> str | None:
        """The reason why `address` must not be called (`loopback, RFC 1122`), or None if it may be called."""
        address = _unmapped(address)
        if any(address in network for network in self._allowed):
            return None
        return special(address)

    def _host(self, host: str) -> tuple[str, Address | None]:
        """`host` in the spelling that is called, and its address if it is one."""
        if host.startswith("["):
            address = _address(host[1:-1]) if ":" in host else None
            if address is None:
                raise TargetRefused("must have an IPv6 address without a zone between its brackets")
        elif _NAME.fullmatch(host) is None:
            raise TargetRefused("must have a host: letters, digits, hyphens and single dots, with no dot at the end")
        elif _NUMBER.fullmatch(host.rpartition(".")[2]):
            # No top-level domain is a number (RFC 3696, section 2), and resolvers accept 0x7f.1 or 017700000001 for
            # 127.0.0.1.
            # So a host that ends in a number must be four decimal numbers.
            address = _address(host)
            if address is None:
                raise TargetRefused("must have an IPv4 address as four decimal numbers without leading zeros")
        else:
            if (host == "localhost" or host.endswith(".localhost")) and all(self.refusal(at) for at in _LOOPBACKS):
                raise TargetRefused(f"must not lead to {host} (loopback, RFC 6761)")
            return host, None
        refusal = self.refusal(address)
        if refusal is not None:
            raise TargetRefused(f"must not lead to {address} ({refusal})")
        return str(address), address


def special(address: Address) -> str | None:
    """The reservation of `address` (`private use, RFC 1918`), or None if it is public unicast.

    IPv4-mapped and NAT64 addresses count as the IPv4 address inside. 6to4 and Teredo are always rejected, because
    nothing public is reached through them today.
    """
    address = _unmapped(address)
    if isinstance(address, IPv6Address) and address in _NAT64:
        kind = special(IPv4Address(int(address) & 0xFFFFFFFF))
        return None if kind is None else f"NAT64 of {kind}"
    for network, kind in _SPECIAL[address.version]:
        if address in network:
            return kind
    if isinstance(address, IPv6Address) and address not in _UNICAST:
        return "outside of what is assigned, RFC 4291"
    return None


def _unmapped(address: Address) -> Address:
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address


def _address(text: str) -> Address | None:
    """The address in `text`, in a standard spelling without a zone, or None."""
    if "%" in text:
        return None
    try:
        return ip_address(text)
    except ValueError:
        return None
