"""The requests that our tRPC door and the official server must answer alike, as data.

Each is one raw HTTP/1.1 message. Nothing is normalised, because percent signs, slashes, repeated names and odd bodies
are what is tested. `PLAIN` is for servers without a transformer, `SUPERJSON` for servers that speak superjson. Both
expect that `SEED` has been logged.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Literal, TypedDict, Unpack
from urllib.parse import quote

from procedures.procedure import SMALL_INPUT_BYTES
from tests.conformance.refusals import OTHER_CHARSET, Refusal, repeated

KNOWN = "0b6f3c1e-7d55-4f0a-9a3e-2f4b8f1f0001"
UNKNOWN = "00000000-0000-4000-8000-000000000000"
SEED: dict[str, object] = {"id": KNOWN, "type": "conformance.seeded", "data": {"n": 1}}
DRAFT: dict[str, object] = {"type": "conformance.logged", "data": {"n": 2}}
MAX_BODY_BYTES = 8_388_608
MAX_EVENT_BYTES = 1_048_576
MAX_BATCH_CALLS = 100

type_json = ("content-type", "application/json")
jsonl = ("trpc-accept", "application/jsonl")
Headers = Sequence[tuple[str, str]]
Token = Literal["good", "bad", "none"]


@dataclass(frozen=True, kw_only=True)
class Request:
    """One request. `target` follows the mount, as it is on the wire.

    `or_status` lists other statuses that are as good as the reference's, if the answer is a well-formed error. If
    `refused` is set, our server rejects what the reference accepts. If `read_as` is set, our server reads `headers` as
    the reference reads these headers.
    """

    id: str
    target: str
    method: str = "GET"
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    chunked: bool = False
    token: Token = "good"
    or_status: frozenset[int] = frozenset()
    refused: Refusal | None = None
    read_as: tuple[tuple[str, str], ...] | None = None


class More(TypedDict, total=False):
    """The rarer fields of a request."""

    chunked: bool
    token: Token
    or_status: frozenset[int]
    refused: Refusal | None
    read_as: tuple[tuple[str, str], ...] | None


def text(value: object) -> str:
    """JSON as `JSON.stringify` writes it."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def query(value: object) -> str:
    """A value as it stands in the `input` parameter."""
    return quote(text(value), safe="")


def get(name: str, target: str, headers: Headers = (), **more: Unpack[More]) -> Request:
    """A GET request."""
    return Request(id=name, target=target, headers=tuple(headers), **more)


def post(name: str, target: str, body: object = b"", headers: Headers = (type_json,), **more: Unpack[More]) -> Request:
    """A POST request. A body that is not bytes is sent as JSON."""
    content = body if isinstance(body, bytes) else text(body).encode()
    return Request(id=name, method="POST", target=target, headers=tuple(headers), body=content, **more)


def indexed(*inputs: object) -> dict[str, object]:
    """The inputs of a batch."""
    return {str(index): value for index, value in enumerate(inputs)}


ASK = f"input={query({'eventId': KNOWN})}"
GET_KNOWN = f"/events.get?{ASK}"
TWO = f"input={query(indexed({'limit': 1}, {'eventId': KNOWN}))}"


def paths() -> Iterator[Request]:
    """Ways to write the procedure's name in the path."""
    for name, path in {
        "plain": "/events.get",
        "percent-dot": "/events%2Eget",
        "percent-letter": "/%65vents.get",
        "percent-lower-hex": "/events%2eget",
        "percent-twice": "/events%252Eget",
        "trailing-slash": "/events.get/",
        "leading-slashes": "//events.get",
        "three-leading-slashes": "///events.get",
        "percent-trailing-slash": "/events.get%2F",
        "percent-leading-slash": "/%2Fevents.get",
        "bare": "",
        "bare-slash": "/",
        "bare-slashes": "//",
        "upper-case": "/EVENTS.GET",
        "title-case": "/events.Get",
        "slash-for-dot": "/events/get",
        "router-only": "/events",
        "router-dot": "/events.",
        "dot-first": "/.events.get",
        "two-dots": "/events..get",
        "below-a-procedure": "/events.get.get",
        "plus": "/events+get",
        "space": "/events.get%20",
        "leading-space": "/%20events.get",
        "tab": "/events.get%09",
        "nul": "/events.get%00",
        "newline": "/events.get%0A",
        "comma-unbatched": "/events.get,events.get",
        "percent-comma-unbatched": "/events.get%2Cevents.get",
        "constructor": "/constructor",
        "proto": "/__proto__",
        "to-string": "/toString",
        "then": "/then",
        "router-constructor": "/events.constructor",
        "router-proto": "/events.__proto__",
        "router-value-of": "/events.valueOf",
        "procedure-constructor": "/events.get.constructor",
        "procedure-def": "/events.get._def",
        "accent": "/%C3%A9v%C3%A9nements",
        "emoji": "/%F0%9F%98%80",
        "braces": "/%7Bevents%7D.%22get%22",
        "percent-question-mark": "/events.get%3Finput=1",
        "percent-hash": "/events.get%23",
        "semicolon": "/events.get;v=1",
        "long": "/" + "n" * 4000,
    }.items():
        yield get(f"path-{name}", f"{path}?{ASK}")
    # The reference drops a second trailing slash if it is mounted below the root, and only then.
    yield get("path-two-trailing-slashes", f"/events.get//?{ASK}", or_status=frozenset({404}))
    for name, path in {
        "truncated": "/%E0%A4%A",
        "stray": "/x%",
        "one-digit": "/x%2",
        "not-hex": "/x%zz",
        "alone": "/%",
        "in-a-known-name": "/events.get%",
        "invalid-utf8": "/%FF",
        "continuation-alone": "/%80",
        "overlong": "/%C0%AF",
        "surrogate": "/%ED%A0%80",
        "beyond-unicode": "/%F4%90%80%80",
        "short-sequence": "/%C3",
    }.items():
        yield get(f"path-malformed-{name}", path)
    yield get("path-malformed-batch", "/events.get,%FF?batch=1")
    yield get("path-malformed-unauthenticated", "/%FF", token="none")
    yield post("path-malformed-before-content-type", "/%FF", headers=())
    yield get("path-malformed-streamed", "/events.get,%FF?batch=1", [jsonl])
    for name, path in {
        "comma": "/events.list,events.get",
        "percent-comma": "/events.list%2Cevents.get",
        "lower-percent-comma": "/events.list%2cevents.get",
        "trailing-slash": "/events.list,events.get/",
        "slash-inside": "/events.list/,events.get",
        "leading-slash-inside": "/events.list,/events.get",
        "space": "/events.list,%20events.get",
        "trailing-comma": "/events.list,",
        "leading-comma": "/,events.get",
        "comma-alone": "/,",
        "two-commas": "/events.list,,events.get",
        "percent-percent-comma": "/events.list%252Cevents.get",
        "bare": "/",
        "bare-no-slash": "",
        "constructor": "/constructor,events.get",
        "one": "/events.list",
        "one-unknown": "/events.nope",
        "two-unknown": "/events.nope,events.nada",
        "same-twice": "/events.list,events.list",
    }.items():
        yield get(f"path-batch-{name}", f"{path}?batch=1&{TWO}")


def batch_flags() -> Iterator[Request]:
    """Requests for which only one `batch` parameter that is exactly `1` makes a batch."""
    for name, flag in {
        "one": "batch=1",
        "true": "batch=true",
        "zero": "batch=0",
        "empty": "batch=",
        "no-value": "batch",
        "padded": "batch=01",
        "two": "batch=2",
        "float": "batch=1.0",
        "minus": "batch=-1",
        "plus": "batch=+1",
        "space-after": "batch=1%20",
        "upper-case-name": "BATCH=1",
        "brackets": "batch[]=1",
        "percent-value": "batch=%31",
        "percent-name": "b%61tch=1",
        "after-a-semicolon": "a=1;batch=1",
        "after-a-question-mark": "a=1?batch=1",
        "after-empty-pairs": "&&batch=1",
    }.items():
        yield get(f"flag-{name}", f"/events.list,events.get?{flag}&{TWO}")
        yield get(f"flag-{name}-single-name", f"/events.list?{flag}&input={query({})}")
    for name, flag in {"one-then-zero": "batch=1&batch=0", "zero-then-one": "batch=0&batch=1"}.items():
        refused = repeated("batch")
        yield get(f"flag-first-{name}", f"/events.list,events.get?{flag}&{TWO}", refused=refused)
        yield get(f"flag-first-{name}-single-name", f"/events.list?{flag}&input={query({})}", refused=refused)
    yield post("flag-true-post", "/events.log,events.log?batch=true", indexed(DRAFT, DRAFT))
    yield post("flag-in-body-only", "/events.log,events.log", {"batch": 1, **indexed(DRAFT, DRAFT)})


def query_strings() -> Iterator[Request]:
    """Ways to write the query string."""
    seeded = text({"eventId": KNOWN})
    for name, rest in {
        "none": "",
        "question-mark-only": "?",
        "input-empty": "?input=",
        "input-no-value": "?input",
        "upper-case-name": f"?INPUT={query({'eventId': KNOWN})}",
        "percent-name": f"?%69nput={query({'eventId': KNOWN})}",
        "plus-is-space": f"?input={quote(seeded.replace(':', ': '), safe='').replace('%20', '+')}",
        "percent-plus": f"?input={query({'eventId': 'a+b'})}",
        "unknown-names": f"?a=b&{ASK}&c=%7B&d",
        "unknown-name-with-stray-percent": f"?%=%&{ASK}",
        "stray-percent-in-text": "?input=%7B%22eventId%22%3A%22100%%22%7D",
        "stray-percent-before-letters": "?input=%7B%22eventId%22%3A%22%zz%22%7D",
        "stray-percent-breaks-json": "?input=%7B%22eventId%22%3A%",
        "invalid-utf8": "?input=%7B%22eventId%22%3A%22%FF%22%7D",
        "invalid-utf8-outside-text": "?input=%FF%7B%7D",
        "semicolon-inside": f"?a=1;{ASK}",
        "equals-inside": "?input=%7B%22eventId%22%3A%22a=b=%22%7D",
        "question-mark-inside": "?input=%7B%22eventId%22%3A%22a?b%22%7D",
        "lower-hex": f"?input={query({'eventId': KNOWN}).lower()}",
        "everything-percent": "?input=" + "".join(f"%{byte:02X}" for byte in seeded.encode()),
        "surrounding-spaces": f"?input=%20{query({'eventId': KNOWN})}%0A",
        "non-ascii": f"?input={query({'eventId': 'é😀'})}",
        "escaped-non-ascii": "?input=" + quote(json.dumps({"eventId": "é😀"}), safe=""),
        "nul-escape": "?input=" + quote(json.dumps({"eventId": "a\x00b"}), safe=""),
        "fifteen-kilobytes": f"?input={query({'eventId': 'x' * 15_000})}",
    }.items():
        yield get(f"query-{name}", f"/events.get{rest}")
    for name, pair in {
        "good": f"{ASK}&input={query({'eventId': 1})}",
        "bad": f"input={query({'eventId': 1})}&{ASK}",
        "empty": f"input=&{ASK}",
    }.items():
        yield get(f"query-repeated-first-{name}", f"/events.get?{pair}", refused=repeated("input"))
    yield post("query-input-of-post-ignored", f"/events.get?{ASK}")
    yield post("query-input-of-post-beside-body", f"/events.get?{ASK}", {"eventId": UNKNOWN})
    yield post("query-malformed-input-of-post-ignored", "/events.list?input=%7B", {})
    yield post("query-input-of-batched-post-ignored", f"/events.get?batch=1&input={query(indexed({'eventId': KNOWN}))}")


MALFORMED = {
    "open-object": b"{",
    "open-array": b"[",
    "open-text": b'"abc',
    "no-value": b'{"eventId":}',
    "no-comma": b'{"a":1 "b":2}',
    "no-quotes": b"{eventId:1}",
    "nan": b"NaN",
    "nan-inside": b'{"limit":NaN}',
    "infinity": b'{"limit":Infinity}',
    "minus-infinity": b'{"limit":-Infinity}',
    "undefined": b"undefined",
    "single-quotes": b"{'eventId':'x'}",
    "trailing-comma": b'{"eventId":"x",}',
    "trailing-comma-array": b"[1,]",
    "garbage-after": b'{"eventId":"x"} x',
    "two-values": b'{"eventId":"x"}{"eventId":"x"}',
    "comment-line": b'//x\n{"eventId":"x"}',
    "comment-block": b'/*x*/{"eventId":"x"}',
    "leading-zero": b'{"limit":01}',
    "bare-fraction": b'{"limit":.5}',
    "open-fraction": b'{"limit":1.}',
    "plus-number": b'{"limit":+1}',
    "hex-number": b'{"limit":0x10}',
    "big-n": b'{"limit":1n}',
    "half-word": b"tru",
    "upper-word": b"True",
    "raw-newline-in-text": b'{"eventId":"a\nb"}',
    "raw-tab-in-text": b'{"eventId":"a\tb"}',
    "bad-escape": rb'{"eventId":"\x41"}',
    "short-unicode-escape": rb'{"eventId":"\u12"}',
    "no-break-space": b'\xc2\xa0{"eventId":"x"}',
    "form-feed": b'\x0c{"eventId":"x"}',
    "space-only": b" ",
    "newline-only": b"\r\n",
    "form-encoded": b"eventId=x",
    "closing-only": b"}",
}


def malformed_json() -> Iterator[Request]:
    """JSON that `JSON.parse` rejects, in every place of an input."""
    for name, raw in MALFORMED.items():
        inside = quote(raw, safe="")
        yield get(f"malformed-{name}-query", f"/events.get?input={inside}")
        yield post(f"malformed-{name}-mutation", "/events.log", raw)
        yield post(f"malformed-{name}-batch", "/events.log,events.log?batch=1", raw)
    for name in ("open-object", "nan", "trailing-comma", "space-only"):
        raw = MALFORMED[name]
        inside = quote(raw, safe="")
        yield post(f"malformed-{name}-query-by-post", "/events.get", raw)
        yield get(f"malformed-{name}-query-batch", f"/events.list,events.get?batch=1&input={inside}")
        yield get(f"malformed-{name}-beside-unknown", f"/events.list,events.nope?batch=1&input={inside}")
        yield get(f"malformed-{name}-unknown", f"/events.nope?input={inside}")
        yield get(f"malformed-{name}-optional-input", f"/events.list?input={inside}")
        yield get(f"malformed-{name}-unauthenticated", f"/events.get?input={inside}", token="none")
    yield get("malformed-bom-query", f"/events.get?input=%EF%BB%BF{query({'eventId': KNOWN})}")


def odd_json() -> Iterator[Request]:
    """JSON that no client writes, but `JSON.parse` accepts. A clean 400 is as good."""
    draft = text(DRAFT).encode()
    deep = b"[" * 500 + b"]" * 500
    deeper = b"[" * 100_000 + b"]" * 100_000
    for name, raw in {
        "bom": b"\xef\xbb\xbf" + draft,
        "invalid-utf8": draft.replace(b'{"n":2}', b'{"n":"\xff"}'),
        "invalid-utf8-key": draft.replace(b'{"n":2}', b'{"\xff":2}'),
        "lone-surrogate": draft.replace(b'{"n":2}', rb'{"n":"\ud800"}'),
        "lone-surrogate-key": draft.replace(b'{"n":2}', rb'{"\udfff":2}'),
        "lone-surrogate-field": draft.replace(b'{"n":2}', rb'{"n":2},"subjectId":"\ud800"'),
        "overflow": draft.replace(b'{"n":2}', b'{"n":1e400}'),
        "huge-integer": draft.replace(b'{"n":2}', b'{"n":' + b"9" * 400 + b"}"),
        "unsafe-integer": draft.replace(b'{"n":2}', b'{"n":9007199254740993}'),
        "repeated-key": draft.replace(b'{"n":2}', b'{"n":2},"type":"conformance.repeated"'),
        "repeated-key-first-bad": b'{"type":1,' + draft[1:],
        "repeated-key-inside": draft.replace(b'{"n":2}', b'{"n":1,"n":2}'),
        "deep": draft.replace(b'{"n":2}', b'{"n":' + deep + b"}"),
        "proto-key": draft.replace(b'{"n":2}', b'{"__proto__":{"n":2}}'),
        "nul-in-data": draft.replace(b'{"n":2}', rb'{"n":"\u0000"}'),
        "nul-in-field": draft.replace(b'{"n":2}', rb'{"n":2},"subjectId":"\u0000"'),
        "minus-zero": draft.replace(b'{"n":2}', b'{"n":-0}'),
        "empty-key": draft.replace(b'{"n":2}', b'{"":2}'),
    }.items():
        yield post(f"odd-{name}", "/events.log", raw, or_status=frozenset({400}))
    yield post("odd-deep-everywhere", "/events.log", deeper, or_status=frozenset({400}))
    for name, limit in {"float": "1.0", "exponent": "1e2", "fraction-exponent": "0.1e2", "minus-zero": "-0"}.items():
        inside = quote(f'{{"limit":{limit}}}', safe="")
        yield get(f"odd-integer-{name}", f"/events.list?input={inside}", or_status=frozenset({400}))


KINDS: dict[str, object] = {
    "null": None,
    "true": True,
    "zero": 0,
    "number": 1.5,
    "text": "x",
    "empty-text": "",
    "array": [],
    "array-of-one": [{"eventId": KNOWN}],
    "empty-object": {},
}


def wrong_inputs() -> Iterator[Request]:
    """Inputs of every wrong kind, alone and in batches."""
    for name, value in KINDS.items():
        yield get(f"kind-{name}-query", f"/events.get?input={query(value)}")
        yield get(f"kind-{name}-optional-query", f"/events.list?input={query(value)}")
        yield post(f"kind-{name}-query-by-post", "/events.get", value)
        yield post(f"kind-{name}-mutation", "/events.log", value)
        yield get(f"kind-{name}-whole-batch", f"/events.list,events.get?batch=1&input={query(value)}")
        yield post(f"kind-{name}-whole-batch-of-mutations", "/events.log,events.log?batch=1", value)
        yield get(f"kind-{name}-whole-batch-unknown", f"/events.list,events.nope?batch=1&input={query(value)}")
        yield get(f"kind-{name}-first-of-batch", f"/events.get,events.list?batch=1&input={query(indexed(value, {}))}")
    for name, event_id in {
        "null": None,
        "number": 1,
        "boolean": False,
        "array": [KNOWN],
        "object": {"id": KNOWN},
        "unknown": UNKNOWN,
        "unknown-text": "event-123",
        "unknown-hash": "evt_" + "0" * 64,
    }.items():
        yield get(f"event-id-{name}", f"/events.get?input={query({'eventId': event_id})}")
    yield get("event-id-known", GET_KNOWN)
    yield get("event-id-beside-unknown-field", f"/events.get?input={query({'eventId': KNOWN, 'colour': 1})}")
    yield get("event-id-misspelt", f"/events.get?input={query({'eventid': KNOWN})}")
    fields: dict[str, tuple[object, ...]] = {
        "limit": (0, 1, 1000, 1001, -1, 1.5, "10", True, None, [], {}),
        "offset": (0, 5, -1, 0.5, "0", None, False),
        "type": ("a.b", "a.*", "*", "*.b", "cod*", "", 1, None, ["a.b"]),
        "source": ("api", "intelligence", "alien", "API", 1, None),
        "hasMetadata": (True, False, "true", 1, None),
        "subjectId": ("s", 1, None, {}),
        "from": ("2024-01-01T00:00:00Z", "2024-01-01T00:00:00.123+02:00", "yesterday", {}, None),
        "colour": (1,),
    }
    for field, values in fields.items():
        for value in values:
            yield get(f"list-{field}-{text(value)}", f"/events.list?input={query({field: value})}")
    drafts: dict[str, dict[str, object]] = {
        "minimal": {},
        "no-type": {"type": ...},
        "no-data": {"data": ...},
        "type-null": {"type": None},
        "type-number": {"type": 1},
        "type-one-segment": {"type": "note"},
        "type-empty-segment": {"type": "note..made"},
        "type-trailing-dot": {"type": "note."},
        "type-space": {"type": "note made.x"},
        "type-star": {"type": "note.*"},
        "type-too-long": {"type": "a." + "b" * 127},
        "type-longest": {"type": "a." + "b" * 126},
        "data-null": {"data": None},
        "data-array": {"data": [1]},
        "data-text": {"data": "x"},
        "data-empty": {"data": {}},
        "source-unknown": {"source": "alien"},
        "source-known": {"source": "intelligence"},
        "subject-empty": {"subjectId": ""},
        "subject-too-long": {"subjectId": "s" * 257},
        "subject-longest": {"subjectId": "s" * 256},
        "subject-number": {"subjectId": 1},
        "optional-null": {"subjectId": None, "metadata": None, "producer": None, "occurredAt": None, "id": None},
        "id-no-uuid": {"id": "event-123"},
        "id-conflict": {"id": KNOWN},
        "occurred-at-naive": {"occurredAt": "2024-01-01T00:00:00"},
        "occurred-at-text": {"occurredAt": "now"},
        "occurred-at": {"occurredAt": "2024-12-09T01:00:00.5Z"},
        "metadata-text": {"metadata": "ai"},
        "metadata-unknown-kind": {"metadata": {"weather": {}}},
        "metadata-ai-without-agent": {"metadata": {"ai": {}}},
        "metadata-ai-score-above-one": {"metadata": {"ai": {"agent": "a", "confidence": {"score": 2}}}},
        "metadata-ai-unknown-field": {"metadata": {"ai": {"agent": "a", "mood": "good"}}},
        "metadata-ai": {"metadata": {"ai": {"agent": "a", "confidence": {"score": 0.5}}}},
        "unknown-field": {"colour": 1},
        "everything": {
            "subjectId": "s",
            "metadata": {"custom": {"k": [1, None]}},
            "source": "sync",
            "producer": "p",
            "correlationId": "c",
            "causationId": "w",
        },
    }
    for name, changes in drafts.items():
        draft = {key: value for key, value in {**DRAFT, **changes}.items() if value is not ...}
        yield post(f"log-{name}", "/events.log", draft)
    yield post("log-same-id-same-content", "/events.log", SEED)
    yield post("log-conflict-in-batch", "/events.log,events.log?batch=1", indexed(DRAFT, {**DRAFT, "id": KNOWN}))
    for name, events in {
        "none": [],
        "one": [DRAFT],
        "three": [DRAFT, SEED, DRAFT],
        "one-invalid": [DRAFT, {**DRAFT, "type": "note"}],
        "no-array": DRAFT,
        "null": None,
        "thousand-and-one": [DRAFT] * 1001,
    }.items():
        yield post(f"log-batch-{name}", "/events.logBatch", {"events": events})
    yield post("log-batch-bare-array", "/events.logBatch", [DRAFT])
    yield get("page", f"/events.page?input={query({'limit': 1})}")
    yield get("page-no-input", "/events.page")


def batches() -> Iterator[Request]:
    """Batches: inputs by index, mixed types, the limit, statuses in common and not."""
    known, unknown = {"eventId": KNOWN}, {"eventId": UNKNOWN}
    for name, inputs in {
        "both": indexed({}, known),
        "first-left-out": {"1": known},
        "second-left-out": {"0": {}},
        "empty": {},
        "extra-index": {"1": known, "2": known, "7": 1},
        "odd-keys": {"1": known, "length": 2, "-1": {}, "x": None, "": 0},
        "padded-index": {"00": {}, "01": known},
        "proto-key": {"1": known, "__proto__": {"0": 5}},
        "not-found": indexed({}, unknown),
        "bad-and-missing": indexed({"limit": 0}, unknown),
        "bad-and-bad": indexed({"limit": 0}, {"eventId": 1}),
        "null-first": indexed(None, known),
        "null-both": indexed(None, None),
    }.items():
        inside = f"batch=1&input={query(inputs)}"
        yield get(f"batch-{name}", f"/events.list,events.get?{inside}")
        yield post(f"batch-{name}-by-post", "/events.list,events.get?batch=1", inputs)
        yield get(f"batch-{name}-streamed", f"/events.list,events.get?{inside}", [jsonl])
    for name, path, inputs in (
        ("one", "/events.get", indexed(known)),
        ("one-not-found", "/events.get", indexed(unknown)),
        ("same-error-twice", "/events.get,events.get", indexed(unknown, unknown)),
        ("good-and-unknown-procedure", "/events.get,events.nope", indexed(known, {})),
        ("all-unknown-procedures", "/a,b,c", {}),
        ("mixed-with-mutation", "/events.get,events.log", indexed(known, DRAFT)),
        ("mixed-with-mutation-and-unknown", "/events.get,events.log,events.nope", indexed(known, DRAFT)),
        ("mutation-beside-unknown", "/events.log,events.nope", indexed(DRAFT, {})),
        ("mutations", "/events.log,events.log", indexed(DRAFT, DRAFT)),
        ("mutation-and-bad-mutation", "/events.log,events.log", indexed(DRAFT, {"type": "x"})),
        ("log-and-log-batch", "/events.log,events.logBatch", indexed(DRAFT, {"events": [DRAFT]})),
    ):
        inside = f"batch=1&input={query(inputs)}"
        for how, headers in {"": (), "-streamed": (jsonl,)}.items():
            yield get(f"batch-{name}-get{how}", f"{path}?{inside}", headers)
            yield post(f"batch-{name}-post{how}", f"{path}?batch=1", inputs, (type_json, *headers))
    for count, procedure in product((MAX_BATCH_CALLS, MAX_BATCH_CALLS + 1), ("events.list", "nope", "events.log")):
        path = "/" + ",".join([procedure] * count)
        few = f"input={query({str(index): {'limit': 1} for index in range(count)})}"
        yield get(f"batch-of-{count}-{procedure}", f"{path}?batch=1&{few}")
        yield get(f"batch-of-{count}-{procedure}-streamed", f"{path}?batch=1&{few}", [jsonl])
    over = ",".join(["events.list"] * (MAX_BATCH_CALLS + 1))
    yield get("batch-over-unbatched", f"/{over}")
    yield get("batch-over-commas-only", "/" + "," * MAX_BATCH_CALLS + "?batch=1")
    yield get("batch-over-unauthenticated", f"/{over}?batch=1", token="none")
    yield get("batch-over-and-mixed", f"/{over},events.log?batch=1")
    yield post("batch-over-without-type", f"/{over}?batch=1", headers=())
    yield post("unbatched-body-list", "/events.list?batch=1", {"limit": 0})
    yield post("unbatched-body-get", "/events.get?batch=1", {"eventId": KNOWN})
    yield post("unbatched-body-log", "/events.log?batch=1", DRAFT)
    yield post("batched-body-unbatched", "/events.log", indexed(DRAFT))


FORM = b'--x\r\ncontent-disposition: form-data; name="eventId"\r\n\r\nx\r\n--x--\r\n'


def methods_and_types() -> Iterator[Request]:
    """Every method with every content type, for a query, a mutation, an unknown name and the bare mount."""
    types = {
        "no-type": None,
        "json": "application/json",
        "json-charset": "application/json; charset=utf-8",
        "json-upper": "Application/JSON",
        "text": "text/plain;charset=UTF-8",
        "urlencoded": "application/x-www-form-urlencoded",
        "multipart": "multipart/form-data; boundary=x",
        "octet": "application/octet-stream",
    }
    calls = {"query": ("/events.get", {"eventId": KNOWN}), "mutation": ("/events.log", DRAFT), "unknown": ("/nope", {})}
    for method in ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"):
        for (type_name, content_type), (call, (path, value)) in product(types.items(), calls.items()):
            bodiless = method in {"GET", "HEAD"}
            body = FORM if type_name == "multipart" else text(value).encode()
            alternatives: set[int] = set()
            if method == "OPTIONS":
                alternatives = {200, 204, 405, 415}
            elif method == "POST" and type_name in {"multipart", "octet"}:
                alternatives = {415} if call == "unknown" else {400, 415}
            yield Request(
                id=f"method-{method}-{type_name}-{call}",
                method=method,
                target=f"{path}?input={query(value)}" if bodiless else path,
                headers=(("content-type", content_type),) if content_type else (),
                body=b"" if bodiless else body,
                or_status=frozenset(alternatives),
            )
    for name, content_type, known in (
        ("json-suffix", "application/trpc+json", False),
        ("json-prefix", "application/jsonp", False),
        ("text-json", "text/json", False),
        ("empty", "", False),
        ("semicolon-first", ";application/json", False),
        ("list", "application/json, text/plain", False),
        ("space-before-semicolon", "application/json ; charset=utf-8", True),
        ("semicolon-last", "application/json;", True),
        ("jsonl", "application/jsonl", False),
    ):
        header = ("content-type", content_type)
        yield post(f"type-{name}-post", "/events.log", DRAFT, [header])
        yield get(f"type-{name}-get", GET_KNOWN, [header])
        yield post(f"type-{name}-batch", "/events.log?batch=1", indexed(DRAFT), [header])
        if not known:
            yield post(f"type-{name}-unknown-procedure", "/nope", {}, [header])
    latin = ("content-type", "application/json; charset=latin1")
    yield post("type-odd-charset-post", "/events.log", DRAFT, [latin], refused=OTHER_CHARSET)
    yield get("type-odd-charset-get", GET_KNOWN, [latin])
    yield post("type-odd-charset-batch", "/events.log?batch=1", indexed(DRAFT), [latin], refused=OTHER_CHARSET)
    for target in ("", "/", "/events.list,events.log?batch=1", "/%FF", "/events.list?connectionParams=%7B"):
        yield Request(id=f"head-{target or 'mount'}", method="HEAD", target=target)
        yield Request(id=f"head-unauthenticated-{target or 'mount'}", method="HEAD", target=target, token="none")
    multipart, octet = (("content-type", "multipart/form-data"), ("content-type", "application/octet-stream"))
    yield get("multipart-get-unauthenticated", "/events.get", [multipart], token="none")
    yield get("octet-get-batch", "/events.get,events.list?batch=1", [octet])
    for method in ("PUT", "PATCH", "DELETE"):
        for name, path in {
            "queries": "/events.list,events.get",
            "mutations": "/events.log,events.log",
            "mutation-and-unknown": "/events.log,nope",
            "mixed": "/events.log,events.list",
        }.items():
            yield Request(
                id=f"method-{method}-batch-of-{name}",
                method=method,
                target=f"{path}?batch=1",
                headers=(type_json,),
                body=b"{}",
            )


def bodies() -> Iterator[Request]:
    """Empty bodies, and bodies at and over the limit, declared and chunked."""
    for chunked, how in ((False, "declared"), (True, "chunked")):
        yield post(f"body-empty-log-{how}", "/events.log", chunked=chunked)
        yield post(f"body-empty-list-{how}", "/events.list", chunked=chunked)
        yield post(f"body-empty-get-{how}", "/events.get", chunked=chunked)
        yield post(f"body-empty-batch-{how}", "/events.list,events.get?batch=1", chunked=chunked)
        yield post(f"body-small-{how}", "/events.log", DRAFT, chunked=chunked)
        asked = text({"eventId": KNOWN}).encode()
        yield post(f"body-at-limit-{how}", "/events.get", asked.rjust(SMALL_INPUT_BYTES), chunked=chunked)
        full = asked.rjust(MAX_BODY_BYTES)
        yield post(f"body-over-limit-{how}", "/events.get", b" " + full, chunked=chunked)
        yield post(f"body-over-limit-mutation-{how}", "/events.log", b" " + full, chunked=chunked)
        yield post(f"body-over-limit-not-json-{how}", "/events.log", b"x" + full, chunked=chunked)
        yield post(f"body-over-limit-batch-{how}", "/events.log,events.log?batch=1", b" " + full, chunked=chunked)
        yield post(f"body-over-limit-beside-unknown-{how}", "/events.log,nope?batch=1", b" " + full, chunked=chunked)
        yield post(f"body-over-limit-unknown-{how}", "/nope", b" " + full, chunked=chunked)
        yield post(f"body-over-limit-unauthenticated-{how}", "/events.log", b" " + full, chunked=chunked, token="bad")
        yield post(f"body-over-limit-without-type-{how}", "/events.log", b" " + full, (), chunked=chunked)
        yield post(
            f"body-over-limit-streamed-{how}",
            "/events.log,events.log?batch=1",
            b" " + full,
            (type_json, jsonl),
            chunked=chunked,
        )
    large = {**DRAFT, "data": {"text": "x" * MAX_EVENT_BYTES}}
    yield post("event-over-limit", "/events.log", large)
    yield post("event-over-limit-in-batch", "/events.log,events.log?batch=1", indexed(DRAFT, large))


def connection_params() -> Iterator[Request]:
    """`connectionParams` on any URL: they must be JSON null or an object of texts."""
    good = {"absent-object": {}, "object": {"client": "x"}, "null": None}
    bad = {"number": 1, "text": "x", "array": [], "array-of-text": ["x"], "true": True}
    bad_values: dict[str, object] = {"number": 1, "null": None, "object": {}, "boolean": False, "array": []}
    values = {
        **{name: query(value) for name, value in good.items()},
        **{name: query(value) for name, value in bad.items()},
        **{f"value-{name}": query({"client": value}) for name, value in bad_values.items()},
        "empty": "",
        "not-json": "%7B",
        "bare-text": "token",
        "space": "%20",
    }
    for name, value in values.items():
        yield get(f"params-{name}", f"{GET_KNOWN}&connectionParams={value}")
        yield get(f"params-{name}-batch", f"/events.list,events.get?batch=1&connectionParams={value}&{TWO}")
    yield post("params-malformed-mutation", "/events.log?connectionParams=1", DRAFT)
    yield get("params-malformed-unknown", "/nope?connectionParams=1")
    yield get("params-malformed-unauthenticated", "/events.get?connectionParams=1", token="none")
    yield get("params-malformed-and-mixed", "/events.get,events.log?batch=1&connectionParams=1")
    yield get("params-malformed-streamed", "/events.list?batch=1&connectionParams=1", [jsonl])
    yield get("params-malformed-streamed-unbatched", "/events.list?connectionParams=1", [jsonl])
    twice = "connectionParams=null&connectionParams=1"
    yield get("params-repeated", f"{GET_KNOWN}&{twice}", refused=repeated("connectionParams"))
    yield post("params-malformed-without-type", "/events.log?connectionParams=1", DRAFT, [])


def streams() -> Iterator[Request]:
    """Headers that ask for JSON lines, and reasons why a stream is rejected."""
    for name, headers in {
        "trpc-accept": [jsonl],
        "trpc-accept-upper-case": [("trpc-accept", "application/JSONL")],
        "trpc-accept-with-quality": [("trpc-accept", "application/jsonl;q=1")],
        "trpc-accept-list": [("trpc-accept", "application/json, application/jsonl")],
        "trpc-accept-json": [("trpc-accept", "application/json")],
        "trpc-accept-json-over-accept": [("trpc-accept", "application/json"), ("accept", "application/jsonl")],
        "trpc-accept-over-accept": [jsonl, ("accept", "application/json")],
        "accept": [("accept", "application/jsonl")],
        "accept-list": [("accept", "application/json, application/jsonl")],
        "accept-list-first": [("accept", "application/jsonl,*/*;q=0.1")],
        "accept-json-with-quality": [("accept", "application/json, application/jsonl;q=0.5")],
        "accept-refused": [("accept", "application/jsonl;q=0")],
        "accept-any": [("accept", "*/*")],
        "accept-event-stream": [("accept", "text/event-stream")],
        "accept-event-stream-and-jsonl": [("accept", "text/event-stream, application/jsonl")],
        "batch-mode": [("trpc-batch-mode", "stream")],
    }.items():
        yield get(f"stream-{name}", f"/events.list,events.get?batch=1&{TWO}", headers)
        yield get(f"stream-{name}-unbatched", GET_KNOWN, headers)
    # The reference looks for the exact text; ours reads the header as RFC 9110 says.
    for name, accept in {"with-quality": "application/jsonl;q=0.9", "upper-case": "Application/JSONL"}.items():
        headers, read_as = [("accept", accept)], (("accept", "application/jsonl"),)
        yield get(f"stream-accept-{name}", f"/events.list,events.get?batch=1&{TWO}", headers, read_as=read_as)
        yield get(f"stream-accept-{name}-unbatched", GET_KNOWN, headers, read_as=read_as)
    yield get("stream-unbatched-unknown", "/nope", [jsonl])
    yield get("stream-unbatched-unauthenticated", "/events.list", [jsonl], token="none")
    yield post("stream-unbatched-mutation", "/events.log", DRAFT, [type_json, jsonl])
    yield post("stream-without-type", "/events.log?batch=1", indexed(DRAFT), [jsonl])
    yield get("stream-unauthenticated", "/events.list,nope?batch=1", [jsonl], token="bad")
    yield get("stream-malformed-input", "/events.list,nope?batch=1&input=%7B", [jsonl])
    yield get("stream-array-input", "/events.list,events.get?batch=1&input=%5B%5D", [jsonl])


def tokens() -> Iterator[Request]:
    """Missing and bad tokens. A wrong name is reported before the token is checked."""
    calls = {
        "query": get("", GET_KNOWN),
        "query-bad-input": get("", "/events.get?input=1"),
        "mutation": post("", "/events.log", DRAFT),
        "mutation-malformed": post("", "/events.log", b"{"),
        "mutation-empty": post("", "/events.log"),
        "query-by-post": post("", "/events.get", {"eventId": KNOWN}),
        "unknown": get("", "/nope"),
        "unknown-by-post": post("", "/nope", b"{"),
        "wrong-method": get("", "/events.log"),
        "no-type": post("", "/events.log", DRAFT, ()),
        "batch": get("", f"/events.list,events.get?batch=1&{TWO}"),
        "batch-with-unknown": get("", f"/events.list,nope?batch=1&{TWO}"),
        "batch-mixed": get("", "/events.list,events.log?batch=1"),
        "batch-malformed": post("", "/events.log,nope?batch=1", b"["),
        "batch-wrong-method": get("", "/events.log,events.log?batch=1"),
        "page": get("", "/events.page"),
    }
    absent_or_bad: tuple[Token, Token] = ("none", "bad")
    for token, (name, call) in product(absent_or_bad, calls.items()):
        yield replace(call, id=f"token-{token}-{name}", token=token)
    for name, value in {
        "empty": "",
        "scheme-only": "Bearer",
        "scheme-and-space": "Bearer ",
        "basic": "Basic dTpw",
        "no-scheme": "sk_nobody_nothing",
        "other-scheme": "Token sk_nobody_nothing",
    }.items():
        yield get(f"token-{name}", GET_KNOWN, [("authorization", value)], token="none")


def wrapped(value: object, values: object = None) -> dict[str, object]:
    """A value as superjson wraps it."""
    meta = {} if values is None else {"meta": {"values": values, "v": 1}}
    return {"json": value, **meta}


UNDEFINED = wrapped(None, ["undefined"])


def superjson() -> Iterator[Request]:
    """Valid and invalid requests of a client with superjson."""
    known = {"eventId": KNOWN}
    day = "2024-01-01T00:00:00.000Z"
    pollution = wrapped({}, {"__proto__.limit": ["undefined"]})
    for name, value in {
        "known": wrapped(known),
        "unknown": wrapped({"eventId": UNKNOWN}),
        "invalid": wrapped({"eventId": 1}),
        "undefined": UNDEFINED,
        "null": wrapped(None),
        "no-values": {"json": known, "meta": {}},
        "meta-null": {"json": known, "meta": None},
        "bare": known,
        "bare-text": "x",
        "bare-number": 1,
        "bare-array": [],
        "empty": {},
        "undefined-field": wrapped({**known, "extra": None}, {"extra": ["undefined"]}),
    }.items():
        yield get(f"get-{name}", f"/events.get?input={query(value)}")
        yield post(f"get-{name}-by-post", "/events.get", value)
        yield get(f"get-{name}-batch", f"/events.get,events.list?batch=1&input={query({'0': value, '1': UNDEFINED})}")
        yield get(
            f"get-{name}-streamed",
            f"/events.get,events.list?batch=1&input={query({'0': value, '1': UNDEFINED})}",
            [jsonl],
        )
    for name, value in {
        "undefined": UNDEFINED,
        "limit": wrapped({"limit": 1}),
        "limit-undefined": wrapped({"limit": None}, {"limit": ["undefined"]}),
        "dates": wrapped({"from": day, "to": day}, {"from": ["Date"], "to": ["Date"]}),
        "date-as-text": wrapped({"from": day}),
        "invalid": wrapped({"limit": 0}),
    }.items():
        yield get(f"list-{name}", f"/events.list?input={query(value)}")
    # Input that no client writes: any clean answer is right.
    for name, value in {
        "null-input": None,
        "map": wrapped([], ["map"]),
        "set": wrapped([1], ["set"]),
        "pollution": pollution,
        "nan": wrapped({"limit": "NaN"}, {"limit": ["number"]}),
        "bigint": wrapped({"limit": "1"}, {"limit": ["bigint"]}),
        "unknown-annotation": wrapped({"limit": 1}, {"limit": ["nope"]}),
        "annotation-of-nothing": wrapped({}, {"a.b": ["Date"]}),
        "values-text": wrapped({}, "Date"),
        "bad-date": wrapped({"from": "yesterday"}, {"from": ["Date"]}),
    }.items():
        yield get(f"list-{name}", f"/events.list?input={query(value)}", or_status=frozenset({200, 400}))
    yield get("list-no-input", "/events.list")
    yield get("list-no-input-batch", "/events.list,events.list?batch=1")
    yield get("list-no-input-streamed", "/events.list,events.list?batch=1", [jsonl])
    yield get("page", f"/events.page?input={query(wrapped({'limit': 1}))}")
    yield post("log", "/events.log", wrapped(DRAFT))
    yield post("log-bare", "/events.log", DRAFT)
    yield post("log-undefined", "/events.log", UNDEFINED)
    yield post("log-empty", "/events.log")
    yield post(
        "log-undefined-fields",
        "/events.log",
        wrapped(
            {**DRAFT, "subjectId": None, "metadata": None}, {"subjectId": ["undefined"], "metadata": ["undefined"]}
        ),
    )
    yield post("log-occurred-at", "/events.log", wrapped({**DRAFT, "occurredAt": day}, {"occurredAt": ["Date"]}))
    yield post("log-conflict", "/events.log", wrapped({**DRAFT, "id": KNOWN}))
    yield post("log-batch", "/events.logBatch", wrapped({"events": [DRAFT, DRAFT]}))
    for how, headers in {"": (), "-streamed": (jsonl,)}.items():
        batch = indexed(wrapped(DRAFT), wrapped({"type": "x"}))
        yield post(f"logs{how}", "/events.log,events.log?batch=1", batch, (type_json, *headers))
        yield post(f"logs-wrapped-whole{how}", "/events.log?batch=1", wrapped(indexed(DRAFT)), (type_json, *headers))
        yield post(f"logs-malformed{how}", "/events.log,nope?batch=1", b"{", (type_json, *headers))
        yield post(f"logs-array{how}", "/events.log,events.log?batch=1", [], (type_json, *headers))
        yield get(f"mixed{how}", "/events.list,events.log?batch=1", headers)
        yield get(f"unknown-batch{how}", "/nope?batch=1", headers)
        yield get(f"token-none-batch{how}", "/events.list,nope?batch=1", headers, token="none")
        over = ",".join(["events.list"] * (MAX_BATCH_CALLS + 1))
        yield get(f"over{how}", f"/{over}?batch=1", headers)
        full = b" " * (MAX_BODY_BYTES + 1)
        yield post(f"body-over-limit{how}", "/events.log,events.log?batch=1", full, (type_json, *headers))
    yield get("unknown", "/nope")
    yield get("wrong-method", "/events.log")
    yield post("no-type", "/events.log", wrapped(DRAFT), [])
    yield get("malformed-input", "/events.get?input=%7B")
    yield get("malformed-path", "/%FF")
    yield get("params-plain", f"/events.list?connectionParams={query({'client': 'x'})}")
    yield get("params-wrapped", f"/events.list?connectionParams={query(wrapped({'client': 'x'}))}")
    yield get("stream-unbatched", "/events.list", [jsonl])
    yield get("token-none", "/events.list", token="none")
    yield Request(id="head", method="HEAD", target="/events.list")


PLAIN: tuple[Request, ...] = tuple(
    request
    for group in (
        paths,
        batch_flags,
        query_strings,
        malformed_json,
        odd_json,
        wrong_inputs,
        batches,
        methods_and_types,
        bodies,
        connection_params,
        streams,
        tokens,
    )
    for request in group()
)
SUPERJSON: tuple[Request, ...] = tuple(superjson())
