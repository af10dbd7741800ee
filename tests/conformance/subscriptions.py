"""The subscriptions by server-sent events that our door and the official server must answer alike, as data.

Each is one raw request, as in `requests.py`. All expect `STREAMED` in the log, and no other event of its types.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import TypedDict, Unpack
from urllib.parse import quote
from uuid import NAMESPACE_URL, uuid5

from tests.conformance.refusals import WRONG_TRANSFORMER, Refusal, repeated
from tests.conformance.requests import (
    FORM,
    KINDS,
    MALFORMED,
    MAX_BODY_BYTES,
    UNDEFINED,
    UNKNOWN,
    Headers,
    Request,
    Token,
    indexed,
    jsonl,
    query,
    text,
    type_json,
    wrapped,
)

FIRST, SECOND, THIRD, FOURTH = (f"0b6f3c1e-7d55-4f0a-9a3e-2f4b8f1f01{place:02}" for place in range(4))
STREAMED: list[dict[str, object]] = [
    {"id": FIRST, "type": "stream.first", "data": {"n": 0}, "subjectId": "s", "source": "sync"},
    {"id": SECOND, "type": "stream.second", "data": {"n": 1}, "metadata": {"custom": {"k": 1}}, "correlationId": "c"},
    {"id": THIRD, "type": "stream.third.deep", "data": {"n": 2}, "occurredAt": "2024-12-09T01:00:00.5Z"},
    {"id": FOURTH, "type": "stream.fourth", "data": {"text": "é😀\n"}, "causationId": "w", "producer": "p"},
]
"""The backlog of the streams in these tests."""

LIVE_TYPE = "live.logged"


@dataclass(frozen=True, kw_only=True)
class Subscription(Request):
    """One subscription. It is read up to the end of the stream, or to the marker after the backlog.

    With `live`, an event is logged as soon as the stream is connected, and the stream is read up to it. With `resumes`,
    two events are logged before, and the subscription resumes after the first.
    """

    live: bool = False
    resumes: bool = False

    @property
    def before(self) -> list[dict[str, object]]:
        """The events that are logged before; they are equal at every server."""
        return [draft(place_of(self.id)), draft(f"{self.id}, missed")] if self.resumes else []

    @property
    def meanwhile(self) -> dict[str, object]:
        """The event that is logged while the stream is open."""
        return draft(f"{self.id}, meanwhile")


class More(TypedDict, total=False):
    """The rarer fields of a subscription."""

    method: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    token: Token
    live: bool
    resumes: bool
    or_status: frozenset[int]
    refused: Refusal | None


def fresh_id(name: str) -> str:
    """The id of an event of one test."""
    return str(uuid5(NAMESPACE_URL, name))


def draft(name: str) -> dict[str, object]:
    """An event of one test."""
    return {"id": fresh_id(name), "type": LIVE_TYPE, "data": {"name": name}}


def place_of(name: str) -> str:
    """The name of the event after which the subscription of this name resumes."""
    return f"{name}, place"


def subscribe(name: str, target: str = "/events.stream", **more: Unpack[More]) -> Subscription:
    """A subscription by the target after the mount."""
    return Subscription(id=name, target=target, **more)


def backlog(**fields: object) -> dict[str, object]:
    """An input that asks for the backlog and the marker after it."""
    return {"type": "stream.*", "start": "beginning", "markers": True, **fields}


def asking(name: str, value: object, *parameters: str, **more: Unpack[More]) -> Subscription:
    """A subscription with an input, and maybe other parameters."""
    return subscribe(name, "/events.stream?" + "&".join([f"input={query(value)}", *parameters]), **more)


def resuming(name: str, *inputs: object, header: bool = True) -> Subscription:
    """A subscription that resumes, by header or input, after an event that was logged just before."""
    place = fresh_id(place_of(name))
    headers = (("last-event-id", place),) if header else ()
    target = "/events.stream" + "".join(f"?input={query(value)}" for value in inputs)
    return subscribe(name, target, headers=headers, live=True, resumes=True)


def posting(
    name: str, content: object, types: Headers = (type_json,), *, live: bool = False, token: Token = "good"
) -> Subscription:
    """A subscription by POST; a body that is not bytes is sent as JSON."""
    body = content if isinstance(content, bytes) else text(content).encode()
    return subscribe(name, method="POST", headers=tuple(types), body=body, live=live, token=token)


BACKLOG = query(backlog())


def backlogs() -> Iterator[Subscription]:
    """Subscriptions to the backlog."""
    filters: dict[str, Mapping[str, object]] = {
        "everything": {},
        "type": {"type": "stream.first"},
        "type-one-segment": {"type": "stream.third.*"},
        "type-nothing": {"type": "stream.never"},
        "source": {"source": "sync"},
        "with-metadata": {"hasMetadata": True},
        "without-metadata": {"hasMetadata": False},
        "subject": {"subjectId": "s"},
        "correlation": {"correlationId": "c"},
        "cause": {"causationId": "w"},
        "user-nobody": {"userId": "nobody"},
        "from-long-ago": {"from": "2024-01-01T00:00:00Z"},
        "to-long-ago": {"to": "2024-01-01T00:00:00.123+02:00"},
        "several": {"type": "stream.*", "source": "api", "hasMetadata": True},
        "null-fields": {"source": None, "subjectId": None, "from": None, "lastEventId": None},
        "from-the-first": {"start": FIRST},
        "from-the-last": {"start": FOURTH},
        "from-now": {"start": "now"},
        "from-null": {"start": None},
    }
    for name, fields in filters.items():
        yield asking(f"backlog-{name}", backlog(**fields))
    yield resuming("backlog-then-live", {"start": fresh_id(place_of("backlog-then-live"))}, header=False)
    yield resuming(
        "backlog-then-live-then-marker-off",
        {"lastEventId": fresh_id(place_of("backlog-then-live-then-marker-off")), "markers": False},
        header=False,
    )
    yield asking("live-markers-off", {"type": "live.*", "markers": False}, live=True)
    yield asking("live-markers-null", {"type": "live.*", "markers": None}, live=True)
    yield asking("live-null-fields", {"start": None, "lastEventId": None}, live=True)
    yield asking("live-empty-object", {}, live=True)
    yield subscribe("live-no-input", live=True)
    yield subscribe("live-empty-input", "/events.stream?input=", live=True)


def inputs() -> Iterator[Subscription]:
    """Inputs that are rejected by an event of the stream."""
    fields: dict[str, Sequence[object]] = {
        "start": (1, "", True, [FIRST], {}, "x" * 513),
        "lastEventId": (1, "", True, [FIRST], {}, "x" * 513),
        "markers": ("true", 1, 0, [], {}),
        "type": ("", 1, ["a.b"]),
        "source": ("alien", 1),
        "hasMetadata": ("true", 1),
        "subjectId": ("", 1, {}),
        "from": ("yesterday", {}, 1),
        "limit": (1,),
        "cursor": (None, "x"),
    }
    for field, values in fields.items():
        for place, value in enumerate(values):
            yield asking(f"invalid-{field}-{place}", backlog(**{field: value}))
    for name, value in KINDS.items():
        yield asking(f"kind-{name}", value, live=True)
        yield posting(f"kind-{name}-by-post", value, live=True)
    for name, raw in MALFORMED.items():
        yield subscribe(f"malformed-{name}", f"/events.stream?input={quote(raw, safe='')}")
        yield posting(f"malformed-{name}-by-post", raw)
    yield subscribe("malformed-and-unauthenticated", "/events.stream?input=%7B", token="none")
    yield subscribe("malformed-and-resuming", "/events.stream?input=%7B", headers=(("last-event-id", FIRST),))


def bodies() -> Iterator[Subscription]:
    """Subscriptions by POST."""
    yield posting("post", backlog())
    yield posting("post-charset", backlog(), [("content-type", "Application/JSON; charset=utf-8")])
    yield posting("post-empty", b"", live=True)
    yield posting("post-resuming", backlog(), [type_json, ("last-event-id", SECOND)])
    yield replace(
        resuming("post-empty-resuming"),
        method="POST",
        headers=(type_json, ("last-event-id", fresh_id(place_of("post-empty-resuming")))),
    )
    yield replace(
        posting("post-input-of-url-ignored", backlog(type="stream.first")), target=f"/events.stream?input={BACKLOG}"
    )
    yield replace(posting("post-resuming-by-url", backlog()), target=f"/events.stream?lastEventId={THIRD}")
    yield posting("post-over-limit", b" " * (MAX_BODY_BYTES + 1))
    yield posting("post-over-limit-unauthenticated", b" " * (MAX_BODY_BYTES + 1), token="none")
    for name, content_type in {
        "no-type": None,
        "text": "text/plain",
        "urlencoded": "application/x-www-form-urlencoded",
    }.items():
        headers = [("content-type", content_type)] if content_type else []
        yield posting(f"post-{name}", backlog(), headers)
    for name, content_type in {
        "multipart": "multipart/form-data; boundary=x",
        "octet": "application/octet-stream",
    }.items():
        sent = posting(f"post-{name}", FORM, [("content-type", content_type)])
        yield replace(sent, or_status=frozenset({400, 415}))


def resumes() -> Iterator[Subscription]:
    """Places to resume from: header, `lastEventId`, `Last-Event-Id`, the input. The first that is present counts."""
    places: dict[str, tuple[str | None, str]] = {
        "header": (THIRD, ""),
        "query": (None, f"lastEventId={THIRD}"),
        "query-capitals": (None, f"Last-Event-Id={THIRD}"),
        "query-lower-case": (None, f"last-event-id={THIRD}"),
        "query-percent": (None, f"last%45ventId={THIRD.replace('-', '%2D')}"),
        "header-over-query": (THIRD, f"lastEventId={FIRST}"),
        "header-over-query-capitals": (THIRD, f"Last-Event-Id={FIRST}"),
        "query-over-query-capitals": (None, f"Last-Event-Id={FIRST}&lastEventId={THIRD}"),
        "header-over-all": (THIRD, f"Last-Event-Id={FIRST}&lastEventId={SECOND}"),
        "header-empty": ("", ""),
        "header-empty-over-query": ("", f"lastEventId={THIRD}"),
        "query-empty": (None, "lastEventId="),
        "query-empty-over-query-capitals": (None, f"lastEventId=&Last-Event-Id={THIRD}"),
        "last": (FOURTH, ""),
    }
    asked = {"": backlog(), "-over-input": backlog(lastEventId=FIRST), "-over-null": backlog(lastEventId=None)}
    for (name, (header, parameter)), (over, sent) in product(places.items(), asked.items()):
        headers = () if header is None else (("last-event-id", header),)
        yield asking(f"resume-{name}{over}", sent, parameter, headers=headers)
    twice = f"lastEventId={THIRD}&lastEventId={FIRST}"
    for over, sent in asked.items():
        yield asking(f"resume-query-repeated{over}", sent, twice, refused=repeated("lastEventId"))
    yield asking("resume-input", backlog(lastEventId=THIRD))
    yield asking("resume-input-over-start", backlog(lastEventId=THIRD, start=FIRST))
    yield asking("resume-header-over-start", backlog(start=FIRST), headers=(("last-event-id", THIRD),))
    yield asking("resume-invalid-input", backlog(lastEventId=1), headers=(("last-event-id", THIRD),))
    yield asking("resume-too-long", backlog(), headers=(("last-event-id", "x" * 513),))
    # The place is written into an object, a missing input and null. Other inputs are not changed.
    for name, value in KINDS.items():
        yield resuming(f"resume-kind-{name}", value)
    yield resuming("resume-no-input")
    yield replace(resuming("resume-empty-input"), target="/events.stream?input=")


def unknown_places() -> Iterator[Subscription]:
    """Subscriptions from places that the log does not have."""
    for name, place in {"uuid": UNKNOWN, "text": "event-123", "reserved": "NOW"}.items():
        header = ("last-event-id", place)
        yield asking(f"unknown-{name}-header", {}, headers=(header,), live=True)
        yield asking(f"unknown-{name}-query", {}, f"lastEventId={place}", live=True)
        yield asking(f"unknown-{name}-input", {"lastEventId": place}, live=True)
        yield asking(f"unknown-{name}-start", {"start": place}, live=True)


def callers() -> Iterator[Subscription]:
    """Missing and bad tokens, and the places where a token may be."""
    tokens: tuple[Token, Token] = ("none", "bad")
    for token in tokens:
        yield asking(f"token-{token}", backlog(), token=token)
        yield asking(f"token-{token}-invalid-input", 1, token=token)
        yield posting(f"token-{token}-by-post", backlog(), token=token)
        yield subscribe(f"token-{token}-unknown", "/events.streams", token=token)
        yield subscribe(f"token-{token}-wrong-method", method="PUT", headers=(type_json,), body=b"{}", token=token)
        yield subscribe(f"token-{token}-batch", "/events.stream?batch=1", token=token)
        yield subscribe(f"token-{token}-lines", headers=(jsonl,), token=token)
    params: dict[str, str] = {
        "absent-object": query({}),
        "object": query({"client": "x"}),
        "null": query(None),
        "bad-token": query({"token": "sk_nobody_nothing"}),
        "number": query(1),
        "text": query("x"),
        "array": query([]),
        "value-number": query({"token": 1}),
        "value-null": query({"token": None}),
        "empty": "",
        "not-json": "%7B",
    }
    for name, value in params.items():
        yield asking(f"params-{name}", backlog(), f"connectionParams={value}")
        yield asking(f"params-{name}-unauthenticated", backlog(), f"connectionParams={value}", token="none")
    yield subscribe("params-malformed-batch", "/events.stream?batch=1&connectionParams=1")
    yield subscribe("params-malformed-lines", "/events.stream?connectionParams=1", headers=(jsonl,))


def whole_requests() -> Iterator[Subscription]:
    """Requests that are rejected, or named differently, before the stream begins."""
    for name, path in {
        "percent-dot": "/events%2Estream",
        "trailing-slash": "/events.stream/",
        "two-leading-slashes": "//events.stream",
        "unknown": "/events.streams",
        "upper-case": "/events.STREAM",
        "below": "/events.stream.x",
        "space": "/events.stream%20",
        "comma": "/events.stream,events.stream",
        "malformed": "/events.stream%",
    }.items():
        yield subscribe(f"path-{name}", f"{path}?input={BACKLOG}")
    types = {"no-type": None, "json": "application/json", "text": "text/plain", "octet": "application/octet-stream"}
    for method in ("GET", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"):
        for name, content_type in types.items():
            bodiless = method in {"GET", "HEAD"}
            yield subscribe(
                f"method-{method}-{name}",
                f"/events.stream?input={BACKLOG}",
                method=method,
                headers=(("content-type", content_type),) if content_type else (),
                body=b"" if bodiless else text(backlog()).encode(),
                or_status=frozenset({200, 204, 405, 415} if method == "OPTIONS" else ()),
            )
    yield subscribe("head-unauthenticated", method="HEAD", token="none")
    for name, flag in {"true": "true", "zero": "0", "empty": "", "padded": "01"}.items():
        yield asking(f"batch-flag-{name}", backlog(), f"batch={flag}")
    batches = {
        "one": "/events.stream",
        "two": "/events.stream,events.stream",
        "beside-unknown": "/events.stream,nope",
        "beside-query": "/events.stream,events.list",
        "beside-mutation": "/events.stream,events.log",
    }
    for name, path in batches.items():
        inside = query(indexed(backlog(), {}))
        body = text(indexed(backlog(), {})).encode()
        for how, headers in {"": (), "-lines": (jsonl,)}.items():
            yield subscribe(f"batch-{name}{how}", f"{path}?batch=1&input={inside}", headers=headers)
            yield subscribe(
                f"batch-{name}-post{how}", f"{path}?batch=1", method="POST", headers=(type_json, *headers), body=body
            )
    for name, headers in {
        "trpc-accept": (jsonl,),
        "trpc-accept-json": (("trpc-accept", "application/json"),),
        "trpc-accept-event-stream": (("trpc-accept", "text/event-stream"),),
        "accept": (("accept", "application/jsonl"),),
        "accept-with-event-stream": (("accept", "text/event-stream, application/jsonl"),),
        "accept-event-stream": (("accept", "text/event-stream"),),
        "accept-json": (("accept", "application/json"),),
        "accept-nothing-we-have": (("accept", "image/png"),),
        "accept-encoding": (("accept-encoding", "gzip, deflate, br, zstd"),),
    }.items():
        yield asking(f"wish-{name}", backlog(), headers=headers)
        yield asking(f"wish-{name}-refused", backlog(), headers=headers, token="none")


def with_superjson() -> Iterator[Subscription]:
    """Valid and invalid subscriptions of a client with superjson."""
    day = "2024-01-01T00:00:00.000Z"
    undefined = backlog(source=None, subjectId=None)
    for name, value in {
        "backlog": wrapped(backlog()),
        "undefined-fields": wrapped(undefined, {"source": ["undefined"], "subjectId": ["undefined"]}),
        "dates": wrapped(
            backlog(**{"from": day, "to": "2100-01-01T00:00:00.000Z"}), {"from": ["Date"], "to": ["Date"]}
        ),
        "date-as-text": wrapped(backlog(**{"from": day})),
        "third": wrapped(backlog(lastEventId=SECOND)),
        "invalid": wrapped(backlog(markers="yes")),
        "unknown-field": wrapped(backlog(colour="red")),
        "null": wrapped(None),
        "text": wrapped("x"),
        "array": wrapped([]),
        "number": wrapped(1),
    }.items():
        yield asking(f"superjson-{name}", value)
        yield posting(f"superjson-{name}-by-post", value)
        if name != "null":  # that stream would be silent
            yield asking(f"superjson-{name}-resuming", value, headers=(("last-event-id", THIRD),))
    for name, value in {"undefined": UNDEFINED, "live": wrapped({"type": "live.*"})}.items():
        yield asking(f"superjson-{name}", value, live=True)
        yield resuming(f"superjson-{name}-resuming", value)
    yield asking("superjson-empty", {}, live=True, refused=WRONG_TRANSFORMER)
    yield replace(resuming("superjson-empty-resuming", {}), refused=WRONG_TRANSFORMER)
    yield resuming("superjson-null-resuming", wrapped(None))
    yield subscribe("superjson-no-input", live=True)
    yield resuming("superjson-no-input-resuming")
    yield posting("superjson-empty-body", b"", live=True)
    yield subscribe("superjson-malformed", "/events.stream?input=%7B")
    yield asking("superjson-token-none", wrapped(backlog()), token="none")
    yield asking("superjson-params", wrapped(backlog()), f"connectionParams={query({'client': 'x'})}")
    yield asking("superjson-params-malformed", wrapped(backlog()), "connectionParams=1")
    yield subscribe("superjson-wrong-method", method="PUT", headers=(type_json,), body=b"{}")
    yield subscribe("superjson-unknown", "/events.streams")
    yield subscribe("superjson-batch", f"/events.stream?batch=1&input={query({'0': wrapped(backlog())})}")
    yield subscribe("superjson-lines", headers=(jsonl,))


PLAIN: tuple[Subscription, ...] = tuple(
    subscription for group in (backlogs, inputs, bodies, resumes, callers, whole_requests) for subscription in group()
)
SUPERJSON: tuple[Subscription, ...] = tuple(with_superjson())
UNKNOWN_PLACES: tuple[Subscription, ...] = tuple(unknown_places())
