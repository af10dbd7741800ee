"""Batches beyond the limit, over HTTP and over a socket."""

import json

from tests.kit import web
from tests.kit.servers import Server
from tests.surfaces.test_live import opened, told

LIMIT = 100


def test_a_batch_beyond_the_limit_is_rejected_with_the_remedy(server: Server) -> None:
    paths = ",".join(["events.list"] * (LIMIT + 1))

    answer = web.get(f"{server.url}/trpc/{paths}?batch=1", headers=server.headers)

    assert answer.status_code == 400
    message = answer.json()["error"]["message"]
    assert message.startswith(f"A batch may have at most {LIMIT} calls, this one has {LIMIT + 1}: send it in parts")
    assert f"`maxItems: {LIMIT}`" in message


def test_a_frame_beyond_the_limit_is_rejected_with_the_remedy(server: Server) -> None:
    calls = [{"id": id_, "method": "query", "params": {"path": "events.list"}} for id_ in range(LIMIT + 1)]

    with opened(server) as client:
        client.send(json.dumps(calls))

        assert told(client)["error"]["message"] == f"A batch may have at most {LIMIT} calls: send it in parts"
