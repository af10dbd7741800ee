"""Which keys may do what, and where: the command `synap` creates keys, and two server processes check them."""

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from msgspec import Struct

from app.store.install.workspaces import create_workspace
from tests.acceptance.conftest import Pair
from tests.acceptance.processes import synap
from tests.kit import web
from tests.kit.servers import until

REVOKED_SECONDS = 20
"""After this time, every server rejects a revoked key."""

MINE, THEIRS = "mine", "theirs"

KEYS = {
    "reader": ("--user", "reader", "--scope", "events:read"),
    "writer": ("--user", "writer", "--scope", "events:write"),
    "ann": ("--user", "ann", "--scope", "events:read-own", "--scope", "events:write"),
    "bob": ("--user", "bob", "--scope", "events:write", "--scope", "events:write-as", "--scope", "events:read"),
    "both": ("--user", "both", "--scope", "*", "--workspace", MINE, "--workspace", THEIRS),
    "expired": ("--user", "ann", "--scope", "*", "--expires-in-seconds", "1"),
    "revoked": ("--user", "ann", "--scope", "*", "--expires-in-seconds", "3600"),
}
"""The arguments that create each key. A key without a workspace gets `mine`. The control token is `admin`."""

EVENT = {"type": "note.created", "data": {}}

CALLS: dict[str, object] = {
    "events.log": EVENT,
    "events.logBatch": {"events": [EVENT]},
    "events.list": {},
    "events.page": {},
    "events.get": {"eventId": str(uuid4())},
}
"""Every procedure, with a valid input. (The event that some of them ask for was never logged.)"""

Refusal = tuple[int, str]

UNAUTHORIZED: Refusal = (401, "UNAUTHORIZED")
FORBIDDEN: Refusal = (403, "FORBIDDEN")
NOT_FOUND: Refusal = (404, "NOT_FOUND")


class Refused(Exception):
    """A call was rejected. `args` are the HTTP status and the name of the error."""


class Access(Struct, frozen=True):
    """Two servers, and their keys by name."""

    pair: Pair
    tokens: dict[str, str]

    def call(self, key: str | None, name: str, given: object, *, server: int = 0, workspace: str | None = None) -> Any:
        """Return the output of a call with this key or token (None: without a token). Raises Refused."""
        headers = {} if key is None else {"authorization": f"Bearer {self.tokens.get(key, key)}".strip()}
        if workspace is not None:
            headers["x-workspace-id"] = workspace
        sent = {header.encode(): value.encode("latin-1") for header, value in headers.items()}
        url = f"{self.pair.servers[server].url}/trpc/{name}"
        if name.startswith("events.log"):
            answer = web.post(url, json=given, headers=sent, timeout=30)
        else:
            answer = web.get(url, params={"input": json.dumps(given)}, headers=sent, timeout=30)
        content = answer.json()
        if "error" in content:
            raise Refused(answer.status_code, content["error"]["data"]["code"])
        return content["result"]["data"]

    def refused(self, key: str | None, name: str, given: object, **where: Any) -> Refusal | None:
        """The HTTP status and the name of the error of such a call, or None if it succeeds."""
        try:
            self.call(key, name, given, **where)
        except Refused as refusal:
            status, code = refusal.args
            return status, code
        return None

    def refusals(self, key: str | None, **where: Any) -> dict[str, Refusal | None]:
        """The result of `refused` for every procedure."""
        return {name: self.refused(key, name, given, **where) for name, given in CALLS.items()}


@pytest.fixture(scope="module")
def access(pair: Pair) -> Access:
    """Keys of every sort, in the workspaces `mine` and `theirs`."""

    def made(options: Sequence[str]) -> str:
        where = () if "--workspace" in options else ("--workspace", MINE)
        return synap(pair.data_dir, "keys", "create", *options, *where, database_url=pair.database_url)

    with psycopg.connect(pair.database_url, autocommit=True) as connection:
        for slug in (MINE, THEIRS):
            create_workspace(connection, slug)
    with ThreadPoolExecutor(4) as pool:
        tokens = dict(zip(KEYS, pool.map(made, KEYS.values()), strict=True))
    return Access(pair, tokens | {"admin": pair.servers[0].token})


@pytest.mark.parametrize("key", [None, "", "nonsense", "sk_control_" + "0" * 43, "sk_control_\xff"])
def test_without_a_valid_token_every_call_is_rejected(access: Access, key: str | None) -> None:
    assert access.refusals(key) == dict.fromkeys(CALLS, UNAUTHORIZED)


def test_expired_token_is_rejected(access: Access) -> None:
    until(lambda: access.refused("expired", "events.list", {}), seconds=20)

    assert access.refusals("expired") == dict.fromkeys(CALLS, UNAUTHORIZED)


def test_call_needs_its_scope(access: Access) -> None:
    writes, reads = dict.fromkeys(("events.log", "events.logBatch")), dict.fromkeys(("events.list", "events.page"))
    nothing = dict.fromkeys(CALLS, FORBIDDEN)

    assert access.refusals("writer") == nothing | writes
    assert access.refusals("reader") == nothing | reads | {"events.get": NOT_FOUND}
    assert access.refusals("ann") == writes | reads | {"events.get": NOT_FOUND}


def test_event_of_another_workspace_is_not_found(access: Access) -> None:
    theirs = access.call("both", "events.log", EVENT, workspace=THEIRS)

    for reference in (theirs["id"], theirs["hash"].replace("sha256:", "evt_")):
        asked = {"eventId": reference}
        assert access.refused("reader", "events.get", asked) == NOT_FOUND
        assert access.refused("both", "events.get", asked) == NOT_FOUND
        assert access.call("both", "events.get", asked, workspace=THEIRS) == theirs
    assert theirs not in access.call("reader", "events.list", {})


def test_key_acts_in_its_first_workspace_unless_it_names_another_of_its_own(access: Access) -> None:
    data = {"unique": str(uuid4())}

    access.call("both", "events.log", EVENT | {"data": data})

    newest = [access.call("both", "events.list", {"limit": 1}, workspace=name)[0] for name in (MINE, THEIRS)]
    assert [event["data"] == data for event in newest] == [True, False]


@pytest.mark.parametrize("workspace", [THEIRS, "default", "nowhere", "*", "MINE", "mine\xff"])
def test_workspace_that_the_key_lacks_is_forbidden(access: Access, workspace: str) -> None:
    # Equal whether the workspace exists or not: a key learns nothing about other workspaces.
    assert access.refusals("bob", workspace=workspace) == dict.fromkeys(CALLS, FORBIDDEN)


@pytest.mark.parametrize("workspace", ["nowhere", "*", "MINE", "_node", "mine\xff"])
def test_workspace_that_does_not_exist_is_not_found(access: Access, workspace: str) -> None:
    assert access.refusals("admin", workspace=workspace) == dict.fromkeys(CALLS, NOT_FOUND)


def test_read_own_sees_its_own_events_only(access: Access) -> None:
    subject: dict[str, object] = {"subjectId": str(uuid4())}
    own = [access.call("ann", "events.log", EVENT | subject) for _ in range(3)]
    others = [access.call("bob", "events.log", EVENT | subject | {"source": "sync"}) for _ in range(4)]
    filters: list[dict[str, object]] = [{}, {"type": "note.created"}, {"type": "note.*"}, {"hasMetadata": False}]
    filters += [{"source": "api"}, {"from": "2000-01-01T00:00:00Z"}, {"userId": "ann"}]

    for wanted in filters:
        page = access.call("ann", "events.page", wanted)
        assert {event["userId"] for event in page["events"]} == {"ann"}
        assert page["total"] == len(page["events"])
        assert access.call("ann", "events.list", wanted) == page["events"]
    assert access.call("ann", "events.list", subject) == own[::-1]
    for others_only in ({"userId": "bob"}, {"source": "sync"}):
        assert access.call("ann", "events.page", others_only) == {"events": [], "total": 0}
    assert access.call("ann", "events.get", {"eventId": own[0]["id"]}) == own[0]
    assert access.refused("ann", "events.get", {"eventId": others[0]["id"]}) == NOT_FOUND
    assert access.call("bob", "events.list", subject) == (own + others)[::-1]


def test_cursor_of_another_key_shows_no_more_than_one_may_see(access: Access) -> None:
    for key in ("ann", "bob", "ann", "bob"):
        access.call(key, "events.log", EVENT)
    others_cursor = access.call("bob", "events.page", {"limit": 1})["nextCursor"]

    page = access.call("ann", "events.page", {"cursor": others_cursor})

    assert {event["userId"] for event in page["events"]} == {"ann"}
    assert page["total"] == access.call("ann", "events.page", {})["total"]


def test_cursor_does_not_lead_into_another_workspace(access: Access) -> None:
    for _ in range(2):
        access.call("both", "events.log", EVENT, workspace=THEIRS)
    cursor = access.call("both", "events.page", {"limit": 1}, workspace=THEIRS)["nextCursor"]

    assert access.refused("reader", "events.page", {"cursor": cursor}) == (400, "BAD_REQUEST")


def test_only_write_as_logs_for_another_user(access: Access) -> None:
    for_ann = EVENT | {"userId": "ann"}

    assert access.refused("writer", "events.log", for_ann) == FORBIDDEN
    assert access.refused("writer", "events.logBatch", {"events": [EVENT, for_ann]}) == FORBIDDEN
    assert access.call("ann", "events.log", for_ann)["userId"] == "ann"
    logged = access.call("bob", "events.log", for_ann)
    assert logged["userId"] == "ann"
    assert access.call("ann", "events.get", {"eventId": logged["id"]}) == logged


def test_revoked_key_is_rejected_by_every_server_in_seconds(access: Access) -> None:
    key_id = access.tokens["revoked"].split("_")[1]
    for server in range(2):
        assert access.refused("revoked", "events.list", {}, server=server) is None

    synap(access.pair.data_dir, "keys", "revoke", key_id, database_url=access.pair.database_url)

    for server in range(2):
        until(lambda: access.refused("revoked", "events.list", {}, server=server), seconds=REVOKED_SECONDS)  # noqa: B023
        assert access.refused("revoked", "events.list", {}, server=server) == UNAUTHORIZED


def test_tokens_are_nowhere_in_the_logs(access: Access) -> None:
    for key in KEYS:
        access.refused(key, "events.get", {"eventId": "event-123"})

    logs = "".join(server.log.read_text() for server in access.pair.servers)
    assert "events.get" in logs
    assert not [name for name, token in access.tokens.items() if token in logs]
