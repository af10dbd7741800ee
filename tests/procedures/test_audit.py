"""Every administrative act is entered once in the audit of each workspace that it concerns, without secrets."""

import json
import os
import re
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec
import psycopg
import pytest
from msgspec import Struct

from app.ledger.audit import first_broken
from app.ledger.chain import AUDIT_TIP_TYPE, NODE_LOG
from procedures.registry import registry
from schemas.audit import AuditEntry
from tests.kit.checks import check_log
from tests.kit.command import synap
from tests.kit.servers import Server, cloned, environment, serving
from tests.procedures.conftest import Keyed, answered, failed

USER = "user-ann-17"

HOOK = "https://receiver.example/path-secret?token=query-secret"

WEBHOOK = {"eventTypes": ["code.*", "*"], "webhookUrl": HOOK, "description": f"about {USER}", "secret": "hook-secret"}

GIVEN_SECRETS = ("path-secret", "query-secret", "hook-secret", "another-secret", USER)

INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")

IN_NODE_LOG = {"x-workspace-id": NODE_LOG}


def _audit(caller: Server, **asked: object) -> list[dict[str, Any]]:
    """All entries that a caller sees of its workspace's audit, by as many reads as it takes."""
    entries: list[dict[str, Any]] = []
    while True:
        page = answered(caller.query("audit.list", {"limit": 1000, **asked}))
        entries += page["entries"]
        if page["total"] == len(page["entries"]):
            return entries
        asked["since"] = entries[-1]["timestamp"]


def _rows(database_url: str, log: str) -> list[tuple[str, str, dict[str, Any]]]:
    """Action, actor and detail of the entries of a log, without entering a read."""
    with psycopg.connect(database_url) as connection:
        rows = connection.execute(
            "SELECT action, actor, detail FROM audit_entry WHERE workspace_id = %s ORDER BY seq", [log]
        ).fetchall()
    return [(action, actor, json.loads(detail)) for action, actor, detail in rows]


def _verified(entries: list[dict[str, Any]]) -> None:
    assert first_broken(msgspec.json.decode(json.dumps(entry), type=AuditEntry) for entry in entries) is None


class Scene(Struct, frozen=True):
    """Two workspaces of the test's own, a caller that manages both, and a key and a webhook in the first."""

    keyed: Keyed
    first: str
    second: str
    admin_id: str
    admin: Server
    key_id: str
    subscription_id: str

    def counts(self) -> list[int]:
        """How many entries the audits of the two workspaces and of the install have."""
        return [len(_rows(self.keyed.database_url, log)) for log in (self.first, self.second, NODE_LOG)]

    def last(self, log: str) -> tuple[str, str, dict[str, Any]]:
        """The last audit entry of a log."""
        return _rows(self.keyed.database_url, log)[-1]


@pytest.fixture
def scene(keyed: Keyed) -> Scene:
    """The objects of the acts."""
    first, second = keyed.workspace(), keyed.workspace()
    admin_id, admin = keyed.key("*", user=USER, workspaces=(first, second))
    made = answered(admin.mutate("keys.create", {"scopes": ["events:read"], "workspaces": [first, second]}))
    hook = answered(admin.mutate("subscriptions.create", WEBHOOK))
    answered(admin.mutate("events.log", {"type": "code.made", "data": {}}))
    return Scene(keyed, first, second, admin_id, admin, made["id"], hook["subscriptionId"])


class Did(Struct, frozen=True, kw_only=True):
    """A mutation that manages or erases something: its input, its entry, and the logs that get the entry.

    `first_steps` are called before it. `again` is whether a second call is an act too.
    """

    value: Callable[[Scene], dict[str, Any]]
    action: str
    detail: Callable[[Scene, dict[str, Any]], dict[str, Any]]
    logs: tuple[bool, bool, bool] = (True, False, False)
    first_steps: tuple[str, ...] = ()
    again: bool = True


def _hook(scene: Scene) -> dict[str, Any]:
    return {"subscriptionId": scene.subscription_id}


def _same(scene: Scene, _: dict[str, Any]) -> dict[str, Any]:
    return {"subscriptionId": scene.subscription_id}


def _created(_: Scene, answer: dict[str, Any]) -> dict[str, Any]:
    return {name: answer["id" if name == "keyId" else name] for name in ("keyId", "scopes", "workspaces")}


ACTS: dict[str, tuple[str, Did]] = {
    "a key of one workspace": (
        "keys.create",
        Did(value=lambda _: {"scopes": ["events:read"]}, action="key.created", detail=_created),
    ),
    "a key of two workspaces that expires": (
        "keys.create",
        Did(
            value=lambda scene: {
                "scopes": ["events:write", "events:write-as"],
                "workspaces": [scene.second, scene.first],
                "userId": f"{USER}@example.org",
                "expiresInSeconds": 60,
            },
            action="key.created",
            detail=lambda scene, answer: _created(scene, answer) | {"expiresAt": answer["expiresAt"]},
            logs=(True, True, False),
        ),
    ),
    "a key's successor": (
        "keys.rotate",
        Did(
            value=lambda scene: {"keyId": scene.key_id, "graceSeconds": 60},
            action="key.rotated",
            detail=lambda scene, answer: {"keyId": scene.key_id, "newKeyId": answer["id"], "graceSeconds": 60},
            logs=(True, True, False),
        ),
    ),
    "a key's end": (
        "keys.revoke",
        Did(
            value=lambda scene: {"keyId": scene.key_id},
            action="key.revoked",
            detail=lambda scene, _: {"keyId": scene.key_id},
            logs=(True, True, False),
            again=False,
        ),
    ),
    "a webhook": (
        "subscriptions.create",
        Did(
            value=lambda _: WEBHOOK,
            action="subscription.created",
            detail=lambda _, answer: {
                "subscriptionId": answer["subscriptionId"],
                "eventTypes": ["code.*", "*"],
                "host": "receiver.example",
            },
        ),
    ),
    "a pause": ("subscriptions.pause", Did(value=_hook, action="subscription.paused", detail=_same, again=False)),
    "a pause's end": (
        "subscriptions.resume",
        Did(
            value=_hook,
            action="subscription.resumed",
            detail=_same,
            first_steps=("subscriptions.pause",),
            again=False,
        ),
    ),
    "another secret": (
        "subscriptions.rotateSecret",
        Did(
            value=lambda scene: {**_hook(scene), "secret": "another-secret", "graceSeconds": 5},
            action="subscription.secret_rotated",
            detail=lambda scene, _: {"subscriptionId": scene.subscription_id, "graceSeconds": 5},
        ),
    ),
    "a test": ("subscriptions.test", Did(value=_hook, action="subscription.tested", detail=_same)),
    "a replay": (
        "subscriptions.replay",
        Did(
            value=lambda scene: {**_hook(scene), "fromSeq": 0, "toSeq": 7},
            action="subscription.replayed",
            detail=lambda scene, _: {"subscriptionId": scene.subscription_id, "fromSeq": 0, "toSeq": 7},
        ),
    ),
    "a webhook's end": (
        "subscriptions.delete",
        Did(value=_hook, action="subscription.deleted", detail=_same, again=False),
    ),
    "an erasure": (
        "events.erase",
        Did(
            value=lambda _: {"userId": USER},
            action="events.erased",
            detail=lambda _, answer: {"by": "userId", "events": answer["erased"], "seq": 1},
            again=False,
        ),
    ),
}


def test_the_table_has_every_administrative_mutation() -> None:
    administrative = {name for name, procedure in registry().items() if procedure.is_administrative}
    assert {name for name, _ in ACTS.values()} == administrative


@pytest.mark.parametrize(("name", "did"), ACTS.values(), ids=list(ACTS))
def test_an_act_leaves_one_entry_in_each_log_that_it_concerns(scene: Scene, name: str, did: Did) -> None:
    for step in did.first_steps:
        answered(scene.admin.mutate(step, did.value(scene)))
    before = scene.counts()

    answer = answered(scene.admin.mutate(name, did.value(scene)))

    assert scene.counts() == [count + concerned for count, concerned in zip(before, did.logs, strict=True)]
    for log, concerned in zip((scene.first, scene.second, NODE_LOG), did.logs, strict=True):
        if concerned:
            assert scene.last(log) == (did.action, scene.admin_id, did.detail(scene, answer))


@pytest.mark.parametrize(("name", "did"), ACTS.values(), ids=list(ACTS))
def test_a_rejected_or_repeated_act_leaves_no_entry(scene: Scene, name: str, did: Did) -> None:
    lesser = ("events:read", "events:write", "ledger:read", "audit:read", "workspaces:manage")
    outsider = scene.keyed.key(*lesser, user=USER, workspaces=(scene.first,))[1]
    stranger = scene.keyed.key("*", workspaces=(scene.keyed.workspace(),))[1]
    for step in did.first_steps:
        answered(scene.admin.mutate(step, did.value(scene)))
    value = did.value(scene)
    before = scene.counts()

    assert failed(outsider.mutate(name, value), 403)
    assert scene.admin.mutate(name, value | {"nothing of the kind": 1}).status_code == 400
    if "subscriptionId" in value or "keyId" in value:
        assert stranger.mutate(name, value).status_code == 404
        which = "keyId" if "keyId" in value else "subscriptionId"
        for unknown in ("nosuch", "sub_nosuch", "\x00", ""):
            assert scene.admin.mutate(name, value | {which: unknown}).status_code in {400, 404}
    assert scene.counts() == before
    if not did.again:
        scene.admin.mutate(name, value)
        once = scene.counts()
        scene.admin.mutate(name, value)
        assert scene.counts() == once


REFUSED: dict[str, Callable[[Scene], tuple[str, dict[str, Any]]]] = {
    "a target that may not be called": lambda _: (
        "subscriptions.create",
        WEBHOOK | {"webhookUrl": "https://127.0.0.1/"},
    ),
    "a replay of nothing": lambda scene: (
        "subscriptions.replay",
        {**_hook(scene), "eventId": "00000000-0000-7000-8000-000000000000"},
    ),
    "a replay of a range in which nothing matches": lambda scene: (
        "subscriptions.replay",
        {**_hook(scene), "fromSeq": 5, "toSeq": 7},
    ),
    "a key with more than its maker has": lambda _: (
        "keys.create",
        {"scopes": ["events:read"], "workspaces": ["default"]},
    ),
    "a workspace that is not": lambda _: ("keys.create", {"scopes": ["events:read"], "workspaces": ["nosuch"]}),
}


@pytest.mark.parametrize("asked", REFUSED.values(), ids=list(REFUSED))
def test_an_act_without_effect_leaves_no_entry(
    scene: Scene, asked: Callable[[Scene], tuple[str, dict[str, Any]]]
) -> None:
    before = scene.counts()

    scene.admin.mutate(*asked(scene))

    assert scene.counts() == before


def test_a_rotation_of_a_key_that_has_ended_leaves_no_entry(scene: Scene) -> None:
    answered(scene.admin.mutate("keys.revoke", {"keyId": scene.key_id}))
    before = scene.counts()

    failed(scene.admin.mutate("keys.rotate", {"keyId": scene.key_id}), 400)

    assert scene.counts() == before


def test_of_many_revocations_at_once_only_one_is_entered(scene: Scene) -> None:
    before = scene.counts()

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: scene.admin.mutate("keys.revoke", {"keyId": scene.key_id}), range(8)))

    assert {answer.status_code for answer in answers} == {200}
    assert scene.counts() == [before[0] + 1, before[1] + 1, before[2]]


def test_an_act_on_a_key_for_every_workspace_is_the_installs(keyed: Keyed) -> None:
    caller_id, caller = keyed.key("*", workspaces=("*",))
    default = len(_rows(keyed.database_url, "default"))

    made = answered(caller.mutate("keys.create", {"scopes": ["events:read"], "workspaces": ["*"]}))
    answered(caller.mutate("keys.revoke", {"keyId": made["id"]}))

    *_, created, revoked = [row for row in _rows(keyed.database_url, NODE_LOG) if row[1] == caller_id]
    assert created == ("key.created", caller_id, _created_of(made))
    assert revoked == ("key.revoked", caller_id, {"keyId": made["id"]})
    assert len(_rows(keyed.database_url, "default")) == default


def _created_of(made: dict[str, Any]) -> dict[str, Any]:
    return {"keyId": made["id"], "scopes": made["scopes"], "workspaces": made["workspaces"]}


def test_keys_that_are_made_and_ended_at_the_machine_are_the_nodes_acts(keyed: Keyed) -> None:
    workspace = keyed.workspace()
    here = environment(keyed.server.log.parent, database_url=keyed.database_url)

    def answered(*arguments: str) -> str:
        ran = synap(*arguments, env=here, seconds=60)
        assert ran.returncode == 0, ran.stderr
        return ran.stdout.strip()

    token = answered("keys", "create", "--user", USER, "--scope", "events:read", "--workspace", workspace)
    key_id = token.split("_")[1]
    for _ in range(2):
        answered("keys", "revoke", key_id)

    created, revoked = [row for row in _rows(keyed.database_url, workspace) if row[0].startswith("key.")]
    assert created[::2] == ("key.created", {"keyId": key_id, "scopes": ["events:read"], "workspaces": [workspace]})
    assert revoked[::2] == ("key.revoked", {"keyId": key_id})
    assert created[1] == revoked[1]
    assert created[1].startswith("did:key:z")


def test_the_answer_is_that_of_the_document(scene: Scene) -> None:
    page = answered(scene.admin.query("audit.list"))

    assert set(page) == {"entries", "total"}
    assert page["total"] == len(page["entries"]) == 3
    for seq, entry in enumerate(page["entries"]):
        assert set(entry) == {"id", "action", "actor", "timestamp", "detail", "log", "seq", "prev_hash", "hash"}
        assert (entry["log"], entry["seq"]) == (scene.first, seq)
        assert INSTANT.fullmatch(entry["timestamp"])
    # The node created the first key at the machine itself. Then the acts of that key follow.
    assert [entry["action"] for entry in page["entries"]] == ["key.created", "key.created", "subscription.created"]
    assert page["entries"][0]["actor"].startswith("did:key:z")
    assert [entry["actor"] for entry in page["entries"][1:]] == [scene.admin_id] * 2
    _verified(page["entries"])


def test_reading_is_in_the_audit_after_what_was_read(scene: Scene) -> None:
    first = answered(scene.admin.query("audit.list"))
    since = first["entries"][-1]["timestamp"]

    second = answered(scene.admin.query("audit.list", {"since": since, "action": "audit.read"}))
    third = answered(scene.admin.query("audit.list", {"since": since}))

    assert [entry["action"] for entry in first["entries"]].count("audit.read") == 0
    assert second["entries"] == third["entries"][:1]
    assert [(entry["action"], entry["actor"], entry["detail"]) for entry in third["entries"]] == [
        ("audit.read", scene.admin_id, {}),
        ("audit.read", scene.admin_id, {"since": since, "action": "audit.read"}),
    ]
    _verified([*first["entries"], *third["entries"]])


def test_entries_are_selected_by_time_action_and_number(scene: Scene) -> None:
    some = answered(scene.admin.query("audit.list", {"limit": 2}))
    rest = answered(scene.admin.query("audit.list", {"since": some["entries"][-1]["timestamp"], "limit": None}))
    by_action = answered(scene.admin.query("audit.list", {"action": "key.created", "limit": 1}))
    none = answered(scene.admin.query("audit.list", {"since": "2999-01-01T00:00:00+01:00"}))

    assert (len(some["entries"]), some["total"]) == (2, 3)
    assert [entry["seq"] for entry in rest["entries"]] == [2, 3]
    assert ([entry["seq"] for entry in by_action["entries"]], by_action["total"]) == ([0], 2)
    assert none == {"entries": [], "total": 0}


def test_the_newest_entries_come_first_backward_page_by_page(scene: Scene) -> None:
    newest = answered(scene.admin.query("audit.list", {"limit": 2, "direction": "backward"}))
    until = newest["entries"][0]["timestamp"]
    older = answered(scene.admin.query("audit.list", {"limit": 2, "direction": "backward", "until": until}))
    of_action = answered(
        scene.admin.query("audit.list", {"action": "key.created", "limit": 1, "direction": "backward"})
    )
    between = answered(scene.admin.query("audit.list", {"since": older["entries"][0]["timestamp"], "until": until}))
    none = answered(scene.admin.query("audit.list", {"since": until, "until": older["entries"][0]["timestamp"]}))

    assert ([entry["seq"] for entry in newest["entries"]], newest["total"]) == ([1, 2], 3)
    assert ([entry["seq"] for entry in older["entries"]], older["total"]) == ([0], 1)
    assert ([entry["seq"] for entry in of_action["entries"]], of_action["total"]) == ([1], 2)
    assert between == {"entries": [], "total": 0}
    assert none == {"entries": [], "total": 0}


BAD: dict[str, dict[str, Any]] = {
    "no limit": {"limit": 0},
    "too many": {"limit": 1001},
    "a time without an offset": {"since": "2024-11-01T00:00:00"},
    "no time": {"since": "yesterday"},
    "a time before year 1": {"since": "0001-01-01T00:00:00+01:00"},
    "a time after year 9999": {"since": "9999-12-31T23:59:59.999999-01:00"},
    "a token by mistake": {"action": "sk_key_0123456789"},
    "what no action is": {"action": "Key Created"},
    "a user by mistake": {"action": "ann@example.org"},
    "a number": {"action": 1},
    "something else": {"actor": "key1"},
}


@pytest.mark.parametrize("asked", BAD.values(), ids=list(BAD))
def test_a_bad_question_is_rejected_and_not_entered(scene: Scene, asked: dict[str, Any]) -> None:
    before = scene.counts()

    assert failed(scene.admin.query("audit.list", asked), 400)["issues"][0]["path"] == next(iter(asked))

    assert scene.counts() == before


def test_a_workspace_sees_only_its_own_acts(scene: Scene) -> None:
    _, theirs = scene.keyed.key("*", workspaces=(scene.second,))
    both = {"scopes": ["events:read"], "workspaces": [scene.first, scene.second]}
    shared = answered(scene.admin.mutate("keys.create", both))
    answered(scene.admin.mutate("subscriptions.pause", {"subscriptionId": scene.subscription_id}))

    entries = _audit(theirs)

    assert {entry["log"] for entry in entries} == {scene.second}
    assert {entry["action"] for entry in entries} == {"key.created"}
    assert entries[-1]["detail"]["keyId"] == shared["id"]
    assert scene.subscription_id not in json.dumps(entries)
    assert failed(theirs.query("audit.list", None, **{"x-workspace-id": scene.first}), 403)["code"] == "FORBIDDEN"


def test_the_installs_audit_is_for_keys_for_everything(keyed: Keyed) -> None:
    everything = keyed.key("*", workspaces=("*",))[1]
    all_scopes_but_that = keyed.key("audit:read", "ledger:read", "keys:manage", workspaces=("*",))[1]
    of_one = keyed.key("*")[1]

    entries = answered(everything.query("audit.list", None, **IN_NODE_LOG))["entries"]

    assert {entry["log"] for entry in entries} == {NODE_LOG}
    assert failed(all_scopes_but_that.query("audit.list", None, **IN_NODE_LOG), 404)["code"] == "NOT_FOUND"
    # For a key with some workspaces, the install's audit is like that of any other workspace.
    refusals = [of_one.query("audit.list", None, **{"x-workspace-id": log}) for log in (NODE_LOG, "nosuch")]
    assert [failed(refusal, 403)["code"] for refusal in refusals] == ["FORBIDDEN"] * 2
    assert refusals[0].json() == refusals[1].json()


def test_no_entry_has_anything_secret_or_personal(scene: Scene) -> None:
    secrets = [*GIVEN_SECRETS, scene.admin.token, scene.keyed.server.token]
    answers = [answered(scene.admin.mutate(name, did.value(scene))) for name, did in ACTS.values()]
    answers.append(answered(scene.admin.mutate("subscriptions.create", WEBHOOK | {"secret": None})))
    for answer in answers:
        secrets += [answer[member] for member in ("token", "secret", "standardWebhooksSecret") if member in answer]
    _audit(scene.admin)

    with psycopg.connect(scene.keyed.database_url) as connection:
        entries = connection.execute("SELECT concat(actor, action, detail) FROM audit_entry").fetchall()

    assert len(secrets) > len(ACTS)
    parts = {part for secret in secrets for part in (secret, secret.split("_")[-1])}
    assert [part for part in parts if any(part in text for (text,) in entries)] == []


def test_starts_are_in_the_installs_audit_and_stops_witness_every_chain(
    postgres_url: str, template: str, tmp_path: Path
) -> None:
    with cloned(postgres_url, template, "test_witness") as url:
        with (
            serving(tmp_path, database_url=url, webhook_allow_http="true", cors_origins="https://a.example") as one,
            serving(tmp_path, database_url=url) as two,
        ):
            for server in (one, two):
                answered(server.mutate("keys.create", {"scopes": ["events:read"]}))
            answered(one.mutate("keys.create", {"scopes": ["events:read"], "workspaces": ["*"]}))
            port = int(one.url.rpartition(":")[2])
            for server in (one, two):
                server.process.send_signal(signal.SIGTERM)
            assert [server.process.wait(timeout=30) for server in (one, two)] == [0, 0]
        said = _said(url)
        with serving(tmp_path, database_url=url) as killed:
            answered(killed.mutate("keys.create", {"scopes": ["events:read"]}))
            os.killpg(killed.process.pid, signal.SIGKILL)
            killed.process.wait(timeout=30)
        assert _said(url) == said
        with serving(tmp_path, database_url=url):
            pass

        starts = [row for row in _rows(url, NODE_LOG) if row[0] == "server.started"]
        assert len(starts) == 4
        assert starts[0][2] == {
            "version": version("synap-events"),
            "database": "external",
            "settings": {
                "port": port,
                "data_dir": str(tmp_path),
                "ledger_port": 0,
                "webhook_allow_http": True,
                "cors_origins": ["https://a.example"],
            },
        }
        assert {actor for _, actor, _ in starts} == {check_log(url, NODE_LOG)[0]["node"]}
        assert urlsplit(url).path not in json.dumps(starts)
        everything = _said(url)
        assert len(set(everything)) == len(everything), "something was reported twice"
        assert {log: seq for log, seq, _ in said} == {NODE_LOG: 3, "default": 1}
        assert {log: seq for log, seq, _ in everything} == {NODE_LOG: 5, "default": 2}
        with psycopg.connect(url) as connection:
            kept = connection.execute("SELECT workspace_id, seq, 'sha256:' || encode(hash, 'hex') FROM audit_entry")
            assert set(everything) <= set(kept.fetchall())


def _said(database_url: str) -> list[tuple[str, int, str]]:
    """The ends of audit chains that the log `_node` reports; that log must verify."""
    events = check_log(database_url, NODE_LOG)
    assert {event["type"] for event in events} == {AUDIT_TIP_TYPE}
    return [(tip["log"], tip["seq"], tip["hash"]) for event in events for tip in event["payload"]["tips"]]
