"""Callers create, list, rotate and revoke keys, and never get more rights than they had."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import msgspec
import pytest
from msgspec import Struct

from app.store.install.install import connect
from app.store.install.keys import token_hash
from schemas.principal import Scope
from tests.kit.servers import Server, until
from tests.procedures.conftest import Keyed, answered, failed

EVENT = {"type": "note.created", "data": {}}

MANAGE = "keys:manage"

REVOKED_SECONDS = 20
"""After this time, every server rejects a key that has ended."""

WEEK = 604_800


def _create(caller: Server, *scopes: str, **members: object) -> dict[str, Any]:
    key: dict[str, Any] = answered(caller.mutate("keys.create", {"scopes": scopes, **members}))
    return key


def _as(caller: Server, key: dict[str, Any]) -> Server:
    """The server as called with a new key."""
    return msgspec.structs.replace(caller, token=key["token"])


def _listed(caller: Server, **members: object) -> list[dict[str, Any]]:
    keys: list[dict[str, Any]] = answered(caller.query("keys.list", members))["keys"]
    return keys


def _ids(caller: Server, **members: object) -> set[str]:
    return {key["id"] for key in _listed(caller, **members)}


def _instant(text: str) -> datetime:
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)


def _without_token(key: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in key.items() if name != "token"}


@pytest.fixture
def workspace(keyed: Keyed) -> str:
    """A workspace of the test's own."""
    return keyed.workspace()


@pytest.fixture
def admin(keyed: Keyed, workspace: str) -> Server:
    """A caller that may do everything in the workspace."""
    return keyed.key("*", user="admin", workspaces=(workspace,))[1]


def test_a_key_lives_from_its_making_to_its_end(admin: Server, workspace: str) -> None:
    made = _create(admin, "events:read", "events:write", userId="ann")
    ann = _as(admin, made)

    event = answered(ann.mutate("events.log", EVENT))
    assert event["userId"] == "ann"
    assert answered(admin.query("events.get", {"eventId": event["id"]})) == event
    assert made["workspaces"] == [workspace]
    failed(ann.query("keys.list"), 403)

    revoked = answered(admin.mutate("keys.revoke", {"keyId": made["id"]}))

    assert revoked == {**_without_token(made), "revokedAt": revoked["revokedAt"]}
    until(lambda: ann.query("events.list").status_code == 401, seconds=REVOKED_SECONDS)


def test_a_rotated_key_works_for_its_grace_time(keyed: Keyed, admin: Server) -> None:
    made = _create(admin, "events:read", userId="ann", expiresInSeconds=WEEK)
    old = _as(admin, made)
    assert old.query("events.list").status_code == 200

    successor = answered(admin.mutate("keys.rotate", {"keyId": made["id"], "graceSeconds": 3600}))
    new = _as(admin, successor)

    assert (old.query("events.list").status_code, new.query("events.list").status_code) == (200, 200)
    [ends_at] = [_instant(key["expiresAt"]) for key in _listed(admin) if key["id"] == made["id"]]
    assert ends_at - _instant(successor["createdAt"]) == timedelta(hours=1)
    keyed.expire(made["id"])
    until(lambda: old.query("events.list").status_code == 401, seconds=REVOKED_SECONDS)
    assert new.query("events.list").status_code == 200


def test_a_key_rotated_without_grace_ends_at_once(admin: Server) -> None:
    made = _create(admin, "events:read")
    old = _as(admin, made)
    assert old.query("events.list").status_code == 200

    successor = answered(admin.mutate("keys.rotate", {"keyId": made["id"]}))

    assert _as(admin, successor).query("events.list").status_code == 200
    until(lambda: old.query("events.list").status_code == 401, seconds=REVOKED_SECONDS)


def test_a_key_has_what_was_requested(keyed: Keyed, workspace: str) -> None:
    other = keyed.workspace()
    before = datetime.now(UTC)

    made = _create(
        keyed.server,
        "events:write",
        "events:read",
        userId="ann é",
        workspaces=[workspace, other],
        expiresInSeconds=2**31 - 1,
    )

    created_at = _instant(made["createdAt"])
    assert before <= created_at <= datetime.now(UTC)
    assert _instant(made["expiresAt"]) - created_at == timedelta(seconds=2**31 - 1)
    assert made == {
        "id": made["token"].split("_")[1],
        "userId": "ann é",
        "scopes": ["events:write", "events:read"],
        "workspaces": [workspace, other],
        "createdAt": made["createdAt"],
        "expiresAt": made["expiresAt"],
        "token": made["token"],
    }
    assert _without_token(made) in _listed(keyed.server, limit=1000)


def test_a_key_belongs_to_the_caller_by_default(keyed: Keyed, workspace: str) -> None:
    other = keyed.workspace()
    _, caller = keyed.key(MANAGE, "events:read", user="ann", workspaces=(other, workspace))

    made = answered(caller.mutate("keys.create", {"scopes": ["events:read"]}, **{"x-workspace-id": workspace}))
    everywhere = _create(keyed.server, "events:read", userId=None, workspaces=None, expiresInSeconds=None)

    assert (made["userId"], made["workspaces"], "expiresAt" in made) == ("ann", [workspace], False)
    assert (everywhere["userId"], everywhere["workspaces"]) == ("control", ["default"])


def test_only_the_hash_of_a_token_is_kept(keyed: Keyed, admin: Server) -> None:
    made = _create(admin, "events:read")
    successor = answered(admin.mutate("keys.rotate", {"keyId": made["id"], "graceSeconds": 60}))

    with connect(keyed.database_url) as connection:
        stored = {row[0]: str(row) for row in connection.execute("SELECT id, token_sha256, api_key::text FROM api_key")}
    log = keyed.server.log.read_text()
    listed = admin.query("keys.list", {"includeEnded": True}).text
    for key in (made, successor):
        secret = key["token"].split("_")[2]
        assert len(secret) == 43
        assert token_hash(key["token"]).hex() in stored[key["id"]]
        assert all(secret not in text for text in (*stored.values(), log, listed))


class Caller(Struct, frozen=True):
    """A calling key of the user `u1` with one workspace."""

    scopes: tuple[str, ...]
    seconds: float | None = None


READER = Caller((MANAGE, "events:read"))
OWN = Caller((MANAGE, "events:read-own", "events:write"))
WRITER = Caller((MANAGE, "events:write", "events:write-as"))
BRIEF = Caller((MANAGE, "events:read"), 600)
ALL = Caller(("*",))
CONFINED = Caller((MANAGE, "events:read-own", "subscriptions:manage", "ledger:read", "audit:read"))

ESCALATIONS: dict[str, tuple[Caller, dict[str, Any], set[str]]] = {
    "a scope it lacks": (READER, {"scopes": ["events:write"]}, {"scopes.0"}),
    "every scope": (READER, {"scopes": ["*"]}, {"scopes.0"}),
    "every scope by name": (
        OWN,
        {"scopes": [str(each) for each in Scope]},
        {f"scopes.{n}" for n in (0, *range(3, 10), 11, 12)},
    ),
    "all reading for its own": (OWN, {"scopes": ["events:read"]}, {"scopes.0"}),
    "writing as others for writing": (OWN, {"scopes": ["events:write", "events:write-as"]}, {"scopes.1"}),
    "writing for writing as others": (Caller((MANAGE, "events:write-as")), {"scopes": ["events:write"]}, {"scopes.0"}),
    "managing and more": (
        Caller((MANAGE,)),
        {"scopes": [MANAGE, "audit:read", "ledger:read"]},
        {"scopes.1", "scopes.2"},
    ),
    "every workspace": (ALL, {"scopes": [MANAGE], "workspaces": ["*"]}, {"workspaces.0"}),
    "another workspace": (ALL, {"scopes": [MANAGE], "workspaces": ["default"]}, {"workspaces.0"}),
    "an unknown workspace": (ALL, {"scopes": [MANAGE], "workspaces": ["nosuch"]}, {"workspaces.0"}),
    "the log of the install": (ALL, {"scopes": [MANAGE], "workspaces": ["own", "default"]}, {"workspaces.1"}),
    "a later end": (BRIEF, {"scopes": ["events:read"], "expiresInSeconds": 700}, {"expiresInSeconds"}),
    "the latest end": (BRIEF, {"scopes": ["events:read"], "expiresInSeconds": 2**31 - 1}, {"expiresInSeconds"}),
    "another who writes": (OWN, {"scopes": ["events:write"], "userId": "ann"}, {"userId"}),
    "another who reads": (OWN, {"scopes": ["events:read-own"], "userId": "ann"}, {"userId"}),
    "another who reads, by a writer for others": (
        Caller((MANAGE, "events:write-as", "events:read-own")),
        {"scopes": ["events:read-own"], "userId": "ann"},
        {"userId"},
    ),
    "another who writes, by a reader of all": (
        Caller((MANAGE, "events:write", "events:read")),
        {"scopes": ["events:read", "events:write"], "userId": "ann"},
        {"userId"},
    ),
    "another who does everything": (OWN, {"scopes": ["*"], "userId": "ann"}, {"scopes.0", "userId"}),
    "another who does everything, by who does everything": (ALL, {"scopes": ["*"], "userId": "ann"}, {"userId"}),
    **{
        f"all that {scope} shows": (CONFINED, {"scopes": [MANAGE, scope], "userId": user}, {"scopes"})
        for scope, user in {"subscriptions:manage": "u1", "ledger:read": None, "audit:read": "ann"}.items()
    },
    "everything at once": (
        Caller((MANAGE, "events:write"), 600),
        {"scopes": ["events:write", "*"], "userId": "ann", "workspaces": ["own", "*"], "expiresInSeconds": 700},
        {"userId", "scopes.1", "workspaces.1", "expiresInSeconds"},
    ),
}


def _called(keyed: Keyed, caller: Caller, asked: dict[str, Any]) -> httpx.Response:
    own = keyed.workspace()
    if "workspaces" in asked:
        asked = asked | {"workspaces": [own if name == "own" else name for name in asked["workspaces"]]}
    return keyed.key(*caller.scopes, workspaces=(own,), seconds=caller.seconds)[1].mutate("keys.create", asked)


@pytest.mark.parametrize(("caller", "asked", "places"), ESCALATIONS.values(), ids=list(ESCALATIONS))
def test_a_key_grants_no_more_than_it_has(
    keyed: Keyed, caller: Caller, asked: dict[str, Any], places: set[str]
) -> None:
    response = _called(keyed, caller, asked)

    assert failed(response, 403)["reason"] == "forbidden"
    preface, _, told = response.json()["error"]["message"].partition(". ")
    assert preface == "A key grants at most what it has"
    assert {refusal.partition(": ")[0] for refusal in _refusals(told)} == places


def _refusals(told: str) -> list[str]:
    """The parts of a message that begin with a path."""
    return [part for part in told.split("; ") if ": " in part]


GRANTED: dict[str, tuple[Caller, dict[str, Any]]] = {
    "its own scopes": (OWN, {"scopes": list(OWN.scopes)}),
    "its own reading for all reading": (READER, {"scopes": ["events:read-own"]}),
    "every scope by a key of every scope": (ALL, {"scopes": ["*"]}),
    "some scopes by a key of every scope": (ALL, {"scopes": ["events:erase", "events:read-own", "workspaces:manage"]}),
    "its own workspace": (READER, {"scopes": ["events:read"], "workspaces": ["own"]}),
    "an earlier end": (BRIEF, {"scopes": ["events:read"], "expiresInSeconds": 500}),
    "an end by a key without one": (READER, {"scopes": ["events:read"], "expiresInSeconds": 1}),
    "its own confines": (CONFINED, {"scopes": ["subscriptions:manage", "events:read-own", "ledger:read"]}),
    "less than its confines": (CONFINED, {"scopes": [MANAGE]}),
    "webhooks by one who sees all": (
        Caller((MANAGE, "subscriptions:manage")),
        {"scopes": ["subscriptions:manage"], "userId": "ann"},
    ),
    "its own user": (OWN, {"scopes": ["events:write", "events:read-own"], "userId": "u1"}),
    "another who writes, by a writer for others": (WRITER, {"scopes": ["events:write"], "userId": "ann"}),
    "another who reads, by a reader of all": (READER, {"scopes": ["events:read-own"], "userId": "ann"}),
    "another who reads all": (READER, {"scopes": ["events:read"], "userId": "ann"}),
    "another who manages keys": (OWN, {"scopes": [MANAGE], "userId": "ann"}),
    "everything": (ALL, {"scopes": ["*"]}),
    "another who does everything": (Caller(("*", "intents:decide-own")), {"scopes": ["*"], "userId": "ann"}),
    "another who reads and writes": (ALL, {"scopes": ["events:write", "events:read-own"], "userId": "ann"}),
}


@pytest.mark.parametrize(("caller", "asked"), GRANTED.values(), ids=list(GRANTED))
def test_a_key_grants_what_it_has(keyed: Keyed, caller: Caller, asked: dict[str, Any]) -> None:
    made = answered(_called(keyed, caller, asked))

    assert (made["scopes"], made["userId"]) == (asked["scopes"], asked.get("userId", "u1"))


def test_a_key_for_another_user_leads_nowhere(keyed: Keyed, workspace: str) -> None:
    _, caller = keyed.key(*OWN.scopes, workspaces=(workspace,))

    manager = _as(caller, _create(caller, MANAGE, userId="ann"))

    for scope in ("events:read-own", "events:write", "events:read", "*"):
        failed(manager.mutate("keys.create", {"scopes": [scope]}), 403)


def test_a_new_key_ends_with_the_one_that_made_it(keyed: Keyed, workspace: str) -> None:
    key_id, caller = keyed.key(MANAGE, "events:read", workspaces=(workspace,), seconds=600)

    made = _create(caller, "events:read")

    ends = {key["id"]: key["expiresAt"] for key in _listed(caller)}
    assert ends[key_id] == ends[made["id"]] == made["expiresAt"]


def test_a_key_that_has_just_ended_makes_and_ends_no_key(keyed: Keyed, workspace: str) -> None:
    key_id, caller = keyed.key(MANAGE, workspaces=(workspace,))
    other_id, _ = keyed.key(MANAGE, workspaces=(workspace,))
    assert caller.query("keys.list").status_code == 200  # from now on the server caches it for seconds

    keyed.revoke(key_id)

    for name, asked in (
        ("keys.create", {"scopes": [MANAGE]}),
        ("keys.rotate", {"keyId": other_id}),
        ("keys.revoke", {"keyId": other_id}),
    ):
        assert failed(caller.mutate(name, asked), 401)["reason"] == "unauthorized"


def test_a_key_in_its_grace_makes_none_that_lasts(admin: Server) -> None:
    made = _create(admin, MANAGE, "events:read")
    caller = _as(admin, made)
    assert caller.query("keys.list").status_code == 200  # it is cached as a key that never expires

    successor = answered(caller.mutate("keys.rotate", {"keyId": made["id"], "graceSeconds": 60}))

    assert "expiresAt" not in successor
    end = _create(caller, "events:read")["expiresAt"]
    assert end == next(key["expiresAt"] for key in _listed(admin) if key["id"] == made["id"])
    failed(caller.mutate("keys.create", {"scopes": ["events:read"], "expiresInSeconds": 100}), 403)
    failed(caller.mutate("keys.rotate", {"keyId": successor["id"]}), 403)


INVALID: dict[str, tuple[str, dict[str, Any], set[str]]] = {
    "no scopes": ("keys.create", {}, {"scopes"}),
    "an empty list of scopes": ("keys.create", {"scopes": []}, {"scopes"}),
    "one scope without a list": ("keys.create", {"scopes": "*"}, {"scopes"}),
    "unknown scopes": (
        "keys.create",
        {"scopes": ["events:read", "events:*", "EVENTS_READ", 1]},
        {f"scopes.{n}" for n in (1, 2, 3)},
    ),
    "repeated scopes": ("keys.create", {"scopes": ["*", "events:read", "*", "*"]}, {"scopes.2", "scopes.3"}),
    "too many scopes": ("keys.create", {"scopes": ["*"] * 101}, {"scopes"}),
    "an empty list of workspaces": ("keys.create", {"scopes": ["*"], "workspaces": []}, {"workspaces"}),
    "no slugs": (
        "keys.create",
        {"scopes": ["*"], "workspaces": ["default", "DEFAULT", "_node", "", "a" * 64, "a\n", "**", "\x00"]},
        {f"workspaces.{place}" for place in range(1, 8)},
    ),
    "unknown workspaces": (
        "keys.create",
        {"scopes": ["*"], "workspaces": ["nosuch", "default", "*", "nor-this"]},
        {"workspaces.0", "workspaces.3"},
    ),
    "all that is repeated or unknown": (
        "keys.create",
        {"scopes": ["*", "*"], "workspaces": ["default", "nosuch", "default"]},
        {"scopes.1", "workspaces.1", "workspaces.2"},
    ),
    **{
        f"a lifetime of {seconds!r}": (
            "keys.create",
            {"scopes": ["*"], "expiresInSeconds": seconds},
            {"expiresInSeconds"},
        )
        for seconds in (0, -1, 2**31, 1e30, 0.5, "60", True)
    },
    **{
        f"the user {name}": ("keys.create", {"scopes": ["*"], "userId": user}, {"userId"})
        for name, user in {"of no name": "", "of a long name": "x" * 257, "U+0000": "\x00", "1": 1}.items()
    },
    "what a caller may not set": (
        "keys.create",
        {"scopes": ["*"], "token": "sk_a_b", "id": "control", "expiresAt": "2030-01-01T00:00:00Z"},
        {"token", "id", "expiresAt"},
    ),
    "all fields": (
        "keys.create",
        {"scopes": ["x"], "userId": "", "workspaces": ["?"], "expiresInSeconds": 0},
        {"scopes.0", "userId", "workspaces.0", "expiresInSeconds"},
    ),
    "no key to revoke": ("keys.revoke", {}, {"keyId"}),
    "U+0000 to revoke": ("keys.revoke", {"keyId": "\x00"}, {"keyId"}),
    "no key to rotate": ("keys.rotate", {"graceSeconds": -1}, {"keyId", "graceSeconds"}),
    "a long grace": ("keys.rotate", {"keyId": "x", "graceSeconds": WEEK + 1}, {"graceSeconds"}),
    "a short page": ("keys.list", {"limit": 0, "cursor": ""}, {"limit", "cursor"}),
    "a long page": ("keys.list", {"limit": 1001, "includeEnded": "yes"}, {"limit", "includeEnded"}),
    "no cursor of ours": ("keys.list", {"cursor": "nosuch"}, {"cursor"}),
}


@pytest.mark.parametrize(("name", "asked", "places"), INVALID.values(), ids=list(INVALID))
def test_every_invalid_place_is_named(keyed: Keyed, name: str, asked: dict[str, Any], places: set[str]) -> None:
    ask = keyed.server.query if name == "keys.list" else keyed.server.mutate

    data = failed(ask(name, asked), 400)

    assert {issue["path"] for issue in data["issues"]} == places


HELD: dict[str, tuple[Caller, dict[str, Any], str | None]] = {
    "the same": (READER, {"scopes": READER.scopes}, None),
    "less": (READER, {"scopes": ("events:read-own",)}, None),
    "of everything, for everything": (ALL, {"scopes": ("*",)}, None),
    "of another who does everything": (ALL, {"scopes": ("*",), "user": "ann"}, "rotate"),
    "of another who decides": (ALL, {"scopes": ("intents:decide",), "user": "ann"}, "rotate"),
    "of another who reads all": (READER, {"scopes": ("events:read",), "user": "ann"}, None),
    "of another who writes, for a writer for others": (WRITER, {"scopes": ("events:write",), "user": "ann"}, None),
    "an expiring one": (BRIEF, {"scopes": ("events:read",), "seconds": 500}, None),
    "a wider one": (READER, {"scopes": ("events:read", "events:write")}, "rotate revoke"),
    "all reading for its own": (OWN, {"scopes": ("events:read",)}, "rotate revoke"),
    "one of everything": (OWN, {"scopes": ("*",)}, "rotate revoke"),
    "of another who writes": (OWN, {"scopes": ("events:write",), "user": "ann"}, "rotate"),
    "of another who reads": (OWN, {"scopes": ("events:read-own", "events:write"), "user": "ann"}, "rotate"),
    "one that sees all": (CONFINED, {"scopes": ("subscriptions:manage",)}, "rotate"),
    "one that is confined likewise": (CONFINED, {"scopes": CONFINED.scopes}, None),
    "one that never ends": (BRIEF, {"scopes": ("events:read",)}, "rotate"),
    "one that ends later": (BRIEF, {"scopes": ("events:read",), "seconds": 700}, "rotate"),
}
"""The caller, the key to rotate or revoke, and the part of the key for which that is rejected."""


@pytest.mark.parametrize("name", ["rotate", "revoke"])
@pytest.mark.parametrize(("caller", "held", "refused"), HELD.values(), ids=list(HELD))
def test_a_caller_that_may_not_make_a_key_may_not_take_it_over(
    keyed: Keyed, workspace: str, caller: Caller, held: dict[str, Any], refused: str | None, name: str
) -> None:
    asking = keyed.key(*caller.scopes, workspaces=(workspace,), seconds=caller.seconds)[1]
    where = {"user": "u1", "workspaces": (workspace,), **held}
    key_id, holder = keyed.key(*where.pop("scopes"), **where)

    response = asking.mutate(f"keys.{name}", {"keyId": key_id})

    if refused is not None and name in refused.split():
        assert failed(response, 403)["reason"] == "forbidden"
        assert "revokedAt" not in next(key for key in _listed(asking) if key["id"] == key_id)
        assert holder.query("events.get", {"eventId": "x"}).status_code != 401
    else:
        answered(response)
        assert key_id not in _ids(asking)


def test_a_key_of_workspaces_that_the_caller_lacks_is_not_there(keyed: Keyed, workspace: str) -> None:
    _, caller = keyed.key("*", workspaces=(workspace, "default"))
    hidden = {
        keyed.key(MANAGE, workspaces=workspaces)[0]
        for workspaces in ((keyed.workspace(),), (workspace, keyed.workspace()), ("*",), (workspace, "*"))
    }
    mine = keyed.key(MANAGE, workspaces=("default", workspace))[0]

    assert mine in _ids(caller, limit=1000)
    assert not hidden & _ids(caller, includeEnded=True, limit=1000)
    for name in ("keys.rotate", "keys.revoke"):
        unknown = caller.mutate(name, {"keyId": "nosuch"})
        assert failed(unknown, 404)["reason"] == "not_found"
        assert all(caller.mutate(name, {"keyId": key_id}).json() == unknown.json() for key_id in hidden)
    for key_id in hidden:
        assert failed(caller.query("keys.list", {"cursor": key_id}), 400)["issues"][0]["path"] == "cursor"
    assert hidden <= _ids(keyed.server, limit=1000)


def test_the_control_key_is_ended_by_its_like_only(keyed: Keyed, admin: Server) -> None:
    _, everywhere = keyed.key(*(str(each) for each in Scope if each != "*"), workspaces=("*",))
    like_it, _ = keyed.key("*", user="control", workspaces=("*",))

    for name in ("keys.rotate", "keys.revoke"):
        failed(admin.mutate(name, {"keyId": "control"}), 404)
        failed(everywhere.mutate(name, {"keyId": "control"}), 403)

    assert answered(keyed.server.mutate("keys.revoke", {"keyId": like_it}))["revokedAt"]


def test_a_token_is_no_key_id_and_is_not_repeated(keyed: Keyed, admin: Server) -> None:
    token = admin.token

    answers = [
        admin.mutate("keys.revoke", {"keyId": token}),
        admin.mutate("keys.rotate", {"keyId": token}),
        admin.query("keys.list", {"cursor": token}),
        admin.mutate("keys.create", {"scopes": [token], "workspaces": [token], "expiresInSeconds": token}),
    ]

    assert [answer.status_code for answer in answers] == [404, 404, 400, 400]
    assert all(token not in answer.text for answer in answers)
    assert token not in keyed.server.log.read_text()


def test_revoking_again_changes_nothing(admin: Server) -> None:
    made = _create(admin, "events:read")

    first, again = (answered(admin.mutate("keys.revoke", {"keyId": made["id"]})) for _ in range(2))

    assert first == again
    assert "token" not in first


def test_a_key_may_end_itself(keyed: Keyed, workspace: str) -> None:
    key_id, caller = keyed.key(MANAGE, workspaces=(workspace,))

    assert answered(caller.mutate("keys.revoke", {"keyId": key_id}))["id"] == key_id

    until(lambda: caller.query("keys.list").status_code == 401, seconds=REVOKED_SECONDS)


def test_a_successor_has_all_rights_of_the_key(keyed: Keyed, workspace: str) -> None:
    other = keyed.workspace()
    _, caller = keyed.key("*", workspaces=(workspace, other))
    made = _create(
        caller, "ledger:read", "events:read", userId="ann", workspaces=[other, workspace], expiresInSeconds=90
    )

    successor = answered(caller.mutate("keys.rotate", {"keyId": made["id"], "graceSeconds": WEEK}))

    changed = {"id", "createdAt", "token"}
    assert {name for name in made | successor if made.get(name) != successor.get(name)} == changed
    keys = {key["id"]: key for key in _listed(caller)}
    assert keys[made["id"]] == _without_token(made)  # it expires before its grace time would end
    assert keys[successor["id"]] == _without_token(successor)


@pytest.mark.parametrize("end", ["revoked", "expired", "rotated"])
def test_a_key_that_has_ended_is_not_rotated(keyed: Keyed, admin: Server, workspace: str, end: str) -> None:
    key_id, _ = keyed.key("events:read", workspaces=(workspace,), seconds=-1 if end == "expired" else None)
    if end != "expired":
        answered(
            admin.mutate(f"keys.{end.replace('rotated', 'rotate').replace('revoked', 'revoke')}", {"keyId": key_id})
        )
    before = _ids(admin, includeEnded=True)

    response = admin.mutate("keys.rotate", {"keyId": key_id, "graceSeconds": 60})

    assert [issue["path"] for issue in failed(response, 400)["issues"]] == ["keyId"]
    assert "keys.create" in response.json()["error"]["message"]
    assert _ids(admin, includeEnded=True) == before


def test_of_rotations_at_once_one_succeeds(admin: Server) -> None:
    key_id = _create(admin, "events:read")["id"]
    before = _ids(admin)

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: admin.mutate("keys.rotate", {"keyId": key_id}), range(8)))

    assert sorted(answer.status_code for answer in answers) == [200] + [400] * 7
    [successor] = [answered(answer) for answer in answers if answer.status_code == 200]
    assert _ids(admin) == before - {key_id} | {successor["id"]}
    [entry] = answered(admin.query("audit.list", {"action": "key.rotated"}))["entries"]
    assert entry["detail"] == {"keyId": key_id, "newKeyId": successor["id"], "graceSeconds": 0}


def test_keys_are_listed_oldest_first_by_pages(keyed: Keyed, admin: Server) -> None:
    keyed.key("events:read", workspaces=(keyed.workspace(),))
    made = [_create(admin, "events:read")["id"] for _ in range(4)]
    listed = [key["id"] for key in _listed(admin)]

    pages: list[list[str]] = []
    cursor: str | None = None
    while cursor is not None or not pages:
        page = answered(admin.query("keys.list", {"limit": 2, "cursor": cursor}))
        pages.append([key["id"] for key in page["keys"]])
        cursor = page.get("nextCursor")

    assert listed[1:] == made
    assert pages == [listed[:2], listed[2:4], listed[4:]]


def test_keys_that_have_ended_are_listed_on_request(keyed: Keyed, admin: Server, workspace: str) -> None:
    valid = _ids(admin)
    expired, _ = keyed.key("events:read", workspaces=(workspace,), seconds=-1)
    revoked = _create(admin, "events:read")["id"]
    answered(admin.mutate("keys.revoke", {"keyId": revoked}))

    assert _ids(admin) == valid
    assert _ids(admin, includeEnded=True) == valid | {expired, revoked}
    assert answered(admin.query("keys.list", {"cursor": revoked})) == {"keys": []}
    with_ended = {key["id"]: key for key in _listed(admin, includeEnded=True)}
    assert {"expiresAt", "revokedAt"} & with_ended[expired].keys() == {"expiresAt"}
    assert {"expiresAt", "revokedAt"} & with_ended[revoked].keys() == {"revokedAt"}


def test_a_key_asks_for_itself(admin: Server, keyed: Keyed, workspace: str) -> None:
    other = keyed.workspace()
    made = _create(keyed.server, "events:read-own", userId="ann", workspaces=[workspace, other], expiresInSeconds=3600)
    ann = _as(keyed.server, made)

    asked = answered(ann.query("keys.current"))

    assert asked == {
        "id": made["id"],
        "userId": "ann",
        "scopes": ["events:read-own"],
        "workspace": workspace,
        "workspaces": [workspace, other],
        "hasMoreWorkspaces": False,
        "readsOwn": True,
        "node": answered(keyed.key("ledger:read")[1].query("ledger.node"))["node_did"],
        "expiresAt": made["expiresAt"],
    }
    assert answered(admin.query("keys.current"))["scopes"] == ["*"]


def test_a_key_for_every_workspace_hears_which_there_are(keyed: Keyed) -> None:
    made = {keyed.workspace() for _ in range(3)}

    asked = answered(keyed.server.query("keys.current"))

    assert made | {"default"} <= set(asked["workspaces"])
    assert asked["workspaces"] == sorted(asked["workspaces"])
    assert "_node" not in asked["workspaces"]
    assert asked["readsOwn"] is False
    assert "expiresAt" not in asked
