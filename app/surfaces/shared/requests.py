"""How every door reads the head of a request: headers, the token, the request id."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar
from urllib.parse import urlsplit

import uuid_utils
from litestar.types import HTTPScope, WebSocketScope

from schemas.errors import InvalidInput, Issue
from schemas.principal import holds_token
from schemas.tracecontext import trace_id_of

SINGLE = {
    name.lower().encode(): name
    for name in (
        "Authorization",
        "Content-Length",
        "Content-Type",
        "Host",
        "Idempotency-Key",
        "Last-Event-ID",
        "MCP-Protocol-Version",
        "Origin",
        "Transfer-Encoding",
        "Trpc-Accept",
        "X-Workspace-Id",
    )
}
"""Headers with a single value, so that two of them contradict each other. All others are lists (RFC 9110, 5.3)."""

ATTRIBUTE_PREFIX = b"ce-"
"""The prefix of headers that are attributes of a CloudEvent. Each has a single value."""

Name = TypeVar("Name", str, bytes)

_REQUEST_ID = re.compile(r"[A-Za-z0-9._:/+=-]{1,128}")
_LENGTH = re.compile(rb"[0-9]{1,18}")
_ADDRESS = re.compile(r"https?://([A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(:[0-9]{1,5})?")
_HOST = re.compile(rb"[0-9A-Za-z!$&'()*+,;=\-._~:\[\]@%]*")


def header_map(scope: HTTPScope | WebSocketScope) -> dict[bytes, bytes]:
    """The headers by lower-case name. Repeated headers are joined by commas (RFC 9110, 5.3)."""
    headers: dict[bytes, bytes] = {}
    for name, value in scope["headers"]:
        headers[name] = value if name not in headers else b"%b, %b" % (headers[name], value)
    return headers


def refuse_malformed(scope: HTTPScope | WebSocketScope, headers: Mapping[bytes, bytes]) -> None:
    """Reject a head that contradicts itself or leaves the end of its body uncertain. Raises InvalidInput.

    Every door calls this first, before it looks for the caller. `headers` are those of `scope`, by name.
    """
    sent = list(scope["headers"])
    if len(headers) < len(sent):
        for name in repeated(name for name, _ in sent):
            if name in SINGLE or name.startswith(ATTRIBUTE_PREFIX):
                shown = SINGLE.get(name) or name.decode("latin-1")[:128]
                raise InvalidInput([Issue(shown, "is given more than once; send it once")])
    if not _HOST.fullmatch(headers.get(b"host", b"")):
        raise InvalidInput([Issue("Host", "must be a host, and a port if it has one (RFC 9110, section 7.2)")])
    if not _LENGTH.fullmatch(headers.get(b"content-length", b"0")):
        raise InvalidInput([Issue("Content-Length", "must be a number of 1 to 18 digits")])
    if headers.get(b"transfer-encoding", b"chunked").strip().lower() != b"chunked":
        raise InvalidInput([Issue("Transfer-Encoding", "must be chunked; name a compression in Content-Encoding")])


def declared_length(headers: Mapping[bytes, bytes]) -> int | None:
    """How long the body of a request is, as its head says; None if it does not say so, or not properly."""
    length = headers.get(b"content-length")
    if length is None or b"transfer-encoding" in headers or not _LENGTH.fullmatch(length):
        return None
    return int(length)


def single(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """The parameters of a query by name. Raises InvalidInput, with its name, for one that appears more than once."""
    listed = list(pairs)
    parameters = dict(listed)
    if len(parameters) < len(listed):
        name = repeated(name for name, _ in listed)[0]
        raise InvalidInput([Issue(name[:128], "is given more than once; send it once")])
    return parameters


def repeated(names: Iterable[Name]) -> list[Name]:
    """The names that appear more than once, in order."""
    seen: set[Name] = set()
    found: dict[Name, None] = {}
    for name in names:
        if name in seen:
            found[name] = None
        seen.add(name)
    return list(found)


def is_welcome(headers: Mapping[bytes, bytes], origins: Sequence[str]) -> bool:
    """Whether the page of a socket may open it; browsers do not check that. `*` in `origins` allows every page."""
    origin = headers.get(b"origin")
    if origin is None or "*" in origins or origin.decode("latin-1") in origins:
        return True
    try:
        return urlsplit(origin).netloc == headers.get(b"host")
    except ValueError:  # it is not a URL
        return False


def asked_address(scheme: str, headers: Mapping[str, str]) -> str:
    """The address that was asked, as the proxies before this server saw it; empty if that is no address."""
    scheme = headers.get("x-forwarded-proto", "").partition(",")[0].strip() or scheme
    host = headers.get("x-forwarded-host", headers.get("host", ""))
    address = f"{scheme}://{host.partition(',')[0].strip()}"
    return address if _ADDRESS.fullmatch(address) else ""


LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
"""Names of this machine that do not depend on a DNS server."""


def is_loopback(host: str) -> bool:
    """Whether a host, with or without a port, is a name of this machine."""
    try:
        return urlsplit(f"//{host}").hostname in LOOPBACK
    except ValueError:
        return False


def bearer_token(headers: Mapping[bytes, bytes]) -> str | None:
    """The token of `Authorization: Bearer`, or None."""
    scheme, _, token = headers.get(b"authorization", b"").partition(b" ")
    return token.strip().decode("latin-1") if scheme.lower() == b"bearer" else None


def token_of(headers: Mapping[bytes, bytes], parameters: Mapping[str, str]) -> str | None:
    """The token of `Authorization: Bearer`, or else of the parameter `token`, for clients that cannot set headers."""
    return bearer_token(headers) or parameters.get("token")


def request_id_of(headers: Mapping[bytes, bytes]) -> str:
    """The caller's `x-request-id` if it is harmless text of at most 128 characters, otherwise a new id.

    The id is logged, so a token in it is not harmless.
    """
    given = headers.get(b"x-request-id", b"").decode("latin-1")
    return given if _REQUEST_ID.fullmatch(given) and not holds_token(given) else str(uuid_utils.uuid7())


def traceparent_of(headers: Mapping[bytes, bytes]) -> str | None:
    """The request's `traceparent`; None if it is absent or not valid W3C Trace Context."""
    given = headers.get(b"traceparent")
    if given is None:
        return None
    text = given.decode("latin-1").strip()
    return text if trace_id_of(text) else None
