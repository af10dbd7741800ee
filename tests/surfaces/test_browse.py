"""The browse door compared with its document, parameter by parameter, and with hostile parameters."""

import json
from datetime import datetime
from typing import Any
from uuid import uuid4

import httpx
import msgspec
import pytest

from app.filters.language import MAX_ORDER
from schemas.wire.browse import BrowsedEventsQuery
from tests.filters.hostile import TEXTS, filters
from tests.kit import web
from tests.kit.paths import VECTORS
from tests.kit.servers import Server
from tests.procedures.conftest import Keyed
from tests.surfaces.conftest import Observed

DOCUMENT = json.loads((VECTORS / "api" / "browse.json").read_text())

PARAMETERS = DOCUMENT["parameters"]

SHAPES = [DOCUMENT["page"], DOCUMENT["event"]]


@pytest.fixture
def keyed(observed: Observed) -> Keyed:
    """The shared server, with helpers that create keys."""
    return Keyed(observed.server, observed.database_url)


@pytest.fixture
def org(keyed: Keyed) -> str:
    """A workspace of the test's own."""
    return keyed.workspace()


def ask(server: Server, path: str = "", /, **parameters: object) -> httpx.Response:
    """Make a `GET /api/events<path>`. Parameters that are no text are sent as JSON."""
    sent = {name: value if isinstance(value, str) else json.dumps(value) for name, value in parameters.items()}
    return web.get(f"{server.url}/api/events{path}", params=sent, headers=server.headers, timeout=30)


def shown(server: Server, path: str = "", /, **parameters: object) -> dict[str, Any]:
    """Make such a call, which must succeed, and return the answer's JSON."""
    answer = ask(server, path, **parameters)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-request-id"]
    body: dict[str, Any] = answer.json()
    return body


def found(server: Server, org: str, **parameters: object) -> list[int]:
    """The numbers that `log` gave to the events of a page."""
    return [event["data"]["place"] for event in shown(server, workspace_id=org, **parameters)["data"]]


def refused(answer: httpx.Response, status: int = 400) -> dict[str, Any]:
    """The error of a rejected call, which must have exactly the fields that the REST doors share."""
    assert answer.status_code == status, answer.text
    [(name, error)] = answer.json().items()
    assert name == "error"
    assert set(error) <= {"code", "message", "field"}
    assert error["message"]
    body: dict[str, Any] = error
    return body


def log(server: Server, org: str, *events: dict[str, Any]) -> list[dict[str, Any]]:
    """Log these events in one batch, numbered by `data.place`."""
    drafts = [
        {"type": "note.created", **event, "data": {"place": place} | event.get("data", {})}
        for place, event in enumerate(events)
    ]
    answer = server.mutate("events.logBatch", {"events": drafts}, **{"x-workspace-id": org})
    assert answer.status_code == 200, answer.text
    came: list[dict[str, Any]] = answer.json()["result"]["data"]
    return came


def test_the_door_takes_the_parameters_of_the_document() -> None:
    assert {field.encode_name for field in msgspec.structs.fields(BrowsedEventsQuery)} == set(PARAMETERS)
    assert len(PARAMETERS) == 13


def test_a_page_has_the_shape_of_the_document(observed: Observed, org: str) -> None:
    parent = str(uuid4())
    [event] = log(observed.server, org, {"subjectId": "s1", "userId": "ann", "causationId": parent})

    page = shown(observed.server, workspace_id=org)

    shape, one = SHAPES
    assert set(page) == set(shape)
    assert set(page["data"][0]) == {name.rstrip("?") for name in shape["data"][0]} == {name.rstrip("?") for name in one}
    assert set(page["pageInfo"]) == set(shape["pageInfo"])
    assert page["data"] == [
        {
            "id": event["id"],
            "type": "note.created",
            "subjectId": "s1",
            "userId": "ann",
            "workspaceId": org,
            "parentId": parent,
            "data": {"place": 0},
            "createdAt": event["timestamp"],
        }
    ]
    kinds = {"number": int, "boolean": bool, "string": str}
    assert all(type(page["pageInfo"][name]) is kinds[kind] for name, kind in shape["pageInfo"].items())
    assert shown(observed.server, f"/{event['id']}", workspace_id=org) == page["data"][0]


def test_one_event_by_its_id(observed: Observed, org: str, keyed: Keyed) -> None:
    [event] = log(observed.server, org, {"data": {"text": "é\u2028", "n": 1.5}})
    [theirs] = log(observed.server, keyed.workspace(), {})

    body = shown(observed.server, f"/{event['id']}", workspace_id=org)

    assert body["data"] == {"place": 0, "text": "é\u2028", "n": 1.5}
    assert (body["subjectId"], body["parentId"]) == (None, None)
    by_hash = event["hash"].replace("sha256:", "evt_")
    assert shown(observed.server, f"/{by_hash}", workspace_id=org) == body
    for id_ in (theirs["id"], str(uuid4()), "x", "%00", "..%2f", "a'b"):
        error = refused(ask(observed.server, f"/{id_}", workspace_id=org), 404)
        assert (error["code"], error["field"]) == ("not_found", "id")
    assert refused(ask(observed.server, f"/{event['id']}", workspace_id=org, limit=1))["field"] == "limit"


def test_an_erased_event_is_empty(observed: Observed, org: str) -> None:
    [event] = log(observed.server, org, {"subjectId": "s1"})
    observed.server.mutate("events.erase", {"ids": [event["id"]]}, **{"x-workspace-id": org})

    body = shown(observed.server, f"/{event['id']}", workspace_id=org)

    assert body == {
        "id": event["id"],
        "type": "note.created",
        "subjectId": None,
        "userId": "",
        "workspaceId": org,
        "parentId": None,
        "data": {},
        "createdAt": event["timestamp"],
    }
    assert body in shown(observed.server, workspace_id=org)["data"]


def test_limit_is_100_by_default(observed: Observed, org: str) -> None:
    log(observed.server, org, *[{}] * 103)

    assert found(observed.server, org) == list(range(102, 2, -1))
    assert found(observed.server, org, limit=2) == [102, 101]
    assert shown(observed.server, workspace_id=org, limit=1)["pageInfo"]["total"] == 103


def test_after_and_before_walk_the_pages(observed: Observed, org: str) -> None:
    log(observed.server, org, *[{}] * 5)

    first = shown(observed.server, workspace_id=org, limit=2)["pageInfo"]
    second = shown(observed.server, workspace_id=org, limit=2, after=first["endCursor"])["pageInfo"]

    assert found(observed.server, org, limit=2, after=first["endCursor"]) == [2, 1]
    assert found(observed.server, org, limit=2, before=second["startCursor"]) == [4, 3]
    assert (first["hasPreviousPage"], first["hasNextPage"]) == (False, True)
    assert (second["hasPreviousPage"], second["hasNextPage"]) == (True, True)


def test_ids_are_separated_by_commas(observed: Observed, org: str, keyed: Keyed) -> None:
    events = log(observed.server, org, {}, {}, {})
    [theirs] = log(observed.server, keyed.workspace(), {})

    assert found(observed.server, org, ids=f"{events[2]['id']},{theirs['id']},{events[0]['id']}") == [2, 0]
    assert found(observed.server, org, ids=theirs["id"]) == []


SHORTHANDS: dict[str, tuple[dict[str, str], list[int]]] = {
    "type": ({"type": "agent.created"}, [1]),
    "a pattern of types": ({"type": "agent.*"}, [2, 1]),
    "subject_id": ({"subject_id": "s1"}, [2, 0]),
    "parent_id": ({"parent_id": "p1"}, [1]),
    "user_id": ({"user_id": "ann"}, [2]),
    "several": ({"subject_id": "s1", "type": "agent.*"}, [2]),
    "one of nobody": ({"subject_id": "s1'--"}, []),
}


@pytest.mark.parametrize(("parameters", "expected"), SHORTHANDS.values(), ids=list(SHORTHANDS))
def test_shorthands_narrow(observed: Observed, org: str, parameters: dict[str, str], expected: list[int]) -> None:
    log(
        observed.server,
        org,
        {"subjectId": "s1"},
        {"type": "agent.created", "causationId": "p1"},
        {"type": "agent.deleted", "subjectId": "s1", "userId": "ann"},
    )

    assert found(observed.server, org, **parameters) == expected
    assert shown(observed.server, workspace_id=org, **parameters)["pageInfo"]["total"] == len(expected)


def test_bounds_of_time_are_both_included(observed: Observed, org: str) -> None:
    times = [event["timestamp"] for event in log(observed.server, org, *[{}] * 4)]

    assert found(observed.server, org, created_at_after=times[1], created_at_before=times[2]) == [2, 1]
    assert found(observed.server, org, created_at_after=times[3]) == [3]
    assert found(observed.server, org, created_at_before=times[0]) == [0]
    offset = datetime.fromisoformat(times[2]).isoformat().replace("+00:00", "-00:00")
    assert found(observed.server, org, created_at_after=offset) == [3, 2]


def test_filter_and_order_are_json(observed: Observed, org: str) -> None:
    log(
        observed.server,
        org,
        {"type": "a.b", "data": {"n": 5}},
        {"type": "a.c", "data": {"n": 7}, "subjectId": "s"},
        {"type": "a.b", "data": {"n": 9}},
        {"type": "a.d"},
    )

    assert found(observed.server, org, filter={"data.n": {"gt": 5}}) == [2, 1]
    either = {"OR": [{"type": "a.d"}, {"NOT": {"data.n": {"lte": 7}}}]}
    assert found(observed.server, org, filter=either) == [3, 2]
    assert found(observed.server, org, orderBy=[{"type": "asc"}, {"createdAt": "desc"}]) == [2, 0, 1, 3]
    assert found(observed.server, org, orderBy=[{"subjectId": "desc_nulls_last"}, {"seq": "asc"}]) == [1, 0, 2, 3]
    assert found(observed.server, org, orderBy=[{"createdAt": "asc"}], filter={"type": "a.b"}, limit=1) == [0]
    assert found(observed.server, org, orderBy=[], filter={}) == [3, 2, 1, 0]


def test_trpc_returns_the_same(observed: Observed, org: str) -> None:
    log(observed.server, org, {"causationId": "p", "subjectId": "s"}, {"causationId": "p"}, {})
    by_rest = shown(observed.server, workspace_id=org, parent_id="p", limit=1, filter={"subjectId": {"isNull": True}})

    answer = observed.server.query(
        "events.browse",
        {"parentId": "p", "limit": 1, "filter": {"subjectId": {"isNull": True}}, "orderBy": [{"seq": "desc"}]},
        **{"x-workspace-id": org},
    )

    assert answer.status_code == 200, answer.text
    assert answer.json()["result"]["data"] == by_rest
    assert by_rest["pageInfo"]["total"] == 1


REFUSED: dict[str, tuple[dict[str, object], str, str]] = {
    "an unknown parameter": ({"subjectId": "s"}, "subjectId", "invalid_input"),
    "an offset": ({"offset": "1"}, "offset", "invalid_input"),
    "no rows": ({"limit": "0"}, "limit", "invalid_input"),
    "too many rows": ({"limit": "101"}, "limit", "invalid_input"),
    "rows that are no number": ({"limit": "ten"}, "limit", "invalid_input"),
    "101 ids": ({"ids": ",".join([str(uuid4())] * 101)}, "ids", "invalid_input"),
    "a filter that is no JSON": ({"filter": "{"}, "filter", "malformed_json"),
    "a filter that is no object": ({"filter": "[]"}, "filter", "invalid_input"),
    "a filter that is text": ({"filter": '""'}, "filter", "invalid_input"),
    "a field that is unknown": ({"filter": {"AND": [{"nosuch": 1}]}}, "filter.AND.0.nosuch", "invalid_input"),
    "an order that is no JSON": ({"orderBy": "createdAt"}, "orderBy", "malformed_json"),
    "an order that is no list": ({"orderBy": {"type": "asc"}}, "orderBy", "invalid_input"),
    "an order of an unknown field": ({"orderBy": [{"nosuch": "asc"}]}, "orderBy.0.nosuch", "invalid_input"),
    "an unknown direction": ({"orderBy": [{"type": "up"}]}, "orderBy.0.type", "invalid_input"),
    "a key twice": ({"orderBy": [{"type": "asc"}, {"type": "desc"}]}, "orderBy.1.type", "invalid_input"),
    "too many keys": ({"orderBy": [{"type": "asc"}] * (MAX_ORDER + 1)}, "orderBy", "invalid_input"),
    "a type that is none": ({"type": "a..b"}, "type", "invalid_input"),
    "an empty subject": ({"subject_id": ""}, "subject_id", "invalid_input"),
    "a parent with U+0000": ({"parent_id": "\0"}, "parent_id", "invalid_input"),
    "a time without offset": ({"created_at_after": "2024-12-09T00:00:00"}, "created_at_after", "invalid_input"),
    "a day": ({"created_at_before": "2024-12-09"}, "created_at_before", "invalid_input"),
    "a user that is too long": ({"user_id": "x" * 257}, "user_id", "invalid_input"),
    "a cursor that is none": ({"after": "x"}, "after", "invalid_cursor"),
    "an empty cursor": ({"before": ""}, "before", "invalid_cursor"),
    "two cursors": ({"after": "x", "before": "x"}, "before", "invalid_input"),
}


@pytest.mark.parametrize(("parameters", "field", "code"), REFUSED.values(), ids=list(REFUSED))
def test_what_does_not_fit_is_rejected_by_name(
    observed: Observed, org: str, parameters: dict[str, object], field: str, code: str
) -> None:
    error = refused(ask(observed.server, workspace_id=org, **parameters))

    assert (error["field"], error["code"]) == (field, code)


def test_a_workspace_that_is_not_the_keys_is_forbidden(keyed: Keyed) -> None:
    mine, theirs = keyed.workspace(), keyed.workspace()
    _, caller = keyed.key("events:read", workspaces=(mine,))
    [event] = log(keyed.server, theirs, {})

    for path in ("", f"/{event['id']}"):
        assert refused(ask(caller, path, workspace_id=theirs), 403)["field"] == "workspace_id"
        assert refused(ask(keyed.server, path, workspace_id="_node"), 404)["field"] == "workspace_id"
        assert refused(ask(msgspec.structs.replace(caller, token="x"), path), 401)["code"] == "unauthorized"
        assert refused(ask(keyed.key("ledger:read")[1], path), 403)["code"] == "forbidden"
    assert ask(caller).json()["data"] == []


def test_a_key_that_reads_its_own_sees_only_those(keyed: Keyed, org: str) -> None:
    _, caller = keyed.key("events:read-own", user="ann", workspaces=(org,))
    events = log(keyed.server, org, {"userId": "ann"}, {"userId": "bob", "causationId": "p"}, {"userId": "ann"})
    every = shown(keyed.server, workspace_id=org, limit=1)["pageInfo"]

    page = shown(caller)

    assert ([event["data"]["place"] for event in page["data"]], page["pageInfo"]["total"]) == ([2, 0], 2)
    for parameters in (
        {"user_id": "bob"},
        {"ids": events[1]["id"]},
        {"parent_id": "p"},
        {"filter": {"userId": "bob"}},
        {"filter": {"data.place": 1}},
        {"filter": {"OR": [{"userId": "bob"}]}},
    ):
        assert shown(caller, **parameters)["data"] == []
    assert refused(ask(caller, after=every["endCursor"]))["code"] == "invalid_cursor"
    assert refused(ask(caller, f"/{events[1]['id']}"), 404)["code"] == "not_found"


def _hostile(number: int) -> list[tuple[str, object]]:
    """One hostile text in every parameter, and in every place of the parameters that are JSON."""
    text = TEXTS[number]
    return [
        *((name, text) for name in PARAMETERS),
        *(("filter", filter_) for filter_ in filters(number)),
        ("orderBy", [{text: "asc"}]),
        ("orderBy", [{"type": text}]),
        ("orderBy", [{f"data.{text}": "asc"}]),
        ("orderBy", [{f"metadata.custom.{text}": "desc"}]),
    ]


@pytest.mark.parametrize("number", range(len(TEXTS)))
def test_hostile_parameters_are_answered_and_reach_no_other_workspace(keyed: Keyed, number: int) -> None:
    mine, theirs = keyed.workspace(), keyed.workspace()
    _, caller = keyed.key("events:read", workspaces=(mine,))
    [event] = log(keyed.server, mine, {"subjectId": "s", "metadata": {"custom": {"x": 1}}})
    log(keyed.server, theirs, {"subjectId": "s", "causationId": event["id"]})

    with web.client(headers=caller.headers, timeout=30) as client:
        for name, value in _hostile(number):
            text = value if isinstance(value, str) else json.dumps(value)
            answer = client.get(f"{caller.url}/api/events", params={name: text})

            if answer.status_code == 200:
                assert {each["id"] for each in answer.json()["data"]} <= {event["id"]}, (name, value)
            else:
                assert answer.status_code in {400, 403, 414, 431}, (name, value, answer.text)


def test_no_parameter_reaches_another_workspace(keyed: Keyed) -> None:
    mine, theirs = keyed.workspace(), keyed.workspace()
    _, caller = keyed.key("events:read", workspaces=(mine,))
    [event] = log(keyed.server, mine, {"subjectId": "s"})
    [other] = log(keyed.server, theirs, {"subjectId": "s", "causationId": event["id"], "data": {"secret": 1}})
    foreign = shown(keyed.server, workspace_id=theirs)["pageInfo"]["endCursor"]
    mine_alone = [event["id"]]

    for parameters, expected in (
        ({"ids": other["id"]}, []),
        ({"ids": f"{other['id']},{event['id']}"}, mine_alone),
        ({"parent_id": event["id"]}, []),
        ({"subject_id": "s"}, mine_alone),
        ({"filter": {"workspaceId": theirs}}, []),
        ({"filter": {"OR": [{"workspaceId": theirs}, {"id": other["id"]}, {"data.secret": 1}]}}, []),
        ({"filter": {"NOT": {"id": event["id"]}}}, []),
        ({"filter": {"children": {"some": {}}}}, []),
        ({"filter": {"children": {"none": {"data.secret": 1}}}}, mine_alone),
        ({"orderBy": [{"subjectId": "asc"}]}, mine_alone),
    ):
        page = shown(caller, **parameters)
        assert ([each["id"] for each in page["data"]], page["pageInfo"]["total"]) == (expected, len(expected))
    for way in ("after", "before"):
        assert refused(ask(caller, **{way: foreign}))["code"] == "invalid_cursor"


def test_no_call_ended_in_a_defect(observed: Observed) -> None:
    """It is the last test of this module: none of the inputs above caused a defect."""
    assert '"event": "defect"' not in observed.server.log.read_text(errors="replace")
