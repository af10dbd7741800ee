"""Messages over a WebSocket that our door and the official server must answer alike, as data.

A script is the whole life of one socket. `PLAIN` is for servers without a transformer, `SUPERJSON` for servers that
speak superjson. All expect the events that the requests and the subscriptions expect.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypedDict, Unpack

from tests.conformance.refusals import WRONG_TRANSFORMER, Refusal, repeated
from tests.conformance.requests import (
    KINDS,
    KNOWN,
    MALFORMED,
    MAX_BATCH_CALLS,
    SEED,
    UNDEFINED,
    UNKNOWN,
    Token,
    text,
    wrapped,
)
from tests.conformance.subscriptions import FIRST, FOURTH, LIVE_TYPE, SECOND, THIRD, backlog, draft, fresh_id

Method = Literal["query", "mutation", "subscription", "subscription.stop"]
Message = dict[str, Any]
Frame = str | bytes | tuple[str, ...]
"""A text frame, a binary frame, or a text that is sent in several fragments."""


@dataclass(frozen=True, kw_only=True)
class Step:
    """Frames that are sent at once, and the number of messages that answer them."""

    frames: tuple[Frame, ...]
    answers: int


@dataclass(frozen=True, kw_only=True)
class Script:
    """One socket. `target` follows the mount, and `token` is in the header. If `closes`, the server closes the socket.

    If `or_error`, no client writes this, and another error for the first step is as good. If `refused` is set, our
    server answers the first step with it, and the reference accepts the script.
    """

    id: str
    steps: tuple[Step, ...]
    target: str = ""
    token: Token = "good"
    closes: bool = False
    or_error: bool = False
    refused: Refusal | None = None


class More(TypedDict, total=False):
    """The rarer fields of a script."""

    target: str
    token: Token
    closes: bool
    or_error: bool
    refused: Refusal


def script(name: str, *steps: Step, **more: Unpack[More]) -> Script:
    """A script of these steps."""
    return Script(id=name, steps=steps, **more)


def step(*frames: object, answers: int = 1) -> Step:
    """A step. An object that is no frame is sent as JSON."""
    return Step(
        frames=tuple(frame if isinstance(frame, str | bytes | tuple) else text(frame) for frame in frames),
        answers=answers,
    )


def call(id_: object, path: object, *inputs: object, method: str = "query", **params: object) -> Message:
    """A call with one input or none, and with other `params`."""
    given = zip(["input"], inputs, strict=False)
    return {"id": id_, "method": method, "params": {"path": path, **dict(given), **params}}


def mutate(id_: object, path: object, *inputs: object) -> Message:
    """A mutation."""
    return call(id_, path, *inputs, method="mutation")


def subscribe(id_: object, *inputs: object, **params: object) -> Message:
    """A subscription to the stream."""
    return call(id_, "events.stream", *inputs, method="subscription", **params)


def stop(id_: object) -> Message:
    """The end of a subscription."""
    return {"id": id_, "method": "subscription.stop"}


def log(name: str) -> Message:
    """Log an event that belongs to one script. Besides the answer, each live stream of the script gets it."""
    return mutate("log", "events.log", draft(f"{name}, over a socket"))


def place_of(name: str) -> str:
    """The id of the event that `log` logs."""
    return fresh_id(f"{name}, over a socket")


GET = call(1, "events.get", {"eventId": KNOWN})
LIVE = {"type": LIVE_TYPE}
STOP = step(stop(1))
"""The end of a subscription, which is answered by `stopped`."""


def calls() -> Iterator[Script]:
    """Queries, mutations and unknown procedures."""
    for name, message in {
        "query": GET,
        "query-no-input": call(1, "events.list"),
        "query-null": call(1, "events.list", None),
        "query-empty-object": call(1, "events.page", {}),
        "query-required-input-missing": call(1, "events.get"),
        "query-invalid": call(1, "events.get", {"eventId": 1}),
        "query-unknown-field": call(1, "events.get", {"eventId": KNOWN, "colour": 1}),
        "query-not-found": call(1, "events.get", {"eventId": UNKNOWN}),
        "mutation": mutate(1, "events.log", SEED),
        "mutation-no-input": mutate(1, "events.log"),
        "mutation-invalid": mutate(1, "events.log", {"type": "x"}),
        "mutation-conflict": mutate(1, "events.log", {**SEED, "data": {"n": 5}}),
        "mutation-batch": mutate(1, "events.logBatch", {"events": [SEED]}),
        "mutation-as-query": call(1, "events.log", SEED),
        "mutation-as-subscription": call(1, "events.log", SEED, method="subscription"),
        "query-as-mutation": mutate(1, "events.get", {"eventId": KNOWN}),
        "query-as-subscription": call(1, "events.list", method="subscription"),
        "subscription-as-query": call(1, "events.stream"),
        "subscription-as-mutation": mutate(1, "events.stream"),
        "unknown": call(1, "nope"),
        "unknown-as-mutation": mutate(1, "nope", {}),
        "unknown-as-subscription": call(1, "nope", method="subscription"),
        "unknown-empty": call(1, ""),
        "unknown-upper-case": call(1, "EVENTS.LIST"),
        "unknown-percent": call(1, "events%2Elist"),
        "unknown-slashes": call(1, "/events.list/"),
        "unknown-comma": call(1, "events.list,events.list"),
        "unknown-space": call(1, " events.list"),
        "unknown-constructor": call(1, "constructor"),
        "unknown-proto": call(1, "__proto__"),
        "unknown-below-proto": call(1, "events.__proto__"),
        "unknown-emoji": call(1, "é😀"),
        "unknown-long": call(1, "n" * 4000),
        "resuming-query": call(1, "events.list", {}, lastEventId=FIRST),
        "resuming-query-no-input": call(1, "events.list", lastEventId=FIRST),
        "resuming-mutation": call(1, "events.log", SEED, method="mutation", lastEventId=FIRST),
    }.items():
        yield script(f"call-{name}", step(message))
    for name, value in KINDS.items():
        yield script(f"kind-{name}", step(call(1, "events.get", value)))
        yield script(f"kind-{name}-mutation", step(mutate(1, "events.log", value)))
    yield script("same-id-twice", step(GET, GET, answers=2))
    yield script("same-id-again", step(GET), step(GET))


def ids() -> Iterator[Script]:
    """Ids and `jsonrpc`, which are echoed unchanged unless the frame is malformed."""
    for name, id_ in {
        "zero": 0,
        "minus": -1,
        "fraction": 1.5,
        "large": 2**53 - 1,
        "text": "a",
        "digits": "1",
        "empty": "",
        "quotes": '"}\\',
        "emoji": "é😀",
        "nul": "a\x00",
        "long": "i" * 4000,
        "null": None,
        "true": True,
        "false": False,
        "array": [],
        "array-of-one": [1],
        "object": {},
    }.items():
        yield script(f"id-{name}", step(call(id_, "events.list")))
        yield script(f"id-{name}-unknown", step(call(id_, "nope")))
        yield script(
            f"id-{name}-subscription", step(subscribe(id_, backlog(lastEventId=FOURTH)), answers=_started(id_))
        )
        if _started(id_) == 1:
            yield script(f"id-{name}-stop", step(stop(id_)))
    yield script("id-missing", step({"method": "query", "params": {"path": "events.list"}}))
    yield script("id-missing-stop", step({"method": "subscription.stop"}))
    yield script("id-exponent", step('{"id":1e2,"method":"query","params":{"path":"events.list"}}'))
    for name, version in {
        "two": "2.0",
        "one": "1.0",
        "number": 2.0,
        "null": None,
        "empty": "",
        "array": ["2.0"],
    }.items():
        with_version = {"jsonrpc": version}
        yield script(f"jsonrpc-{name}", step({**GET, **with_version}))
        yield script(f"jsonrpc-{name}-unknown", step({**call(1, "nope"), **with_version}))
        yield script(f"jsonrpc-{name}-stop", step({**stop(1), **with_version}, answers=0 if version == "2.0" else 1))
    yield script(
        "jsonrpc-subscription",
        step({**subscribe(1, backlog(type="stream.first")), "jsonrpc": "2.0"}, answers=3),
        step({**subscribe(1, {}), "jsonrpc": "2.0"}),
        step(stop(1)),
    )
    yield script("jsonrpc-of-stop-not-echoed", step(subscribe(1, LIVE)), step({**stop(1), "jsonrpc": "2.0"}))
    yield script("jsonrpc-in-array", step([{**GET, "jsonrpc": "2.0"}, {**GET, "id": 2}], answers=2))


def _started(id_: object) -> int:
    """How many messages answer a subscription: `started` and the marker, or one error."""
    return 2 if isinstance(id_, str | int | float) and not isinstance(id_, bool) else 1


def malformed() -> Iterator[Script]:
    """Frames that are no messages. Each gets one error, and the socket stays open."""
    for name, raw in MALFORMED.items():
        yield script(f"malformed-{name}", step(raw.decode()))
    for name, value in KINDS.items():
        if name != "array":
            yield script(f"malformed-kind-{name}", step(text(value)))
            yield script(f"malformed-params-{name}", step({"id": 1, "method": "query", "params": value}))
            yield script(f"malformed-kind-{name}-in-array", step([GET, value]))
        if not isinstance(value, str):
            yield script(f"malformed-path-{name}", step(call(1, value)))
            yield script(f"malformed-method-{name}", step({**GET, "method": value}))
            yield script(f"malformed-last-event-id-{name}", step(subscribe(1, {}, lastEventId=value)))
            yield script(f"malformed-last-event-id-{name}-query", step(call(1, "events.list", lastEventId=value)))
    for name, message in {
        "no-method": {"id": 1, "params": {"path": "events.list"}},
        "no-params": {"id": 1, "method": "query"},
        "no-path": {"id": 1, "method": "query", "params": {}},
        "path-beside-params": {"id": 1, "method": "query", "path": "events.list"},
        "method-upper-case": {**GET, "method": "QUERY"},
        "method-unknown": {**GET, "method": "subscribe"},
        "method-start": {**GET, "method": "subscription.start"},
        "method-reconnect": {"id": None, "method": "reconnect"},
        "method-connection-params": {"method": "connectionParams", "data": None},
        "method-connection-params-with-id": {"id": 1, "method": "connectionParams", "data": {"token": "x"}},
        "response": {"id": 1, "result": {"type": "data", "data": 1}},
        "no-params-subscription": {"id": 1, "method": "subscription"},
        "array-inside-array": [[GET]],
        "array-with-missing-id": [GET, {"method": "query", "params": {"path": "events.list"}}],
        "array-with-unknown-method": [{**GET, "method": "QUERY"}, GET],
        "array-with-wrong-version": [GET, {**GET, "jsonrpc": "1.0"}],
        "array-with-two-malformed": [{}, {}],
    }.items():
        yield script(f"malformed-{name}", step(message), step(GET))
    yield script("malformed-binary", step(text(GET).encode()), step(GET))
    yield script("malformed-binary-ping", step(b"PING"), step(GET))
    yield script("malformed-binary-empty", step(b""), step(GET))
    yield script("malformed-empty-text", step(""), step(GET))
    yield script("malformed-three-in-a-row", step("{", "x", "[", answers=3), step(GET))
    yield script("malformed-while-subscribed", step(subscribe(1, LIVE)), step("{"), STOP)
    yield script("null-id-in-array", step([call(None, "events.list"), GET], answers=2))
    yield script("null-id-with-version", step({**call(None, "events.list"), "jsonrpc": "2.0"}))
    yield script("unknown-keys", step({**GET, "x": 1, "params": {**GET["params"], "context": {}, "y": [2]}}))
    yield script("fragments", step(tuple(text(GET))))
    yield script("white-space", step(f" \n{text(GET)}\r\n"))


def batches() -> Iterator[Script]:
    """Frames with several messages, each of which gets its own answer."""
    yield script("batch-empty", step([], answers=0))
    yield script("batch-of-one", step([GET]))
    yield script("batch-of-queries", step([GET, call(2, "events.list"), call(3, "nope")], answers=3))
    yield script(
        "batch-mixed",
        step(
            [
                GET,
                mutate(2, "events.log", SEED),
                subscribe(3, backlog(type="stream.first")),
                call(4, "events.get", {"eventId": 1}),
                stop(5),
            ],
            answers=6,
        ),
    )
    yield script("batch-of-the-limit", step([call(n, "nope") for n in range(MAX_BATCH_CALLS)], answers=MAX_BATCH_CALLS))
    over = [call(n, "events.list") for n in range(MAX_BATCH_CALLS + 1)]
    yield script("batch-over-the-limit", step(over, answers=len(over)), step(GET))
    yield script("batch-over-with-version", step([{**one, "jsonrpc": "2.0"} for one in over], answers=len(over)))
    yield script("batch-over-of-subscriptions", step([subscribe(n) for n in range(len(over))], answers=len(over)))
    yield script("batch-over-without-ids", step([{}] * len(over)), step(GET), or_error=True)


def subscriptions() -> Iterator[Script]:
    """Subscriptions: started, data, stopped, and their ids."""
    brings: dict[str, tuple[int, dict[str, object]]] = {
        "everything": (4, {}),
        "type": (1, {"type": "stream.first"}),
        "subject": (1, {"subjectId": "s"}),
        "nothing": (0, {"type": "stream.never"}),
        "from-the-first": (3, {"start": FIRST}),
        "from-now": (0, {"start": "now"}),
        "null-fields": (4, {"source": None, "from": None, "lastEventId": None}),
        "without-metadata": (3, {"hasMetadata": False}),
    }
    for name, (count, fields) in brings.items():
        yield script(f"stream-{name}", step(subscribe(1, backlog(**fields)), answers=count + 2), STOP, step(GET))
    for name, message in {
        "no-input": subscribe(1),
        "empty-object": subscribe(1, {}),
        "null-fields": subscribe(1, {"start": None, "markers": None}),
    }.items():
        yield script(f"live-{name}", step(message), step(log(f"live-{name}"), answers=2), STOP)
    for name, value in {"start": {"start": 1}, "markers": {"markers": 1}, "colour": {"colour": 1}, **KINDS}.items():
        if value != {}:
            yield script(f"stream-invalid-{name}", step(subscribe(1, value)), step(stop(1), answers=0), step(GET))
    yield script("stop-unknown", step(stop(1), stop("x"), answers=0))
    yield script("stop-twice", step(subscribe(1, LIVE)), STOP, step(stop(1), answers=0))
    yield script("stop-twice-at-once", step(subscribe(1, LIVE)), step(stop(1), stop(1)))
    yield script("stop-by-another-kind-of-id", step(subscribe(1, LIVE)), step(stop("1"), answers=0), STOP)
    yield script("stop-of-a-query", step(GET, stop(1)))
    yield script("stop-ignores-params", step(subscribe(1, LIVE)), step({**stop(1), "params": 5}))
    yield script("stop-in-the-same-frame", step([subscribe(1, LIVE), stop(1)]), step(subscribe(1, LIVE)), STOP)
    yield script("stop-in-the-frame-before", step([stop(1), subscribe(1, LIVE)]), STOP)
    yield script("stop-and-start-in-the-same-frame", step([subscribe(1, LIVE), stop(1), subscribe(1, LIVE)], answers=2))
    yield script("stop-after-an-error", step(subscribe(1, {"start": 1})), step(stop(1), answers=0), step(GET))
    yield script("stopped-stays-silent", step(subscribe(1, LIVE)), STOP, step(log("stopped-stays-silent")))
    yield script(
        "one-of-two-stopped",
        step(subscribe(1, LIVE), subscribe("1", LIVE), answers=2),
        STOP,
        step(log("one-of-two-stopped"), answers=2),
    )
    yield script(
        "duplicate",
        step(subscribe(1, LIVE)),
        step(subscribe(1, backlog())),
        step(log("duplicate"), answers=2),
        STOP,
        step(subscribe(1, backlog(type="stream.first")), answers=3),
    )
    yield script("duplicate-in-the-same-frame", step([subscribe(1, LIVE), subscribe(1, LIVE)], answers=2), STOP)
    yield script("duplicate-of-an-invalid", step(subscribe(1, LIVE)), step(subscribe(1, {"start": 1})), STOP)
    yield script("duplicate-unknown-path", step(subscribe(1, LIVE)), step(call(1, "nope", method="subscription")), STOP)
    yield script("free-after-an-error", step(subscribe(1, {"start": 1})), step(subscribe(1, LIVE)), STOP)
    yield script("query-with-the-id-of-a-stream", step(subscribe(1, LIVE)), step(GET), STOP)
    for name, value in {
        "object": backlog(),
        "over-input": backlog(lastEventId=FIRST),
        "over-null": backlog(lastEventId=None),
        "over-start": backlog(start=FIRST),
    }.items():
        yield script(f"resume-{name}", step(subscribe(1, value, lastEventId=SECOND), answers=4), STOP)
    yield script("resume-input", step(subscribe(1, backlog(lastEventId=THIRD)), answers=3), STOP)
    yield script("resume-empty", step(subscribe(1, backlog(), lastEventId="")))
    inputs: dict[str, tuple[object, ...]] = {"no-input": (), "empty-object": ({},), "null": (None,)}
    for name, given in inputs.items():
        yield script(
            f"resume-{name}",
            step(log(f"resume-{name}")),
            step(log(f"resume-{name}, missed")),
            step(subscribe(1, *given, lastEventId=place_of(f"resume-{name}")), answers=2),
            step(log(f"resume-{name}, meanwhile"), answers=2),
            STOP,
        )
    for name, value in {"text": "x", "array": [], "number": 1, "false": False}.items():
        yield script(f"resume-{name}", step(subscribe(1, value, lastEventId=FOURTH)))


def unknown_places() -> Iterator[Script]:
    """Subscriptions from places that the log does not have."""
    for name, place in {"uuid": UNKNOWN, "text": "event-123"}.items():
        yield script(f"unknown-{name}-resume", step(subscribe(1, {}, lastEventId=place)))
        yield script(f"unknown-{name}-input", step(subscribe(1, {"lastEventId": place})))
        yield script(f"unknown-{name}-start", step(subscribe(1, {"start": place})))


def stops_beyond_the_limit() -> Script:
    """More stops in one frame than a batch may have calls. A page sends them when it leaves many streams at once."""
    stops = [stop(1), *(stop(n) for n in range(2, MAX_BATCH_CALLS + 2))]
    return script("stops-beyond-the-limit", step(subscribe(1, LIVE)), step(stops), step(GET))


def keepalive() -> Iterator[Script]:
    """`PING` is answered, and `PONG` is not. No other text is treated as one of them."""
    yield script("ping", step("PING"))
    yield script("ping-thrice", step("PING", "PING", "PING", answers=3))
    yield script("ping-while-subscribed", step(subscribe(1, LIVE)), step("PING"), STOP)
    yield script("pong", step("PONG", answers=0))
    for name, frame in {"lower-case": "ping", "space": "PING ", "newline": "PING\n", "quoted": '"PING"'}.items():
        yield script(f"ping-{name}", step(frame))


def hello(data: object) -> Message:
    """The first message of a socket whose URL announces one."""
    return {"method": "connectionParams", "data": data}


def callers() -> Iterator[Script]:
    """The caller is authenticated once, by header, first message or URL. A rejected caller's socket is closed."""
    calls_ = [GET, subscribe(2, {}), mutate("3", "events.log", SEED), call(4, "nope")]
    bad = {"token": "sk_nobody_nothing"}
    tokens: tuple[Token, Token] = ("none", "bad")
    for token in tokens:
        yield script(f"token-{token}", step(), token=token, closes=True)
        yield script(f"token-{token}-calls", step(*calls_, answers=5), token=token, closes=True)
    yield script("token-none-batch", step(calls_, answers=5), token="none", closes=True)
    yield script("token-none-version", step({**GET, "jsonrpc": "2.0"}, answers=2), token="none", closes=True)
    yield script("token-none-stop", step(subscribe(1), stop(1), answers=2), token="none", closes=True)
    yield script("token-none-ping", step("PING", answers=2), token="none", closes=True)
    yield script("token-in-url", step(GET), target="?token={token}", token="none")
    yield script("token-in-url-bad", step(), target="?token=sk_nobody_nothing", token="none", closes=True)
    yield script("token-header-over-url", step(GET), target="?token=sk_nobody_nothing")
    for name, target in {"slash": "/", "path": "/events.get", "unknown": "/nope", "query": "?batch=1"}.items():
        yield script(f"upgrade-{name}", step(GET), target=target)
    announced = "?connectionParams=1"
    for name, target in {
        "0": "?connectionParams=0",
        "true": "?connectionParams=true",
        "empty": "?connectionParams=",
    }.items():
        yield script(f"hello-not-announced-{name}", step(GET), target=target)
    yield script("hello", step(hello({"token": "{token}"}), GET), target=announced, token="none")
    yield script(
        "hello-then-batch", step(hello({"token": "{token}"}), calls_, answers=4), target=announced, token="none"
    )
    yield script("hello-null", step(hello(None), GET), target=announced)
    yield script("hello-empty", step(hello({}), GET), target=announced)
    yield script("hello-header-over-it", step(hello(bad), GET), target=announced)
    yield script("hello-with-more", step({**hello({}), "id": 5, "x": 1}, GET), target=announced)
    yield script("hello-waits", step(GET), target=announced, closes=True)
    yield script("hello-after-ping", step("PING"), step(hello({}), GET), target=announced)
    yield script("hello-after-pong", step("PONG", answers=0), step(hello({}), GET), target=announced)
    yield script("hello-twice", step(hello({}), GET), step(hello({})), step(GET), target=announced)
    yield script("hello-bad-token", step(hello(bad)), target=announced, token="none", closes=True)
    yield script(
        "hello-bad-token-calls", step(hello(bad), *calls_, answers=5), target=announced, token="none", closes=True
    )
    yield script("hello-no-token", step(hello(None), GET, answers=2), target=announced, token="none", closes=True)
    wrong: Mapping[str, object] = {
        "number": hello(1),
        "text": hello("x"),
        "array": hello([]),
        "true": hello(data=True),
        "value-number": hello({"token": 1}),
        "value-null": hello({"token": None}),
        "no-data": {"method": "connectionParams"},
        "in-array": [hello({})],
        "null": text(None),
        "empty-object": {},
        "not-json": "{",
        "empty-text": "",
        "binary": text(hello({})).encode(),
        "call": GET,
    }
    for name, frame in wrong.items():
        yield script(f"hello-malformed-{name}", step(frame), target=announced, closes=True)


def with_superjson() -> Iterator[Script]:
    """The scripts of a client with superjson."""
    get = call(1, "events.get", wrapped({"eventId": KNOWN}))
    live = wrapped(LIVE)
    day = "2024-01-01T00:00:00.000Z"
    for name, message in {
        "query": get,
        "query-undefined": call(1, "events.list", UNDEFINED),
        "query-not-found": call(1, "events.get", wrapped({"eventId": UNKNOWN})),
        "query-invalid": call(1, "events.get", wrapped({"eventId": 1})),
        "query-dates": call(1, "events.list", wrapped({"from": day}, {"from": ["Date"]})),
        "query-undefined-field": call(1, "events.list", wrapped({"limit": None}, {"limit": ["undefined"]})),
        "mutation": mutate(1, "events.log", wrapped(SEED)),
        "mutation-conflict": mutate(1, "events.log", wrapped({**SEED, "data": {"n": 5}})),
        "unknown": call(1, "nope", UNDEFINED),
        "wrong-type": mutate(1, "events.get", wrapped({"eventId": KNOWN})),
        "no-input": call(1, "events.list"),
        "no-input-unknown": call(1, "nope"),
        "no-input-subscription": subscribe(1),
        "required-input-empty": call(1, "events.get", {}),
        "required-input-number": call(1, "events.get", 1),
        "json-null": call(1, "events.get", wrapped(None)),
        "id-null": call(None, "events.list", UNDEFINED),
        "id-true": {**get, "id": True},
        "not-json": "{",
        "array-with-no-input": [get, call(2, "events.list")],
    }.items():
        yield script(f"superjson-{name}", step(message))
    yield script("superjson-null", step(call(1, "events.list", None)), or_error=True)
    yield script("superjson-null-unknown", step(call(1, "nope", None)), or_error=True)
    yield script("superjson-batch", step([get, call("2", "nope", UNDEFINED)], answers=2))
    over = [call(n, "events.list", UNDEFINED) for n in range(MAX_BATCH_CALLS + 1)]
    yield script("superjson-batch-over", step(over, answers=len(over)))
    yield script("superjson-stream", step(subscribe(1, wrapped(backlog())), answers=6), STOP)
    dates = wrapped(backlog(**{"from": day, "source": None}), {"from": ["Date"], "source": ["undefined"]})
    yield script("superjson-stream-dates", step(subscribe(1, dates), answers=6), STOP)
    yield script("superjson-stream-invalid", step(subscribe(1, wrapped({"markers": 1}))), step(stop(1), answers=0))
    yield script("superjson-duplicate", step(subscribe(1, live)), step(subscribe(1, live)), STOP)
    yield script("superjson-resume", step(subscribe(1, wrapped(backlog()), lastEventId=THIRD), answers=3), STOP)
    for name, value in {"undefined": UNDEFINED, "null": wrapped(None)}.items():
        logged = [
            step(mutate(what, "events.log", wrapped(draft(f"superjson-resume-{name}, {what}"))), answers=answers)
            for what, answers in (("place", 1), ("missed", 1), ("meanwhile", 2))
        ]
        started = step(subscribe(1, value, lastEventId=fresh_id(f"superjson-resume-{name}, place")), answers=2)
        yield script(f"superjson-resume-{name}", *logged[:2], started, logged[2], STOP)
    yield script("superjson-token-none", step(get, answers=2), token="none", closes=True)
    announced = "?connectionParams=1"
    yield script("superjson-hello", step(hello({"token": "{token}"}), get), target=announced, token="none")
    yield script("superjson-hello-wrapped", step(hello(wrapped({}))), target=announced, closes=True)
    yield script("superjson-hello-malformed", step(hello(1)), target=announced, closes=True)


def refused() -> Iterator[Script]:
    """Scripts of a plain socket that our server rejects and the reference accepts."""
    for name, values in {"no-then-yes": (0, 1), "yes-then-no": (1, 0)}.items():
        target = "?" + "&".join(f"connectionParams={value}" for value in values)
        frames = [hello(None), GET] if values[0] else [GET]
        yield script(
            f"hello-announced-twice-{name}", step(*frames), target=target, refused=repeated("connectionParams")
        )


def refused_with_superjson() -> Iterator[Script]:
    """Scripts of a socket with superjson that our server rejects and the reference accepts."""
    yield script("superjson-empty", step(subscribe(1, {})), refused=WRONG_TRANSFORMER)
    yield script("superjson-resume-empty", step(subscribe(1, {}, lastEventId=THIRD)), refused=WRONG_TRANSFORMER)


PLAIN: tuple[Script, ...] = tuple(
    one for group in (calls, ids, malformed, batches, subscriptions, keepalive, callers) for one in group()
)
SUPERJSON: tuple[Script, ...] = tuple(with_superjson())
REFUSED: tuple[Script, ...] = tuple(refused())
REFUSED_SUPERJSON: tuple[Script, ...] = tuple(refused_with_superjson())
UNKNOWN_PLACES: tuple[Script, ...] = tuple(unknown_places())
STOPS_BEYOND_THE_LIMIT = stops_beyond_the_limit()
