"""Streamed batches: each call is answered as soon as its result is ready."""

import json

import psycopg

from tests.kit import web
from tests.surfaces.conftest import Observed


def test_a_fast_call_is_not_delayed_by_a_slow_one_before_it(observed: Observed) -> None:
    """A page reads the tip for its total, so the test locks the tips until the other call is answered."""
    server = observed.server
    event = server.mutate("events.log", {"type": "note.created", "data": {}}).json()["result"]["data"]
    inputs = json.dumps({"0": {}, "1": {"eventId": event["id"]}})
    with psycopg.connect(observed.database_url) as blocking:
        blocking.execute("LOCK TABLE event_tip IN ACCESS EXCLUSIVE MODE")
        with web.stream(
            "GET",
            f"{server.url}/trpc/events.page,events.get",
            params={"batch": "1", "input": inputs},
            headers={**server.headers, "trpc-accept": "application/jsonl"},
            timeout=30,
        ) as answer:
            lines = answer.iter_lines()

            head, fast = json.loads(next(lines)), json.loads(next(lines))
            blocking.rollback()
            (slow,) = (json.loads(line) for line in lines)

    assert set(head) == {"0", "1"}
    assert fast[:2] == [1, 0]
    assert event["id"] in json.dumps(fast)
    assert slow[:2] == [0, 0]
    assert '"total"' in json.dumps(slow)


def test_a_stream_is_flushed_line_by_line_and_ends_with_a_newline(observed: Observed) -> None:
    server = observed.server

    answer = web.get(
        f"{server.url}/trpc/events.get,nosuch,events.list?batch=1",
        headers={**server.headers, "trpc-accept": "application/jsonl"},
    )

    assert answer.status_code == 200
    assert "content-length" not in answer.headers
    assert answer.text.endswith("\n")
    lines = [json.loads(line) for line in answer.text.splitlines()]
    assert lines[0] == {str(index): [[0], [None, 0, index]] for index in range(3)}
    assert sorted(line[0] for line in lines[1:]) == [0, 1, 2]


def test_a_client_that_leaves_a_stream_disturbs_nobody(observed: Observed) -> None:
    server = observed.server
    with psycopg.connect(observed.database_url) as blocking:
        blocking.execute("LOCK TABLE event_tip IN ACCESS EXCLUSIVE MODE")
        for _ in range(12):
            with web.stream(
                "GET",
                f"{server.url}/trpc/events.page,events.page?batch=1",
                headers={**server.headers, "trpc-accept": "application/jsonl"},
                timeout=30,
            ) as answer:
                assert next(answer.iter_lines()).startswith('{"0"')

        # If each client kept a connection, the pool would be exhausted.
        assert server.query("events.list").status_code == 200
