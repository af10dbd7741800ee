"""The maximum size of a procedure's input: it is small, unless the procedure declares more."""

import gzip
import json
from collections.abc import Iterator

import httpx
import pytest

from procedures.procedure import SMALL_INPUT_BYTES
from tests.kit import web
from tests.procedures.conftest import Keyed, answered, failed


def posted(keyed: Keyed, target: str, content: bytes | Iterator[bytes], **headers: str) -> httpx.Response:
    """Make a POST to the tRPC door."""
    given = keyed.server.headers | {"content-type": "application/json"} | headers
    return web.post(f"{keyed.server.url}/trpc/{target}", content=content, headers=given, timeout=60)


def test_a_small_procedure_takes_an_input_of_a_quarter_of_a_mebibyte(keyed: Keyed) -> None:
    assert isinstance(answered(posted(keyed, "events.list", b"{}".ljust(SMALL_INPUT_BYTES))), list)


@pytest.mark.parametrize(
    "send",
    [
        lambda keyed, content: posted(keyed, "events.list", content),
        lambda keyed, content: posted(keyed, "events.list", iter([content])),
        lambda keyed, content: posted(keyed, "events.list", gzip.compress(content), **{"content-encoding": "gzip"}),
    ],
    ids=["declared", "chunked", "in gzip"],
)
def test_a_small_procedure_takes_no_more(keyed: Keyed, send: object) -> None:
    error = failed(send(keyed, b"{}".ljust(SMALL_INPUT_BYTES + 1)), 413)  # type: ignore[operator]

    assert error["reason"] == "payload_too_large"


def test_a_call_of_a_batch_has_its_own_limit(keyed: Keyed) -> None:
    large = {"cursor": "x" * SMALL_INPUT_BYTES}
    content = json.dumps({"0": {"limit": 1}, "1": large}).encode()

    answer = posted(keyed, "events.list,events.list?batch=1", content)

    assert answer.status_code == 207
    [found, refused] = answer.json()
    assert "result" in found
    assert refused["error"]["data"]["code"] == "PAYLOAD_TOO_LARGE"
    assert "events.list" in refused["error"]["message"]


def test_an_event_of_a_mebibyte_is_logged_beside_another(keyed: Keyed) -> None:
    event = {"type": "a.b", "data": {"text": "x" * 1_000_000}}

    answer = posted(keyed, "events.log,events.log?batch=1", json.dumps({"0": event, "1": event}).encode())

    assert answer.status_code == 200


def test_a_webhook_is_registered_with_a_small_body(keyed: Keyed) -> None:
    url = f"{keyed.server.url}/v1/events/subscriptions"

    answer = web.post(url, content=b"{}".ljust(SMALL_INPUT_BYTES + 1), headers=keyed.server.headers, timeout=60)

    assert answer.status_code == 413
    assert answer.json()["error"]["code"] == "payload_too_large"
