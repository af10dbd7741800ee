"""Intents over two server processes: whoever races and whatever dies, each step happens once."""

import json
import re
import subprocess
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import msgspec
import psycopg
import pytest

from app.store.install.install import connect
from app.store.install.keys import insert_key, new_token
from benchmarks.process import free_port
from tests.acceptance.conftest import Pair
from tests.acceptance.processes import kill, synap
from tests.kit import command, web
from tests.kit.checks import check_log
from tests.kit.servers import Server, environment, serving, until

APPROVERS = 50


def _as(server: Server, url: str, user: str, workspace: str, *scopes: str) -> Server:
    """The server as a user calls it."""
    key_id = f"{workspace}{user}".replace("-", "")
    token = new_token(key_id)
    with connect(url) as connection:
        insert_key(connection, key_id, token, user_id=user, scopes=scopes, workspaces=[workspace])
    return msgspec.structs.replace(server, token=token)


def _ask(agent: Server, **intent: object) -> dict[str, Any]:
    wanted = {"type": "a.b.requested", "data": {"n": 1}, "metadata": {"synap": {"intent": intent}}}
    response = agent.mutate("events.log", wanted)
    assert response.status_code == 200, response.text
    event: dict[str, Any] = response.json()["result"]["data"]
    return event


def _decide(server: Server, intent: dict[str, Any], decision: str = "approved") -> httpx.Response:
    named = {"eventId": intent["id"], "hash": intent["hash"], "decision": decision}
    return server.mutate("intents.decide", named)


def _start(server: Server, intent: dict[str, Any], request: str) -> httpx.Response:
    named = {"eventId": intent["id"], "hash": intent["hash"], "parameters": {"n": 1}, "requestId": request}
    return server.mutate("intents.start", named)


def _at_once(calls: Sequence[Callable[[], httpx.Response]]) -> list[httpx.Response]:
    with ThreadPoolExecutor(len(calls)) as pool:
        return [each.result() for each in [pool.submit(call) for call in calls]]


def _words(url: str, workspace: str) -> Counter[str]:
    """How often each type's last word is in the log, which verifies."""
    return Counter(event["type"].rpartition(".")[2] for event in check_log(url, workspace))


def _stored(connection: psycopg.Connection, word: str) -> int:
    row = connection.execute("SELECT count(*) FROM event WHERE type LIKE '%%.' || %s", (word,)).fetchone()
    return 0 if row is None else int(row[0])


def _waiting(server: Server) -> bool:
    """Whether somebody waits at a server: for that it listens to the log, like a stream."""
    metrics = web.get(f"{server.url}/metrics", headers=server.headers, timeout=60).text
    return re.search(r"^synap_streams(\{.*\})? 1", metrics, re.MULTILINE) is not None


def _other(agent: Server, server: Server) -> Server:
    """The same key at another server."""
    return msgspec.structs.replace(server, token=agent.token)


def test_of_fifty_approvers_exactly_one_decides(pair: Pair, workspace: str) -> None:
    url = pair.database_url
    intent = _ask(_as(pair.servers[0], url, "agent", workspace, "events:write"))
    approvers = [
        _as(pair.servers[place % 2], url, f"approver{place}", workspace, "intents:decide") for place in range(APPROVERS)
    ]

    def decision(place: int) -> Callable[[], httpx.Response]:
        return lambda: _decide(approvers[place], intent, "approved" if place % 3 else "rejected")

    answers = _at_once([decision(place) for place in range(APPROVERS)])

    assert Counter(answer.status_code for answer in answers) == {200: 1, 409: APPROVERS - 1}
    [decided] = [answer.json()["result"]["data"] for answer in answers if answer.status_code == 200]
    assert all(decided["id"] in answer.text for answer in answers if answer.status_code == 409)
    words = _words(url, workspace)
    assert words["approved"] + words["rejected"] == 1


def test_uses_are_taken_once_each_however_many_start(pair: Pair, workspace: str) -> None:
    url = pair.database_url
    agent = _as(pair.servers[0], url, "agent", workspace, "events:write")
    intent = _ask(agent, uses=3)
    assert _decide(_as(pair.servers[1], url, "boss", workspace, "intents:decide"), intent).status_code == 200
    callers = [agent, _other(agent, pair.servers[1])]

    def start(place: int) -> Callable[[], httpx.Response]:
        return lambda: _start(callers[place % 2], intent, f"request-{place // 4}")  # each request is sent four times

    answers = _at_once([start(place) for place in range(24)])

    begun = [answer.json()["result"]["data"] for answer in answers if answer.status_code == 200]
    assert Counter(each["replayed"] for each in begun) == {False: 3, True: 9}
    assert {each["use"] for each in begun} == {1, 2, 3}
    assert len({each["event"]["id"] for each in begun}) == 3
    assert {answer.json()["error"]["data"]["reason"] for answer in answers if answer.status_code != 200} == {"used_up"}
    assert _words(url, workspace)["started"] == 3


def test_what_is_due_is_written_once_though_a_server_is_killed(database_url: str, data_dir: Path) -> None:
    with serving(data_dir, database_url=database_url) as first, serving(data_dir, database_url=database_url) as second:
        agent = _as(first, database_url, "agent", "default", "events:write")
        boss = _as(second, database_url, "boss", "default", "intents:decide")
        ends = {}
        for _ in range(5):
            soon = datetime.now(UTC) + timedelta(seconds=8)
            ends[_ask(agent, expiresAt=soon.isoformat())["id"]] = soon
        running = _ask(agent, timeoutSeconds=5)
        assert _decide(boss, running).status_code == 200
        started = _start(agent, running, "r").json()["result"]["data"]["event"]
        kill(first)

        with psycopg.connect(database_url, autocommit=True) as connection:
            until(lambda: _stored(connection, "expired") == 5 and _stored(connection, "unknown") == 1)
        with serving(data_dir, database_url=database_url) as third:
            late = {"startId": started["id"], "outcome": "failed"}
            answers = [_other(agent, each).mutate("intents.finish", late) for each in (second, third)]

    assert [answer.status_code for answer in answers] == [200, 200]
    events = check_log(database_url)
    words = Counter(event["type"].rpartition(".")[2] for event in events)
    assert (words["expired"], words["unknown"], words["failed"]) == (5, 1, 1)
    for event in events:
        if event["type"].endswith(".expired"):
            assert datetime.fromisoformat(event["timestamp"]) >= ends[event["context"]["causationId"]]


def test_who_waits_at_one_server_hears_of_a_decision_at_the_other(pair: Pair, workspace: str) -> None:
    url = pair.database_url
    agent = _as(pair.servers[0], url, "agent", workspace, "events:write", "events:read-own")
    boss = _as(pair.servers[1], url, "boss", workspace, "intents:decide")
    intent = _ask(agent)

    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(agent.query, "intents.wait", {"eventId": intent["id"], "timeoutSeconds": 60})
        until(lambda: _waiting(pair.servers[0]))
        assert _decide(boss, intent, "rejected").status_code == 200
        answer = waiting.result(timeout=60)

    assert answer.json()["result"]["data"]["state"] == "rejected"
    still_open = agent.query("intents.wait", {"eventId": _ask(agent)["id"], "timeoutSeconds": 0})
    assert still_open.json()["result"]["data"]["state"] == "open"


def test_a_server_that_stops_answers_who_waits(database_url: str, data_dir: Path) -> None:
    with serving(data_dir, database_url=database_url) as server, ThreadPoolExecutor(1) as pool:
        agent = _as(server, database_url, "agent", "default", "events:write", "events:read-own")
        intent = _ask(agent)
        waiting = pool.submit(agent.query, "intents.wait", {"eventId": intent["id"], "timeoutSeconds": 60})
        until(lambda: _waiting(server))
        server.process.terminate()

        answer = waiting.result(timeout=60)

    assert answer.json()["result"]["data"]["state"] == "open"


def test_an_import_takes_intents_of_its_user_and_nothing_that_follows(pair: Pair, workspace: str) -> None:
    forged = {"decision": {"intentId": workspace, "intentHash": "x", "decision": "approved"}}
    lines: list[dict[str, Any]] = [
        {"type": "a.b.requested", "data": {"n": 1}, "metadata": {"synap": {"intent": {}}}},
        {"type": "a.b.requested", "data": {}, "userId": "somebody", "metadata": {"synap": {"intent": {}}}},
        {"type": "a.b.approved", "data": {}, "metadata": {"synap": forged}},
    ]
    forged["decision"] |= {"intentId": "01938c1e-0000-7000-8000-000000000001", "intentHash": f"sha256:{'0' * 64}"}
    file = pair.data_dir / f"{workspace}.ndjson"
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))

    options = ("--workspace", workspace, "--user", "agent", "--skip-bad", f"{file}.bad")
    ran = command.synap("import", file, *options, env=environment(pair.data_dir, database_url=pair.database_url))

    assert " 1 stored, " in ran.stdout, ran.stderr
    assert ", 2 rejected" in ran.stdout
    assert _words(pair.database_url, workspace) == {"requested": 1}
    agent = _as(pair.servers[0], pair.database_url, "agent", workspace, "events:read-own")
    [intent] = agent.query("intents.list").json()["result"]["data"]["intents"]
    assert (intent["userId"], intent["state"]) == ("agent", "open")


def test_doctor_makes_a_state_that_is_wrong_again(pair: Pair, workspace: str) -> None:
    url = pair.database_url
    agent = _as(pair.servers[0], url, "agent", workspace, "events:write", "events:read-own")
    intent = _ask(agent)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("UPDATE intent SET state = 'expired', due_at = NULL WHERE workspace_id = %s", (workspace,))

    found = synap(pair.data_dir, "doctor", "--rebuild-intents", database_url=url, code=1)
    again = synap(pair.data_dir, "doctor", "--rebuild-intents", database_url=url)

    assert f"wrong: The state of 1 intents of {workspace} was not what its log says; it was made again." in found
    assert again.startswith("ok: The state of every intent (")
    with psycopg.connect(url) as connection:
        state = connection.execute("SELECT state FROM intent WHERE id = %s", (intent["id"],)).fetchone()
    assert state == ("open",)


EXTENSION = """
from schemas.base import Section, ShortText
from schemas.event_data import event_data
from schemas.metadata import metadata_type

class Named(Section, frozen=True, kw_only=True):
    name: ShortText

"""


def _serve(data_dir: Path, url: str, *, extensions: str = "") -> subprocess.CompletedProcess[str]:
    variables = environment(data_dir, database_url=url, port=free_port(), extensions=extensions)
    return command.synap("serve", env=variables, cwd=data_dir)


def test_nobody_serves_an_install_where_an_extension_has_registered_the_kind(database_url: str, data_dir: Path) -> None:
    data_dir.mkdir(parents=True)
    (data_dir / "ours.py").write_text(f"{EXTENSION}metadata_type(synap=Named)\n")
    synap(data_dir, "init", database_url=database_url)

    now = _serve(data_dir, database_url, extensions="ours")
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("INSERT INTO registered_type VALUES ('metadata', 'synap', 0, '{}', now())")
    before = _serve(data_dir, database_url)

    for ran in (now, before):
        assert ran.returncode == 2, ran.stderr
        assert "'synap'" in ran.stderr
        assert "Traceback" not in ran.stderr


def test_an_intent_that_could_not_be_followed_is_refused(database_url: str, data_dir: Path) -> None:
    data_dir.mkdir(parents=True)
    typed = '{"a.b.approved": Named, "c.d.executed": Named}'
    (data_dir / "ours.py").write_text(f"{EXTENSION}event_data({typed})\n")
    with serving(data_dir, database_url=database_url, extensions="ours") as server:
        agent = _as(server, database_url, "agent", "default", "events:write")
        boss = _as(server, database_url, "boss", "default", "intents:decide")
        refused = agent.mutate(
            "events.log", {"type": "a.b.requested", "data": {}, "metadata": {"synap": {"intent": {}}}}
        )
        event = {"type": "c.d.requested", "data": {"n": 1}, "metadata": {"synap": {"intent": {}}}}
        intent = agent.mutate("events.log", event).json()["result"]["data"]
        assert _decide(boss, intent).status_code == 200
        start_id = _start(agent, intent, "r").json()["result"]["data"]["event"]["id"]
        unfit = agent.mutate("intents.finish", {"startId": start_id, "outcome": "executed"})
        fit = agent.mutate("intents.finish", {"startId": start_id, "outcome": "executed", "data": {"name": "n"}})

    assert refused.status_code == 400
    assert "a.b.approved" in refused.json()["error"]["message"]
    assert (unfit.status_code, fit.status_code) == (400, 200)


@pytest.mark.parametrize("place", [0, 1])
def test_each_server_answers_a_retry_with_the_first_event(pair: Pair, workspace: str, place: int) -> None:
    url = pair.database_url
    agent = _as(pair.servers[place], url, "agent", workspace, "events:write")
    boss = _as(pair.servers[1 - place], url, "boss", workspace, "intents:decide")
    intent = _ask(agent)

    decisions = [_decide(_other(boss, each), intent).json()["result"]["data"] for each in pair.servers]
    starts = [_start(_other(agent, each), intent, "r").json()["result"]["data"] for each in pair.servers]
    report = {"startId": starts[0]["event"]["id"], "outcome": "failed", "data": {"parameters": {"n": 2}}}
    reports = [_other(agent, each).mutate("intents.finish", report).json()["result"]["data"] for each in pair.servers]

    assert decisions[0] == decisions[1]
    assert starts[0] | {"replayed": True} == starts[1]
    assert reports[0] == reports[1]
    assert reports[0]["metadata"]["synap"]["outcome"]["differs"] is True
