"""Traces at the browse door: the same as over tRPC, with the parameters and errors of the other routes."""

from typing import Any
from uuid import uuid4

import httpx
import msgspec
import pytest

from tests.kit import web
from tests.kit.servers import Server
from tests.procedures.conftest import Keyed, answered
from tests.surfaces.conftest import Observed


@pytest.fixture
def keyed(observed: Observed) -> Keyed:
    """The shared server, with helpers that create keys."""
    return Keyed(observed.server, observed.database_url)


@pytest.fixture
def org(keyed: Keyed) -> str:
    """A workspace of the test's own."""
    return keyed.workspace()


def ask(server: Server, path: str, **parameters: object) -> httpx.Response:
    """Make a `GET /api/events/<path>/trace`."""
    sent = {name: str(value) for name, value in parameters.items()}
    return web.get(f"{server.url}/api/events/{path}/trace", params=sent, headers=server.headers, timeout=30)


def refused(answer: httpx.Response, status: int) -> dict[str, Any]:
    """The error of a rejected call."""
    assert answer.status_code == status, answer.text
    [(name, error)] = answer.json().items()
    assert name == "error"
    assert set(error) <= {"code", "message", "field"}
    return dict(error)


def chain(server: Server, org: str, count: int) -> list[str]:
    """Log events, each the cause of the next, and return their ids."""
    ids = [str(uuid4()) for _ in range(count)]
    events: list[dict[str, Any]] = [
        {"id": id_, "type": "agent.step", "data": {}, "causationId": cause, "userId": "u1"}
        for id_, cause in zip(ids, [None, *ids], strict=False)
    ]
    answered(server.mutate("events.logBatch", {"events": events}, **{"x-workspace-id": org}))
    return ids


def test_a_trace_is_that_of_trpc(keyed: Keyed, org: str) -> None:
    ids = chain(keyed.server, org, 5)

    answer = ask(keyed.server, ids[2], workspace_id=org, limit=3, depth=1)

    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-request-id"]
    asked = {"eventId": ids[2], "limit": 3, "depth": 1}
    assert answer.json() == answered(keyed.server.query("events.trace", asked, **{"x-workspace-id": org}))
    assert [event["id"] for event in answer.json()["descendants"]] == [ids[3]]
    assert len(ask(keyed.server, ids[0], workspace_id=org).json()["descendants"]) == 4


@pytest.mark.parametrize(
    ("parameters", "field"),
    [
        ({"limit": 0}, "limit"),
        ({"limit": 1001}, "limit"),
        ({"depth": "x"}, "depth"),
        ({"depth": ""}, "depth"),
        ({"after": "x"}, "after"),
    ],
    ids=str,
)
def test_what_does_not_fit_is_rejected_by_name(
    keyed: Keyed, org: str, parameters: dict[str, object], field: str
) -> None:
    [id_] = chain(keyed.server, org, 1)

    error = refused(ask(keyed.server, id_, workspace_id=org, **parameters), 400)

    assert (error["code"], error["field"]) == ("invalid_input", field)


def test_access_is_checked_as_at_the_other_routes(keyed: Keyed, org: str) -> None:
    [mine], [theirs] = chain(keyed.server, org, 1), chain(keyed.server, keyed.workspace(), 1)
    _, caller = keyed.key("events:read", workspaces=(org,))

    for id_ in (theirs, str(uuid4()), "x", "%00", "..%2f", "a'b", "evt_" + "0" * 64):
        error = refused(ask(caller, id_), 404)
        assert (error["code"], error["field"]) == ("not_found", "id")
    assert refused(ask(caller, mine, workspace_id="nosuch"), 403)["field"] == "workspace_id"
    assert refused(ask(keyed.key("events:write", workspaces=(org,))[1], mine), 403)["code"] == "forbidden"
    assert refused(ask(msgspec.structs.replace(caller, token="x"), mine), 401)["code"] == "unauthorized"
    wrong = web.post(f"{caller.url}/api/events/{mine}/trace", headers=caller.headers, json={})
    assert refused(wrong, 405)["code"] == "method_not_allowed"


def test_no_call_ended_in_a_defect(observed: Observed) -> None:
    """It is the last test of this module."""
    assert '"event": "defect"' not in observed.server.log.read_text(errors="replace")
