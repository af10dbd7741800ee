"""Which keys may call which procedures, in which workspace, and whose events they see."""

from collections.abc import Callable
from typing import Any

import httpx
import msgspec
import pytest

from app.contract.operation import Kind
from app.store.install.deletion import delete_workspace
from app.store.install.install import connect
from procedures.registry import registry
from schemas.principal import Scope
from tests.kit import web
from tests.kit.checks import check_log
from tests.kit.servers import Server, until
from tests.procedures.conftest import Keyed, answered, failed

EVENT = {"type": "note.created", "data": {}}
HASH = f"sha256:{'0' * 64}"
NO_INTENT = {"eventId": "x"}
WEBHOOK = {"eventTypes": ["no.such"], "webhookUrl": "https://receiver.example/hook"}

CALLS: dict[str, tuple[str, Callable[[Server], httpx.Response]]] = {
    "audit.list": ("audit:read", lambda caller: caller.query("audit.list")),
    "events.browse": ("events:read", lambda caller: caller.query("events.browse")),
    "events.erase": ("events:erase", lambda caller: caller.mutate("events.erase", {"userId": "nobody"})),
    "events.get": ("events:read", lambda caller: caller.query("events.get", {"eventId": "x"})),
    "events.histogram": ("events:read", lambda caller: caller.query("events.histogram")),
    "events.list": ("events:read", lambda caller: caller.query("events.list")),
    "events.log": ("events:write", lambda caller: caller.mutate("events.log", EVENT)),
    "events.logBatch": ("events:write", lambda caller: caller.mutate("events.logBatch", {"events": [EVENT]})),
    "events.page": ("events:read", lambda caller: caller.query("events.page")),
    "events.trace": ("events:read", lambda caller: caller.query("events.trace", {"eventId": "x"})),
    "events.types": ("events:read", lambda caller: caller.query("events.types")),
    "events.validate": ("events:write", lambda caller: caller.mutate("events.validate", EVENT)),
    "intents.decide": (
        "intents:decide",
        lambda caller: caller.mutate("intents.decide", NO_INTENT | {"hash": HASH, "decision": "approved"}),
    ),
    "intents.finish": (
        "events:write",
        lambda caller: caller.mutate("intents.finish", {"startId": "x", "outcome": "failed"}),
    ),
    "intents.get": ("events:read", lambda caller: caller.query("intents.get", NO_INTENT)),
    "intents.list": ("events:read", lambda caller: caller.query("intents.list")),
    "intents.start": (
        "events:write",
        lambda caller: caller.mutate("intents.start", NO_INTENT | {"hash": HASH, "parameters": 1, "requestId": "r"}),
    ),
    "intents.wait": ("events:read", lambda caller: caller.query("intents.wait", NO_INTENT)),
    "intents.withdraw": ("events:write", lambda caller: caller.mutate("intents.withdraw", NO_INTENT)),
    "keys.create": ("keys:manage", lambda caller: caller.mutate("keys.create", {"scopes": ["keys:manage"]})),
    "keys.list": ("keys:manage", lambda caller: caller.query("keys.list")),
    "keys.revoke": ("keys:manage", lambda caller: caller.mutate("keys.revoke", {"keyId": "x"})),
    "keys.rotate": ("keys:manage", lambda caller: caller.mutate("keys.rotate", {"keyId": "x"})),
    "ledger.checkpoint": ("ledger:read", lambda caller: caller.query("ledger.checkpoint")),
    "ledger.consistency": ("ledger:read", lambda caller: caller.query("ledger.consistency", {"fromSize": 0})),
    "ledger.entries": ("ledger:read", lambda caller: caller.query("ledger.entries")),
    "ledger.node": ("ledger:read", lambda caller: caller.query("ledger.node")),
    "ledger.proof": ("ledger:read", lambda caller: caller.query("ledger.proof", {"eventId": "x"})),
    "ledger.receipt": ("ledger:read", lambda caller: caller.query("ledger.receipt", {"eventId": "x"})),
    "metrics.current": ("audit:read", lambda caller: caller.query("metrics.current")),
    "subscriptions.create": ("subscriptions:manage", lambda caller: caller.mutate("subscriptions.create", WEBHOOK)),
    "subscriptions.list": ("subscriptions:manage", lambda caller: caller.query("subscriptions.list")),
} | {
    f"subscriptions.{name}": (
        "subscriptions:manage",
        lambda caller, name=name, more=more, ask=ask: ask(
            caller, f"subscriptions.{name}", {"subscriptionId": "sub_x", **more}
        ),
    )
    for name, more, ask in [
        ("deliveries", {}, Server.query),
        ("get", {}, Server.query),
        ("delete", {}, Server.mutate),
        ("pause", {}, Server.mutate),
        ("replay", {"fromSeq": 0, "toSeq": 1}, Server.mutate),
        ("resume", {}, Server.mutate),
        ("rotateSecret", {}, Server.mutate),
        ("test", {}, Server.mutate),
    ]
}

OPEN: dict[str, Callable[[Server], httpx.Response]] = {
    "keys.current": lambda caller: caller.query("keys.current"),
    "metadata.kinds": lambda caller: caller.query("metadata.kinds"),
    "procedures.list": lambda caller: caller.query("procedures.list"),
}
"""The procedures that any valid key may call."""

OPENS = {"events:read": {"events:read", "events:read-own"}}
"""A narrower scope allows the same procedures as the wider one, for fewer events."""


def test_the_table_has_every_procedure() -> None:
    streams = {name for name, procedure in registry().items() if procedure.kind is Kind.SUBSCRIPTION}
    assert {*CALLS, *OPEN} == set(registry()) - streams  # their status shows no failure; they have their own tests


@pytest.mark.parametrize("name", CALLS)
def test_a_scope_opens_its_procedures(keyed: Keyed, name: str) -> None:
    scope, ask = CALLS[name]

    for opening in (*OPENS.get(scope, {scope}), "*"):
        assert ask(keyed.key(opening)[1]).status_code in {200, 404}, opening


@pytest.mark.parametrize("name", CALLS)
def test_all_other_scopes_do_not(keyed: Keyed, name: str) -> None:
    scope, ask = CALLS[name]
    others = {str(each) for each in Scope} - OPENS.get(scope, {scope}) - {"*"}

    data = failed(ask(keyed.key(*others)[1]), 403)

    assert (data["code"], data["reason"]) == ("FORBIDDEN", "forbidden")


def test_the_refusal_names_every_scope_that_would_do(keyed: Keyed) -> None:
    _, caller = keyed.key("events:write")

    refused = [caller.query("intents.list"), caller.query("ledger.node")]

    assert [answer.json()["error"]["message"] for answer in refused] == [
        "The key lacks the scope events:read or events:read-own",
        "The key lacks the scope ledger:read",
    ]


def test_a_call_without_an_input_is_told_how_to_send_one(keyed: Keyed) -> None:
    answer = keyed.server.query("events.get")

    assert failed(answer, 400)["issues"] == [
        {
            "path": "",
            "message": "an input is required: send it as JSON, in the body of a POST or as `input` in the URL of a GET",
        }
    ]


@pytest.mark.parametrize(
    ("path", "hint"),
    [
        ("intents.approve", "known are: intents.decide, intents.finish, intents.get, "),
        ("keys/create", "known are: keys.create, keys.current, "),
        ("nosuch", "procedures.list returns the procedures"),
    ],
    ids=["another word", "a slash", "another namespace"],
)
def test_a_path_without_a_procedure_leads_to_those_beside_it(keyed: Keyed, path: str, hint: str) -> None:
    answer = keyed.server.mutate(path, {})

    assert failed(answer, 404)["code"] == "NOT_FOUND"
    assert answer.json()["error"]["message"].startswith(f'No procedure found on path "{path}"; {hint}')


@pytest.mark.parametrize("name", OPEN)
def test_any_valid_key_may_ask_what_there_is(keyed: Keyed, name: str) -> None:
    key_id, bare = keyed.key()
    every = [OPEN[name](keyed.key(scope)[1]) for scope in Scope]

    assert {answer.status_code for answer in [OPEN[name](bare), *every]} == {200}
    keyed.revoke(key_id)
    until(lambda: OPEN[name](bare).status_code == 401, seconds=20)


@pytest.mark.parametrize("name", [*CALLS, *OPEN])
def test_a_caller_without_a_token_is_unauthorized(keyed: Keyed, name: str) -> None:
    response = web.post(f"{keyed.server.url}/trpc/{name}", json={"not": "looked at"})

    data = failed(response, 401)
    assert (data["code"], data["reason"], data["path"]) == ("UNAUTHORIZED", "unauthorized", name)


AUTHORIZATIONS = {
    "nothing": "",
    "no token": "Bearer",
    "another token": "Bearer x",
    "another scheme": "Basic eDp5",
    "no scheme": "sk_x_y",
    "a key's id": "Bearer sk_control_" + "0" * 43,
    "a long token": "Bearer " + "x" * 5000,
    "two tokens": "Bearer sk_a_b sk_c_d",
}


@pytest.mark.parametrize("authorization", AUTHORIZATIONS.values(), ids=list(AUTHORIZATIONS))
def test_no_other_authorization_is_accepted(keyed: Keyed, authorization: str) -> None:
    response = web.get(f"{keyed.server.url}/trpc/events.list", headers={"authorization": authorization})

    assert failed(response, 401)["code"] == "UNAUTHORIZED"
    assert "sk_" not in response.text


@pytest.mark.parametrize(
    ("sent", "message"),
    [
        ("Bearer {token}", "this is not a whole token; send exactly what keys.create returned"),
        ("{token}x", "this is not a whole token; send exactly what keys.create returned"),
        ("{other}", "The token is unknown, expired or revoked"),
    ],
    ids=["a scheme too many", "a letter too many", "another token"],
)
def test_a_token_that_is_not_whole_is_told_from_one_that_ended(keyed: Keyed, sent: str, message: str) -> None:
    token = sent.format(token=keyed.server.token, other=f"sk_control_{'0' * 43}")

    response = web.get(f"{keyed.server.url}/trpc/keys.current", headers={"authorization": f"Bearer {token}"})

    assert response.json()["error"]["message"].endswith(message)


def test_a_revoked_key_ends_within_seconds(keyed: Keyed) -> None:
    key_id, caller = keyed.key("events:read")
    assert caller.query("events.list").status_code == 200

    keyed.revoke(key_id)

    until(lambda: caller.query("events.list").status_code == 401, seconds=20)


def test_an_expired_key_ends_by_itself(keyed: Keyed) -> None:
    _, expired = keyed.key("events:read", seconds=-1)
    key_id, expiring = keyed.key("events:read", seconds=3600)

    assert expiring.query("events.list").status_code == 200
    assert expired.query("events.list").status_code == 401
    keyed.expire(key_id)
    until(lambda: expiring.query("events.list").status_code == 401, seconds=20)


def _log(caller: Server, workspace: str | None = None, **members: object) -> dict[str, Any]:
    headers = {} if workspace is None else {"x-workspace-id": workspace}
    event: dict[str, Any] = answered(caller.mutate("events.log", {**EVENT, **members}, **headers))
    return event


def test_a_call_acts_in_the_keys_first_workspace_unless_it_names_another(keyed: Keyed) -> None:
    first, second = keyed.workspace(), keyed.workspace()
    _, caller = keyed.key("events:read", "events:write", workspaces=(first, second))

    in_first = _log(caller)
    in_second = _log(caller, second)

    assert (in_first["seq"], in_second["seq"]) == (0, 0)
    assert [event["id"] for event in answered(caller.query("events.list"))] == [in_first["id"]]
    named = caller.query("events.list", None, **{"x-workspace-id": second})
    assert [event["id"] for event in answered(named)] == [in_second["id"]]


def test_connection_params_name_a_workspace_too(keyed: Keyed) -> None:
    workspace = keyed.workspace()
    event = _log(keyed.server, workspace)
    params = msgspec.json.encode({"workspaceId": workspace}).decode()

    response = web.get(
        f"{keyed.server.url}/trpc/events.list", params={"connectionParams": params}, headers=keyed.server.headers
    )

    assert [each["id"] for each in answered(response)] == [event["id"]]


def test_another_workspace_is_forbidden(keyed: Keyed) -> None:
    mine, theirs = keyed.workspace(), keyed.workspace()
    _, caller = keyed.key("*", workspaces=(mine,))
    event = _log(keyed.server, theirs)

    assert failed(caller.query("events.list", None, **{"x-workspace-id": theirs}), 403)["code"] == "FORBIDDEN"
    assert failed(caller.mutate("events.log", EVENT, **{"x-workspace-id": theirs}), 403)["code"] == "FORBIDDEN"
    assert failed(caller.query("events.get", {"eventId": event["id"]}), 404)["code"] == "NOT_FOUND"


def test_forbidden_and_unknown_workspaces_look_the_same_to_a_key_of_one(keyed: Keyed) -> None:
    theirs = keyed.workspace()
    _, caller = keyed.key("*", workspaces=(keyed.workspace(),))

    answers = [caller.query("events.list", None, **{"x-workspace-id": name}) for name in (theirs, "nosuch")]

    assert answers[0].json() == answers[1].json()


def test_an_unknown_workspace_is_not_found(keyed: Keyed) -> None:
    for name in ("nosuch", "_node", "DEFAULT", "default ; DROP", "*", "default/"):
        data = failed(keyed.server.query("events.list", None, **{"x-workspace-id": name}), 404)
        assert (data["code"], data["path"]) == ("NOT_FOUND", "events.list")


def test_read_own_sees_only_its_users_rows(keyed: Keyed) -> None:
    workspace = keyed.workspace()
    _, caller = keyed.key("events:read-own", user="mine", workspaces=(workspace,))
    mine = [_log(keyed.server, workspace, userId="mine") for _ in range(2)]
    theirs = _log(keyed.server, workspace, userId="theirs")

    ids = [event["id"] for event in reversed(mine)]
    assert [event["id"] for event in answered(caller.query("events.list"))] == ids
    page = answered(caller.query("events.page", {"limit": 1}))
    assert ([event["id"] for event in page["events"]], page["total"]) == (ids[:1], 2)
    rest = answered(caller.query("events.page", {"limit": 5, "cursor": page["nextCursor"]}))
    assert ([event["id"] for event in rest["events"]], rest["total"]) == (ids[1:], 2)
    assert answered(caller.query("events.page", {"userId": "theirs"})) == {"events": [], "total": 0}
    assert answered(caller.query("events.get", {"eventId": mine[0]["id"]})) == mine[0]
    for reference in (theirs["id"], theirs["hash"].replace("sha256:", "evt_")):
        assert failed(caller.query("events.get", {"eventId": reference}), 404)["code"] == "NOT_FOUND"


def test_a_cursor_of_a_key_that_sees_all_shows_nothing_more(keyed: Keyed) -> None:
    workspace = keyed.workspace()
    _, caller = keyed.key("events:read-own", user="mine", workspaces=(workspace,))
    for user in ("theirs", "mine", "theirs", "theirs"):
        _log(keyed.server, workspace, userId=user)
    cursor = answered(keyed.server.query("events.page", {"limit": 1}, **{"x-workspace-id": workspace}))["nextCursor"]

    page = answered(caller.query("events.page", {"cursor": cursor}))

    assert ([event["userId"] for event in page["events"]], page["total"]) == (["mine"], 1)


def test_the_user_of_an_event_is_its_caller(keyed: Keyed) -> None:
    _, caller = keyed.key("events:write", user="someone")

    assert _log(caller)["userId"] == "someone"
    assert _log(caller, userId="someone")["userId"] == "someone"
    assert _log(caller, userId=None)["userId"] == "someone"


def test_another_user_needs_write_as(keyed: Keyed) -> None:
    _, caller = keyed.key("events:write", user="someone")
    _, trusted = keyed.key("events:write", "events:write-as", user="someone")

    response = caller.mutate("events.log", {**EVENT, "userId": "another"})

    assert failed(response, 403)["reason"] == "forbidden"
    assert "events:write-as" in response.json()["error"]["message"]
    assert _log(trusted, userId="another")["userId"] == "another"


def test_a_batch_for_another_user_is_rejected_whole(keyed: Keyed) -> None:
    workspace = keyed.workspace()
    _, caller = keyed.key("events:write", "events:read", workspaces=(workspace,))

    response = caller.mutate("events.logBatch", {"events": [EVENT, {**EVENT, "userId": "another"}]})

    assert failed(response, 403)["code"] == "FORBIDDEN"
    assert answered(caller.query("events.list")) == []


DOORS: dict[str, tuple[str, str, Any]] = {
    "tRPC, a mutation": ("POST", "/trpc/events.log", EVENT),
    "tRPC, a query": ("GET", "/trpc/events.list", None),
    "publish": ("POST", "/v1/events", {**EVENT, "source": "s"}),
    "publish, a query": ("GET", "/v1/events", None),
    "browse": ("GET", "/api/events", None),
    "ledger": ("GET", "/ledger/v1/events", None),
    "MCP": ("POST", "/mcp", {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}),
}


@pytest.mark.parametrize(("method", "path", "body"), DOORS.values(), ids=list(DOORS))
def test_a_key_whose_first_workspace_was_deleted_must_name_one(
    keyed: Keyed, method: str, path: str, body: dict[str, Any] | None
) -> None:
    gone, other = keyed.workspace(), keyed.workspace()
    _, caller = keyed.key("*", workspaces=(gone, other))
    with connect(keyed.database_url) as connection:
        delete_workspace(connection, gone)

    def ask(**headers: str) -> httpx.Response:
        return web.request(method, f"{caller.url}{path}", json=body, headers={**caller.headers, **headers}, timeout=60)

    refused, named = ask(), ask(**{"x-workspace-id": other})

    assert refused.status_code == 400, refused.text
    assert f"is required, because the key's first workspace was deleted; it has: {other}" in refused.text
    assert named.status_code in {200, 201}, named.text
    assert len(check_log(keyed.database_url, other)) == (
        path in {"/trpc/events.log", "/v1/events"} and method == "POST"
    )
