"""The dry run predicts what logging the same event does, and stores nothing."""

import json
from typing import Any
from uuid import uuid4

import httpx
import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.kit import web
from tests.kit.examples import examples
from tests.kit.servers import Server
from tests.procedures.conftest import Keyed, answered, failed

EVENT: dict[str, Any] = {"type": "note.created", "data": {"title": "Hello"}}

MIB = 2**20

WRITER = ("events:read", "events:write", "events:write-as")


@pytest.fixture
def caller(keyed: Keyed) -> Server:
    """A caller with its own workspace."""
    return keyed.key(*WRITER, workspaces=(keyed.workspace(),))[1]


def validated(caller: Server, event: object) -> dict[str, Any]:
    """The output of the dry run."""
    answer: dict[str, Any] = answered(caller.mutate("events.validate", event))
    assert answer["valid"] is (answer["issues"] == [])
    return answer


def posted(caller: Server, name: str, content: bytes) -> httpx.Response:
    """Make a call with this body."""
    headers = {**caller.headers, "content-type": "application/json"}
    return web.post(f"{caller.url}/trpc/{name}", content=content, headers=headers, timeout=30)


def test_a_valid_event_is_shown_as_the_log_would_hold_it(caller: Server) -> None:
    event = {
        **EVENT,
        "data": {"ü": 1.0, "b": -0.0, "a": {"z": None, "y": 1e-7}, "u": "\0"},
        "metadata": {"custom": {"b": None, "a": 1}, "sync": None, "ai": {"agent": "x", "confidence": None}},
        "userId": "ann",
    }

    answer = validated(caller, event)

    data = '{"a":{"y":1e-7,"z":null},"b":0,"u":"\\u0000","ü":1}'
    metadata = '{"ai":{"agent":"x"},"custom":{"a":1,"b":null}}'
    raw = posted(caller, "events.validate", json.dumps(event).encode()).text
    assert f'"data":{data},"metadata":{metadata}' in raw
    assert answer == {
        "valid": True,
        "issues": [],
        "sentBytes": len(json.dumps(event, separators=(",", ":"), ensure_ascii=False).encode()),
        "maxBytes": MIB,
        "data": json.loads(data),
        "metadata": json.loads(metadata),
        "dataBytes": len(data.encode()),
        "metadataBytes": len(metadata.encode()),
        "userId": "ann",
        "source": "api",
        "subscriptionCount": 0,
    }


def test_missing_members_are_resolved(caller: Server) -> None:
    answer = validated(caller, {**EVENT, "metadata": {}})

    assert (answer["userId"], answer["source"], answer["metadataBytes"]) == ("u1", "api", 0)
    assert "metadata" not in answer
    assert "stored" not in answer


def test_nothing_is_left_behind(keyed: Keyed) -> None:
    workspace = keyed.workspace()
    _, caller = keyed.key("*", workspaces=(workspace,))
    sent = {**EVENT, "id": str(uuid4())}
    before = _rows(keyed, workspace)

    for event in (sent, EVENT, {**sent, "data": {"other": 1}}, {**EVENT, "type": "x"}):
        validated(caller, event)

    assert _rows(keyed, workspace) == before
    assert answered(caller.query("events.page")) == {"events": [], "total": 0}
    assert answered(caller.mutate("events.log", {**sent, "data": {"third": 1}}))["seq"] == 0


def _rows(keyed: Keyed, workspace: str) -> dict[str, int]:
    """How many rows each table has, without the keys."""
    with psycopg.connect(keyed.database_url) as connection:
        tables = connection.execute(
            "SELECT table_name FROM information_schema.columns WHERE column_name = 'workspace_id'"
            " AND table_schema = 'public'"
        ).fetchall()
        counted = {}
        for (table,) in tables:
            query = psycopg.sql.SQL("SELECT count(*) FROM {} WHERE workspace_id = %s").format(
                psycopg.sql.Identifier(table)
            )
            counted[table] = connection.execute(query, [workspace]).fetchall()[0][0]
        assert {"event", "event_tip", "audit_entry"} <= counted.keys()
        return counted


def test_every_error_is_named_at_once(keyed: Keyed) -> None:
    _, caller = keyed.key("events:write")
    event = {
        "type": "created",
        "data": {"n": 1e16, "padding": "x" * MIB},
        "metadata": {"ai": {"confidence": {"score": 2}}, "nosuch": {}},
        "userId": "another",
        "colour": "red",
        "id": "x",
        "occurredAt": "yesterday",
    }

    issues = validated(caller, event)["issues"]

    assert {(issue["path"], issue["code"]) for issue in issues} == {
        ("type", "invalid_event_type"),
        ("data.n", "unsafe_number"),
        ("metadata.ai.agent", "missing_required_field"),
        ("metadata.ai.confidence.score", "invalid_input"),
        ("metadata.nosuch", "invalid_input"),
        ("colour", "invalid_input"),
        ("id", "invalid_input"),
        ("occurredAt", "invalid_input"),
        ("", "payload_too_large"),
        ("userId", "forbidden"),
    }
    assert len(issues) == 10
    assert all(issue["message"] for issue in issues)


def test_later_issues_are_reported_beside_another_users_id(keyed: Keyed) -> None:
    _, caller = keyed.key("events:write")

    issues = validated(caller, {**EVENT, "userId": "another", "metadata": {"ai": {}}, "data": {"n": 2**53}})["issues"]

    assert [issue["path"] for issue in issues] == ["data.n", "metadata.ai.agent", "userId"]


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "invalid_input"),
        (b"null", "invalid_input"),
        (b"[]", "invalid_input"),
        (b"{", "malformed_json"),
        (b'{"type":"a.b","data":{"x":"\\ud800"}}', "malformed_json"),
        (b'{"type":"a.b","data":' + b'{"a":' * 1000 + b"1" + b"}" * 1001, "too_deep"),
        (b'{"type":"a.b","data":{"x":"' + b"x" * 9_000_000 + b'"}}', "payload_too_large"),
        (b" " * 2 * MIB, "malformed_json"),
    ],
    ids=["nothing", "null", "an array", "malformed", "half a pair", "deep", "a body of 9 MB", "white space"],
)
def test_what_is_no_event_is_an_answer_too(caller: Server, content: bytes, code: str) -> None:
    answer = answered(posted(caller, "events.validate", content))

    assert answer["valid"] is False
    assert answer["issues"][0]["code"] == code


def test_the_size_is_that_of_the_event_as_sent(caller: Server) -> None:
    content = json.dumps(EVENT).encode()
    limit = content[:-1] + b" " * (MIB - len(content)) + b"}"

    at_limit = answered(posted(caller, "events.validate", limit))
    above = answered(posted(caller, "events.validate", b" " + limit))

    assert (at_limit["valid"], at_limit["sentBytes"], at_limit["maxBytes"]) == (True, MIB, MIB)
    assert at_limit["dataBytes"] == len('{"title":"Hello"}')
    assert (above["valid"], above["sentBytes"]) == (False, MIB + 1)
    assert [(issue["path"], issue["code"]) for issue in above["issues"]] == [("", "payload_too_large")]


def test_an_id_that_is_stored_is_known_by_its_content(caller: Server) -> None:
    sent = {**EVENT, "id": str(uuid4())}
    assert "stored" not in validated(caller, sent)
    answered(caller.mutate("events.log", sent))

    same = validated(caller, sent)
    other = validated(caller, {**sent, "data": {}})

    assert (same["valid"], same["stored"], same["subscriptionCount"]) == (True, True, 0)
    assert [(issue["path"], issue["code"]) for issue in other["issues"]] == [("id", "conflict")]
    told = failed(caller.mutate("events.log", {**sent, "data": {}}), 409)
    assert told["reason"] == "conflict"
    assert "data" not in other


def test_an_erased_id_accepts_any_content(keyed: Keyed) -> None:
    _, caller = keyed.key(*WRITER, "events:erase", workspaces=(keyed.workspace(),))
    sent = {**EVENT, "id": str(uuid4())}
    answered(caller.mutate("events.log", sent))
    answered(caller.mutate("events.erase", {"ids": [sent["id"]]}))

    assert validated(caller, {**sent, "data": {"other": 1}})["stored"] is True


def test_the_same_id_elsewhere_is_no_conflict(keyed: Keyed) -> None:
    sent = {**EVENT, "id": str(uuid4())}
    callers = [keyed.key(*WRITER, workspaces=(keyed.workspace(),))[1] for _ in range(2)]
    answered(callers[0].mutate("events.log", sent))

    assert "stored" not in validated(callers[1], {**sent, "data": {}})


def _webhook(caller: Server, **members: object) -> str:
    hook = {"eventTypes": ["note.*"], "webhookUrl": "https://webhook.invalid/s3cr3t", **members}
    id_: str = answered(caller.mutate("subscriptions.create", hook))["subscriptionId"]
    return id_


def test_the_webhooks_that_would_get_the_event_are_named(keyed: Keyed) -> None:
    _, caller = keyed.key("*", workspaces=(keyed.workspace(),))
    every = _webhook(caller)
    picky = _webhook(caller, filter={"data.title": "Hello", "metadata.ai.confidence.score": {"gte": 0.5}})
    _webhook(caller, eventTypes=["other.*"])
    _webhook(caller, filter={"data.title": "Bye"})
    paused = _webhook(caller)
    answered(caller.mutate("subscriptions.pause", {"subscriptionId": paused}))
    sure = {**EVENT, "metadata": {"ai": {"agent": "a", "confidence": {"score": 0.9}}}}

    plain, matching = validated(caller, EVENT), validated(caller, sure)

    assert plain["subscriptions"] == [{"subscriptionId": every, "webhookUrl": "https://webhook.invalid/s3cr3t"}]
    assert [each["subscriptionId"] for each in matching["subscriptions"]] == [every, picky]
    assert (plain["subscriptionCount"], matching["subscriptionCount"]) == (1, 2)
    assert validated(caller, {**EVENT, "type": "x"}).keys() == {"valid", "issues", "sentBytes", "maxBytes"}


def test_the_count_is_that_of_the_publish_door(keyed: Keyed) -> None:
    workspace = keyed.workspace()
    _, manager = keyed.key("*", workspaces=(workspace,))
    _, writer = keyed.key("events:write", "events:read", workspaces=(workspace,))
    _webhook(manager)
    _webhook(manager, filter={"seq": {"gte": 1}})

    published = {**EVENT, "source": "github.action"}

    counts = []
    for _ in range(2):
        dry = validated(writer, EVENT)
        told = web.post(f"{writer.url}/v1/events", json=published, headers=writer.headers, timeout=30).json()
        counts.append((dry["subscriptionCount"], told["workflowsTriggered"]))

    assert counts == [(1, 1), (2, 2)]


def test_without_the_scope_only_the_number_of_webhooks_is_shown(keyed: Keyed) -> None:
    workspace = keyed.workspace()
    _, manager = keyed.key("*", workspaces=(workspace,))
    _, writer = keyed.key("events:write", "events:read", workspaces=(workspace,))
    own = keyed.key("events:write", "events:read-own", "subscriptions:manage", user="ann", workspaces=(workspace,))[1]
    _webhook(manager)
    mine = _webhook(own)

    learned = validated(writer, EVENT)

    assert learned["subscriptionCount"] == 1
    assert "subscriptions" not in learned
    assert "s3cr3t" not in json.dumps(learned)
    as_ann = validated(own, EVENT)
    assert as_ann["subscriptionCount"] == 2
    assert [each["subscriptionId"] for each in as_ann["subscriptions"]] == [mine]


def test_a_writer_does_not_learn_the_number_of_webhooks(keyed: Keyed) -> None:
    workspace = keyed.workspace()
    _webhook(keyed.key("*", workspaces=(workspace,))[1])
    _, writer = keyed.key("events:write", workspaces=(workspace,))

    learned = validated(writer, EVENT)

    assert learned["valid"] is True
    assert not {"subscriptionCount", "subscriptions"} & learned.keys()


def test_it_is_called_by_post_only(caller: Server) -> None:
    assert failed(caller.query("events.validate", EVENT), 405)["code"] == "METHOD_NOT_SUPPORTED"


def test_in_a_batch_each_event_is_judged(caller: Server) -> None:
    batch = {"0": EVENT, "1": {**EVENT, "type": "x"}, "2": EVENT}

    answers = web.post(
        f"{caller.url}/trpc/events.validate,events.validate,events.validate?batch=1",
        json=batch,
        headers=caller.headers,
        timeout=30,
    ).json()

    assert [answer["result"]["data"]["valid"] for answer in answers] == [True, False, True]
    assert answers[0]["result"]["data"]["sentBytes"] == len(json.dumps(EVENT, separators=(",", ":")))


VALUES: st.SearchStrategy[Any] = st.sampled_from(
    [
        *(None, True, 1, 1.0, [], {}, {"n": 1e16}, {"ai": {}}, {"custom": {"n": 2**60}}),
        {"ai": {"agent": "a", "confidence": {"score": 7}}},
        *("", "x", "u1", "another", "\0", "a.b", "synap.x", "sync", "2024-01-01T00:00:00Z", "x" * 300),
    ]
)

MEMBERS = ["id", "type", "data", "metadata", "subjectId", "userId", "source", "producer", "occurredAt", "nosuch"]


@settings(
    max_examples=examples(120),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(changes=st.dictionaries(st.sampled_from(MEMBERS), VALUES, max_size=3), trusted=st.booleans())
def test_it_predicts_what_logging_does(
    writers: tuple[Server, Server],
    changes: dict[str, Any],
    trusted: bool,  # noqa: FBT001
) -> None:
    caller = writers[trusted]
    event = {**EVENT, **changes}

    dry = validated(caller, event)
    response = caller.mutate("events.log", event)

    if dry["valid"]:
        logged = answered(response)
        assert {name: dry.get(name) for name in ("data", "metadata", "userId", "source")} == {
            name: logged.get(name) for name in ("data", "metadata", "userId", "source")
        }
        return
    error = response.json()["error"]
    if response.status_code == 403:
        assert {"path": "userId", "message": error["message"], "code": "forbidden"} in dry["issues"]
    else:
        data = failed(response, 400)
        told = [
            {"path": each["path"], "message": each["message"]} for each in dry["issues"] if each["code"] != "forbidden"
        ]
        assert told == data["issues"]
        assert data["reason"] == dry["issues"][0]["code"]


@pytest.fixture(scope="module")
def writers(keyed: Keyed) -> tuple[Server, Server]:
    """A caller that writes for itself, and one that also writes for others."""
    workspace = keyed.workspace()
    plain, trusted = (keyed.key(*scopes, workspaces=(workspace,))[1] for scopes in (WRITER[:2], WRITER))
    return plain, trusted
