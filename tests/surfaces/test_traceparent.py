"""The trace that a call belongs to is stored as the correlation of events that have none."""

import json
from typing import Any
from uuid import uuid4

import pytest

from tests.kit import web
from tests.procedures.conftest import answered
from tests.surfaces.conftest import Observed

TRACE = "0af7651916cd43dd8448eb211c80319c"
TRACEPARENT = f"00-{TRACE}-b7ad6b7169203331-01"
EVENT: dict[str, Any] = {"type": "trace.tried", "data": {"a": 1}}


def test_trpc_keeps_it(observed: Observed) -> None:
    server, header = observed.server, {"traceparent": TRACEPARENT}

    one = answered(server.mutate("events.log", EVENT, **header))
    batch = {"events": [EVENT, EVENT | {"correlationId": "run-1"}]}
    two = answered(server.mutate("events.logBatch", batch, **header))

    assert one["correlationId"] == TRACE
    assert [each["correlationId"] for each in two] == [TRACE, "run-1"]


def test_the_publish_door_keeps_it(observed: Observed) -> None:
    server = observed.server
    event = EVENT | {"source": "test"}
    headers = server.headers | {"traceparent": TRACEPARENT}

    published = web.post(f"{server.url}/v1/events", json=event, headers=headers).json()

    assert answered(server.query("events.get", {"eventId": published["eventId"]}))["correlationId"] == TRACE


def test_an_event_with_an_id_is_the_same_in_any_trace(observed: Observed) -> None:
    server = observed.server
    event = EVENT | {"id": str(uuid4())}
    key = {"idempotency-key": str(uuid4())}
    cloudevent = {"specversion": "1.0", "id": str(uuid4()), "source": "/s", "type": "trace.tried", "data": {}}

    traces = [TRACEPARENT, f"00-{'a' * 32}-b7ad6b7169203331-01", "nonsense"]
    logged = [answered(server.mutate("events.log", event, traceparent=trace)) for trace in traces]
    published = [
        web.post(
            f"{server.url}/v1/events",
            json=EVENT | {"source": "test"},
            headers=server.headers | key | {"traceparent": trace},
        ).json()["eventId"]
        for trace in traces
    ]
    sent = [
        web.post(
            f"{server.url}/v1/events",
            content=json.dumps(cloudevent),
            headers=server.headers | {"content-type": "application/cloudevents+json", "traceparent": trace},
        ).json()["eventId"]
        for trace in traces
    ]

    assert logged[0] == logged[1] == logged[2]
    assert "correlationId" not in logged[0]
    assert len(set(published)) == 1
    assert set(sent) == {cloudevent["id"]}


@pytest.mark.parametrize("text", ["", "nonsense", f"ff{TRACEPARENT[2:]}", TRACEPARENT + "-x", f"00-{'0' * 32}-1-01"])
def test_an_invalid_traceparent_is_ignored(observed: Observed, text: str) -> None:
    assert "correlationId" not in answered(observed.server.mutate("events.log", EVENT, traceparent=text))
