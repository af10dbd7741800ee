"""Webhooks from the log to the receiver, with a real server and a real receiver. Times are changed in the database."""

import base64
import json
import time
from collections.abc import Iterator
from typing import Any
from uuid import UUID, uuid5

import psycopg
import pytest

from app.delivery.signature import standard_headers, x_signature
from app.feed import OLDEST_FIRST
from app.sealing.cursors import Cursor, Cursors
from app.store.webhooks.dispatch import MAX_EVENTS
from tests.delivery.receiver import OK, Answer, Received, Receiver, receiving, status
from tests.kit.examples import ALL
from tests.kit.servers import Server, cloned, serving, until
from tests.procedures.conftest import Keyed, answered, failed

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
EVENT = {"type": "note.created", "data": {"title": "Hello"}}


@pytest.fixture(scope="module")
def keyed(postgres_url: str, template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Keyed]:
    """A server that may call this machine, and retries soon."""
    with (
        cloned(postgres_url, template, "test_webhooks") as url,
        serving(
            tmp_path_factory.mktemp("webhooks"),
            database_url=url,
            webhook_allow_http="true",
            webhook_allow_networks="127.0.0.0/8",
            webhook_schedule="0,0.3,0.6",
            webhook_timeout_seconds="1",
        ) as server,
    ):
        yield Keyed(server, url)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A receiver that accepts everything, unless its behaviour is replaced."""
    with receiving() as running:
        yield running


STOPPED_AT = "2026-01-02T03:04:05.000006Z"


class Hooks:
    """The webhooks of a workspace of the test's own."""

    def __init__(self, keyed: Keyed, receiver: Receiver) -> None:
        self.workspace = keyed.workspace()
        self.database_url = keyed.database_url
        self.server = keyed.server
        self.receiver = receiver

    def call(self, name: str, value: object, caller: Server | None = None) -> Any:
        """Call a procedure of the subscriptions, and return its output."""
        return answered(self.ask(name, value, caller))

    def ask(self, name: str, value: object, caller: Server | None = None) -> Any:
        """Call a procedure of the subscriptions, and return the answer, which may be an error."""
        reads = name in {"list", "get", "deliveries"}
        ask = (caller or self.server).query if reads else (caller or self.server).mutate
        return ask(f"subscriptions.{name}", value, **{"x-workspace-id": self.workspace})

    def create(self, *types: str, caller: Server | None = None, **more: object) -> str:
        """Create a subscription, and return its id."""
        wanted = {"eventTypes": types or ("note.*",), "webhookUrl": self.receiver.url(), "secret": SECRET, **more}
        id_: str = self.call("create", wanted, caller)["subscriptionId"]
        return id_

    def log(self, count: int = 1, **members: object) -> list[dict[str, Any]]:
        """Log events, and return them."""
        return self.log_each(*({**EVENT, **members, "data": {"number": number}} for number in range(count)))

    def log_each(self, *events: dict[str, Any]) -> list[dict[str, Any]]:
        """Log these events in one batch, and return them."""
        made: list[dict[str, Any]] = answered(
            self.server.mutate("events.logBatch", {"events": events}, **{"x-workspace-id": self.workspace})
        )
        return made

    def erase(self, **wanted: object) -> dict[str, Any]:
        """Erase events, and return the result."""
        answer: dict[str, Any] = answered(
            self.server.mutate("events.erase", wanted, **{"x-workspace-id": self.workspace})
        )
        return answer

    def arrived(self, count: int) -> list[dict[str, Any]]:
        """Wait until the receiver has accepted `count` deliveries, and return their bodies."""
        until(lambda: len(self.receiver.answered) >= count)
        return [received.json for received in self.receiver.answered]

    def deliveries(self, id_: str, **more: object) -> list[dict[str, Any]]:
        """The deliveries of a subscription, newest first."""
        found: list[dict[str, Any]] = self.call("deliveries", {"subscriptionId": id_, **more})["deliveries"]
        return found

    def get(self, id_: str) -> dict[str, Any]:
        """A subscription."""
        found: dict[str, Any] = self.call("get", {"subscriptionId": id_})
        return found

    def execute(self, statement: str, *values: object) -> None:
        """Change the database, instead of waiting for a long time."""
        with psycopg.connect(self.database_url, autocommit=True) as connection:
            connection.execute(statement, values)


@pytest.fixture
def hooks(keyed: Keyed, receiver: Receiver) -> Hooks:
    """A workspace and a receiver of the test's own."""
    return Hooks(keyed, receiver)


def fails(times: int) -> Any:
    """A behaviour that rejects each delivery so many times before it accepts it."""
    seen: dict[str, int] = {}

    def behave(request: Received) -> Answer:
        seen[request.headers["webhook-id"]] = count = seen.get(request.headers["webhook-id"], 0) + 1
        return status(500, b"not now") if count <= times else OK

    return behave


def test_each_matching_event_arrives_once_and_is_numbered(hooks: Hooks) -> None:
    id_ = hooks.create("note.*")

    events = hooks.log(20)
    hooks.log(type="other.type")
    bodies = hooks.arrived(20)

    assert sorted(body["deliverySeq"] for body in bodies) == list(range(1, 21))
    assert {(body["seq"], body["event"]["eventId"], body["hash"]) for body in bodies} == {
        (event["seq"], event["id"], event["hash"]) for event in events
    }
    until(lambda: hooks.get(id_)["untried"] == 0)
    time.sleep(0.3)
    assert len(hooks.receiver.received) == 20


def test_a_delivery_is_signed_twice_over(hooks: Hooks) -> None:
    id_ = hooks.create()

    hooks.log()
    hooks.arrived(1)

    [received] = hooks.receiver.received
    assert received.headers["x-signature"] == x_signature(SECRET, received.body)
    at = int(received.headers["webhook-timestamp"])
    headers = standard_headers([SECRET], received.body, webhook_id=f"{id_}_1", timestamp=at)
    assert headers.items() <= received.headers.items()
    assert abs(time.time() - at) < 60


def test_a_failure_is_tried_again_and_keeps_its_number(hooks: Hooks) -> None:
    hooks.receiver.behaviour = fails(2)
    id_ = hooks.create()

    [event] = hooks.log()
    hooks.arrived(1)

    assert [received.json["deliverySeq"] for received in hooks.receiver.received] == [1, 1, 1]
    assert len({received.headers["webhook-id"] for received in hooks.receiver.received}) == 1
    [delivery] = until(lambda: hooks.deliveries(id_, status="delivered"))
    assert (delivery["eventId"], delivery["seq"], delivery["type"]) == (event["id"], event["seq"], event["type"])
    assert [(attempt["number"], attempt["status"], attempt["body"]) for attempt in delivery["attempts"]] == [
        (1, 500, "not now"),
        (2, 500, "not now"),
        (3, 200, "ok"),
    ]
    assert delivery["attempts"][0]["error"] == "Answered 500"


def test_a_schedule_ends(hooks: Hooks) -> None:
    hooks.receiver.behaviour = lambda _: status(503)
    id_ = hooks.create()

    hooks.log()

    [delivery] = until(lambda: hooks.deliveries(id_, status="failed"))
    assert len(delivery["attempts"]) == 3
    assert "nextAttemptAt" not in delivery
    assert "endedAt" in delivery
    assert "failingSince" in hooks.get(id_)


def test_a_receiver_that_hangs_costs_its_timeout(hooks: Hooks) -> None:
    answers: list[Answer] = [30.0, None]
    hooks.receiver.behaviour = lambda _: answers.pop(0) if answers else OK
    id_ = hooks.create()

    hooks.log()
    hooks.arrived(1)

    [delivery] = until(lambda: hooks.deliveries(id_, status="delivered"))
    hang, drop, _ = delivery["attempts"]
    assert hang["error"] == "No answer within 1 s, waiting for the answer"
    assert 900 <= hang["elapsedMs"] < 20_000
    assert drop["error"] == "The connection was closed without an answer"


def test_an_answer_is_kept_up_to_its_bound(hooks: Hooks) -> None:
    hooks.receiver.behaviour = lambda _: status(200, b"x" * 50_000)
    id_ = hooks.create()

    hooks.log()

    [delivery] = until(lambda: hooks.deliveries(id_, status="delivered"))
    assert delivery["attempts"][0]["body"] == "x" * 20_000


def test_retry_after_makes_the_wait_longer(hooks: Hooks) -> None:
    hooks.receiver.behaviour = lambda _: status(429, b"", "Retry-After: 3600")
    id_ = hooks.create()

    hooks.log()

    [delivery] = until(lambda: [each for each in hooks.deliveries(id_) if each["attempts"]])
    assert delivery["status"] == "pending"
    assert delivery["nextAttemptAt"][:13] > delivery["createdAt"][:13]  # the hour differs


def test_order_is_kept_if_requested(hooks: Hooks) -> None:
    hooks.receiver.behaviour = fails(1)
    hooks.create(ordered=True)

    events = hooks.log(8)
    bodies = hooks.arrived(8)

    assert [body["seq"] for body in bodies] == [event["seq"] for event in events]
    seqs = [received.json["seq"] for received in hooks.receiver.received]
    assert seqs == [event["seq"] for event in events for _ in range(2)]


def test_an_ordered_subscription_continues_after_a_failed_delivery(hooks: Hooks) -> None:
    hooks.receiver.behaviour = lambda request: status(500) if request.json["deliverySeq"] == 1 else OK
    id_ = hooks.create(ordered=True)

    hooks.log(2)

    assert [body["deliverySeq"] for body in hooks.arrived(1)] == [2]
    assert [each["deliverySeq"] for each in hooks.deliveries(id_, status="failed")] == [1]


def test_a_subscription_begins_at_the_given_start(hooks: Hooks) -> None:
    events = hooks.log(5)
    cases = {
        "beginning": [0, 1, 2, 3, 4],
        events[2]["id"]: [3, 4],
        events[3]["timestamp"]: [3, 4],
        "now": [],
    }

    for start, seqs in cases.items():
        hooks.receiver.answered.clear()
        id_ = hooks.create(startFrom=start)
        assert sorted(body["seq"] for body in hooks.arrived(len(seqs))) == seqs, start
        assert hooks.get(id_)["deliverySeq"] == len(seqs)


@pytest.mark.parametrize("start", ["sometime", "2026-01-01T00:00:00", "", "00000000-0000-0000-0000-000000000000"])
def test_a_start_that_is_no_place_is_rejected(hooks: Hooks, start: str) -> None:
    wanted = {"eventTypes": ["*"], "webhookUrl": hooks.receiver.url(), "startFrom": start}

    assert failed(hooks.ask("create", wanted), 400)["issues"][0]["path"] == "startFrom"


def test_a_subscription_begins_behind_the_cursor_of_a_stream(hooks: Hooks) -> None:
    events = hooks.log(3)
    secret = base64.b64decode((hooks.server.log.parent / "install.secret").read_text())

    hooks.create(startFrom=Cursors(secret).seal(Cursor(OLDEST_FIRST, hooks.workspace, events[1]["seq"], b"", 0)))

    assert [body["seq"] for body in hooks.arrived(1)] == [2]


def test_each_change_of_a_subscription_is_in_the_servers_log(hooks: Hooks) -> None:
    id_ = hooks.create()
    hooks.call("pause", {"subscriptionId": id_})
    hooks.call("delete", {"subscriptionId": id_})

    lines = [json.loads(line) for line in hooks.server.log.read_text().splitlines() if line.startswith("{")]
    mine = [line for line in lines if line.get("workspace") == hooks.workspace]
    assert [(line["procedure"], line["principal"]) for line in mine] == [
        ("subscriptions.create", "control"),
        ("subscriptions.pause", "control"),
        ("subscriptions.delete", "control"),
    ]


def test_a_long_backlog_is_caught_up_with_while_events_are_logged(hooks: Hooks) -> None:
    """A backlog is dispatched in parts of 1000 events: by default it has two, and four in `make soak`."""
    backlog = 3000 if ALL else MAX_EVENTS + 200
    for start in range(0, backlog, 1000):
        hooks.log(min(1000, backlog - start))
    id_ = hooks.create(startFrom="beginning")

    for _ in range(10):
        hooks.log(10)

    count = backlog + 100
    until(lambda: hooks.get(id_)["deliverySeq"] == count and hooks.get(id_)["untried"] == 0, seconds=240)
    bodies = [received.json for received in hooks.receiver.answered]
    assert sorted(body["deliverySeq"] for body in bodies) == list(range(1, count + 1))
    assert {body["deliverySeq"] - body["seq"] for body in bodies} == {1}


def test_a_pause_keeps_the_place(hooks: Hooks) -> None:
    id_ = hooks.create()
    hooks.log()
    hooks.arrived(1)

    assert hooks.call("pause", {"subscriptionId": id_})["status"] == "paused"
    hooks.log(5)
    time.sleep(0.5)
    assert len(hooks.receiver.received) == 1
    assert hooks.call("resume", {"subscriptionId": id_})["status"] == "active"

    assert sorted(body["deliverySeq"] for body in hooks.arrived(6)) == [1, 2, 3, 4, 5, 6]


def test_what_waits_is_tried_at_once_when_resumed(hooks: Hooks) -> None:
    hooks.receiver.behaviour = lambda _: status(429, b"", "Retry-After: 3600")
    id_ = hooks.create()
    hooks.log()
    until(lambda: [each for each in hooks.deliveries(id_) if each["attempts"]])
    hooks.receiver.behaviour = lambda _: OK

    hooks.call("pause", {"subscriptionId": id_})
    hooks.call("resume", {"subscriptionId": id_})

    hooks.arrived(1)


def test_gone_disables_and_the_log_says_so(hooks: Hooks) -> None:
    hooks.receiver.behaviour = lambda _: status(410)
    id_ = hooks.create()
    hooks.log()

    stopped = until(lambda: (found := hooks.get(id_))["status"] == "disabled" and found)
    hooks.log(3)

    assert stopped["reason"] == "The receiver answered 410 Gone"
    [event] = until(lambda: _disabled_events(hooks))
    assert event["data"] == {"subscriptionId": id_, "reason": stopped["reason"], "disabledAt": stopped["stoppedAt"]}
    assert (event["source"], event["userId"][:8]) == ("system", "did:key:")
    time.sleep(0.5)
    assert len(hooks.receiver.received) == 1
    hooks.receiver.behaviour = lambda _: OK
    hooks.call("resume", {"subscriptionId": id_})
    assert sorted(body["deliverySeq"] for body in hooks.arrived(4)) == [1, 2, 3, 4]
    assert len(_disabled_events(hooks)) == 1


def test_five_days_of_only_failures_disable_a_subscription(hooks: Hooks) -> None:
    hooks.receiver.behaviour = lambda _: status(500)
    id_ = hooks.create()
    hooks.log()
    until(lambda: "failingSince" in hooks.get(id_))
    hooks.execute("UPDATE subscription SET failing_since = now() - interval '119 hours' WHERE id = %s", id_)
    hooks.log()
    until(lambda: len(hooks.deliveries(id_, status="failed")) == 2)
    assert hooks.get(id_)["status"] == "active"

    hooks.execute("UPDATE subscription SET failing_since = now() - interval '121 hours' WHERE id = %s", id_)
    hooks.log()

    stopped = until(lambda: (found := hooks.get(id_))["status"] == "disabled" and found)
    assert stopped["reason"] == "Every attempt failed for five days"
    assert until(lambda: _disabled_events(hooks))


def test_one_success_ends_the_failing(hooks: Hooks) -> None:
    hooks.receiver.behaviour = fails(1)
    id_ = hooks.create()

    hooks.log()
    hooks.arrived(1)

    until(lambda: "failingSince" not in hooks.get(id_))


def test_the_next_process_reports_a_disabled_subscription(hooks: Hooks) -> None:
    id_ = hooks.create()

    hooks.execute(
        "UPDATE subscription SET state = 'disabled', reason = 'x', stopped_at = now(), announced = false, cursor = -1 "
        "WHERE id = %s",
        id_,
    )

    assert [event["data"]["subscriptionId"] for event in until(lambda: _disabled_events(hooks))] == [id_]


def test_nobody_can_take_the_id_of_the_event_about_a_disabled_webhook(hooks: Hooks) -> None:
    id_ = hooks.create("other.*")
    foretold = uuid5(UUID("0d4b7b33-7c52-5f0e-9f0a-3f5d6f0c2b9e"), f"{hooks.workspace} {id_} {STOPPED_AT}")
    hooks.log(id=str(foretold))

    hooks.execute(
        "UPDATE subscription SET state = 'disabled', reason = 'x', stopped_at = %s, announced = false, cursor = -1 "
        "WHERE id = %s",
        STOPPED_AT,
        id_,
    )
    [event] = until(lambda: _disabled_events(hooks))
    hooks.log(3)

    assert event["data"] == {"subscriptionId": id_, "reason": "x", "disabledAt": STOPPED_AT}
    assert event["id"] != str(foretold)
    assert len(_disabled_events(hooks)) == 1


def test_both_secrets_sign_through_the_grace(hooks: Hooks) -> None:
    id_ = hooks.create()
    new = "whsec_" + "QUJD" * 10

    rotated = hooks.call("rotateSecret", {"subscriptionId": id_, "secret": new, "graceSeconds": 3600})
    hooks.log()
    hooks.arrived(1)
    hooks.execute("UPDATE subscription SET previous_until = now() WHERE id = %s", id_)
    assert "previousSecretUntil" not in hooks.get(id_)
    hooks.log()
    hooks.arrived(2)

    assert rotated["standardWebhooksSecret"] == new
    assert "secret" not in rotated
    during, after = hooks.receiver.received
    for received, secrets, signer in ((during, [new, SECRET], SECRET), (after, [new], new)):
        at, id_ = int(received.headers["webhook-timestamp"]), received.headers["webhook-id"]
        expected = standard_headers(secrets, received.body, webhook_id=id_, timestamp=at)
        assert received.headers["webhook-signature"] == expected["webhook-signature"]
        assert received.headers["x-signature"] == x_signature(signer, received.body)


def test_a_secret_that_is_made_is_shown_once_and_works(hooks: Hooks) -> None:
    made = hooks.call("create", {"eventTypes": ["note.*"], "webhookUrl": hooks.receiver.url()})
    first = hooks.call("rotateSecret", {"subscriptionId": made["subscriptionId"], "graceSeconds": 0})

    hooks.log()
    hooks.arrived(1)

    [received] = hooks.receiver.received
    assert received.headers["x-signature"] == x_signature(first["secret"], received.body)
    assert made["secret"] != first["secret"]
    shown = str(hooks.call("list", None)) + str(hooks.get(made["subscriptionId"]))
    assert "whsec_" not in shown


def test_the_database_itself_opens_no_secret(hooks: Hooks) -> None:
    id_ = hooks.create()

    with psycopg.connect(hooks.database_url) as connection:
        row = connection.execute("SELECT secret FROM subscription WHERE id = %s", [id_]).fetchone()

    assert row is not None
    assert SECRET.encode() not in bytes(row[0])
    assert SECRET not in hooks.server.log.read_text()


def test_a_replay_gets_new_numbers(hooks: Hooks) -> None:
    id_ = hooks.create("note.*")
    events = hooks.log(4)
    hooks.log(type="other.type")
    hooks.arrived(4)

    one = hooks.call("replay", {"subscriptionId": id_, "eventId": events[1]["id"]})
    places = hooks.call("replay", {"subscriptionId": id_, "fromSeq": 2, "toSeq": 99})
    times = {"from": events[0]["timestamp"], "to": events[2]["timestamp"]}
    span = hooks.call("replay", {"subscriptionId": id_, **times})

    assert (one, places, span) == (
        {"deliveries": 1, "deliverySeq": 5},
        {"deliveries": 2, "deliverySeq": 7},
        {"deliveries": 2, "deliverySeq": 9},
    )
    numbered = {body["deliverySeq"]: body["seq"] for body in hooks.arrived(9)}
    assert [numbered[number] for number in range(5, 10)] == [1, 2, 3, 0, 1]
    assert [each["replay"] for each in hooks.deliveries(id_)] == [True] * 5 + [False] * 4


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"fromSeq": 0},
        {"fromSeq": 0, "toSeq": 10_000},
        {"fromSeq": 0, "toSeq": 1, "eventId": "00000000-0000-0000-0000-000000000000"},
        {"from": "2026-01-01T00:00:00Z", "toSeq": 1},
        {"fromSeq": 2, "toSeq": 1},
        {"from": "2026-01-02T00:00:00Z", "to": "2026-01-01T00:00:00Z"},
        {"eventId": "00000000-0000-0000-0000-000000000000"},
    ],
    ids=str,
)
def test_a_replay_says_what_it_needs(hooks: Hooks, asked: dict[str, object]) -> None:
    id_ = hooks.create()

    assert failed(hooks.ask("replay", {"subscriptionId": id_, **asked}), 400)["reason"] == "invalid_input"


def test_an_event_that_does_not_match_is_not_replayed(hooks: Hooks) -> None:
    id_ = hooks.create("note.*")
    [other] = hooks.log(type="other.type")

    data = failed(hooks.ask("replay", {"subscriptionId": id_, "eventId": other["id"]}), 400)

    assert data["issues"][0]["path"] == "eventId"


def test_a_deleted_subscription_gets_nothing_more(hooks: Hooks) -> None:
    hooks.receiver.behaviour = lambda _: status(429, b"", "Retry-After: 3600")
    id_ = hooks.create()
    hooks.log(5)
    until(lambda: len([each for each in hooks.deliveries(id_) if each["attempts"]]) == 5)  # so none is on its way

    assert hooks.call("delete", {"subscriptionId": id_}) == {"subscriptionId": id_, "deleted": True}
    hooks.execute("UPDATE delivery SET due_at = now() WHERE subscription_id = %s", id_)
    with receiving() as friendly:
        other = hooks.create(webhookUrl=friendly.url())
        hooks.log(5)
        until(lambda: len(friendly.answered) == 5)

    assert len(hooks.receiver.received) == 5
    for name in ("get", "delete", "pause", "resume", "test", "deliveries", "rotateSecret"):
        assert failed(hooks.ask(name, {"subscriptionId": id_}), 404)["reason"] == "not_found"
    assert [each["subscriptionId"] for each in hooks.call("list", None)] == [other]


def test_a_test_posts_once_and_counts_for_nothing(hooks: Hooks) -> None:
    id_ = hooks.create()

    took = hooks.call("test", {"subscriptionId": id_})
    hooks.receiver.behaviour = lambda _: status(500, b"no")
    refused = hooks.call("test", {"subscriptionId": id_})

    assert (took["delivered"], took["status"], took["body"]) == (True, 200, "ok")
    assert (refused["delivered"], refused["status"], refused["error"]) == (False, 500, "Answered 500")
    first, _ = hooks.receiver.received
    assert first.json.keys() == {"subscriptionId", "deliveredAt", "event"}
    assert first.json["event"]["type"] == "synap.webhook.test"
    assert first.headers["x-signature"] == x_signature(SECRET, first.body)
    found = hooks.get(id_)
    assert (found["deliverySeq"], "failingSince" in found) == (0, False)


def test_read_own_gets_only_its_own_users_events(hooks: Hooks, keyed: Keyed) -> None:
    _, caller = keyed.key("subscriptions:manage", "events:read-own", user="ann", workspaces=(hooks.workspace,))
    of_all = hooks.create()
    own = hooks.create(caller=caller)

    hooks.log(userId="bob")
    hooks.log(userId="ann")
    bodies = hooks.arrived(3)

    assert [body["seq"] for body in bodies if body["subscriptionId"] == own] == [1]
    assert [each["subscriptionId"] for each in hooks.call("list", None, caller)] == [own]
    for name in ("get", "delete", "pause", "test", "deliveries", "rotateSecret"):
        assert failed(hooks.ask(name, {"subscriptionId": of_all}, caller), 404)["reason"] == "not_found"
    assert hooks.call("replay", {"subscriptionId": own, "fromSeq": 0, "toSeq": 9}, caller)["deliveries"] == 1


CALLS = {
    "OR": [{"data.title": {"startsWith": "Call"}}, {"metadata.ai.agent": {"in": ["planner", "writer"]}}],
    "NOT": {"AND": [{"userId": "bob"}, {"data.n": {"gt": 1}}]},
}
"""A filter that the first, third and fourth of these events meet."""

CALLED: tuple[dict[str, Any], ...] = (
    {**EVENT, "data": {"title": "Call Ann", "n": 1}, "userId": "bob"},
    {**EVENT, "data": {"title": "Call Bob", "n": 2}, "userId": "bob"},
    {**EVENT, "data": {"title": "Call Cat", "n": 3}, "userId": "ann"},
    {**EVENT, "data": {}, "metadata": {"ai": {"agent": "planner"}}, "userId": "ann"},
    {**EVENT, "data": {"n": [1]}, "metadata": {"custom": {"agent": "planner"}}, "userId": "ann"},
    {**EVENT, "data": {"title": "Call Ann"}, "type": "other.type"},
)


def test_a_filter_passes_events_that_meet_it(hooks: Hooks) -> None:
    id_ = hooks.create(filter=CALLS)
    other = hooks.create("*")

    hooks.log_each(*CALLED)
    bodies = hooks.arrived(9)
    hooks.log_each(CALLED[0])
    bodies = hooks.arrived(11)

    mine = {body["deliverySeq"]: body["seq"] for body in bodies if body["subscriptionId"] == id_}
    assert mine == {1: 0, 2: 2, 3: 3, 4: 6}
    theirs = {body["deliverySeq"]: body["seq"] for body in bodies if body["subscriptionId"] == other}
    assert theirs == {number + 1: number for number in range(7)}
    assert hooks.call("replay", {"subscriptionId": id_, "fromSeq": 0, "toSeq": 99})["deliveries"] == 4
    until(lambda: hooks.get(id_)["untried"] == 0 and len(hooks.receiver.answered) == 15)
    assert len(hooks.receiver.received) == 15


def test_a_filter_holds_for_what_was_logged_before(hooks: Hooks) -> None:
    hooks.log_each(*CALLED)

    id_ = hooks.create(filter=CALLS, startFrom="beginning", ordered=True)

    assert [body["seq"] for body in hooks.arrived(3)] == [0, 2, 3]
    hooks.log_each(*CALLED)
    assert [body["seq"] for body in hooks.arrived(6)] == [0, 2, 3, 6, 8, 9]
    assert hooks.get(id_)["deliverySeq"] == 6


def test_a_filter_is_shown_as_it_was_sent(hooks: Hooks) -> None:
    wanted = {"NOT": {"data.ü\0": 1.0}, "OR": [{"data.n": 1e30}, {"source": {"nin": ["api"]}}], "data": None}

    made = hooks.call("create", {"eventTypes": ["*"], "webhookUrl": hooks.receiver.url(), "filter": wanted})
    hooks.create(filter=None)

    id_ = made["subscriptionId"]
    assert json.dumps(made["filter"]) == json.dumps(wanted)
    listed = {each["subscriptionId"]: each for each in hooks.call("list", None)}
    assert [json.dumps(each.get("filter")) for each in listed.values()] == [json.dumps(wanted), "null"]
    assert "filter" not in listed.popitem()[1]
    for name in ("get", "pause", "resume"):
        assert hooks.call(name, {"subscriptionId": id_})["filter"] == wanted


@pytest.mark.parametrize(
    ("wanted", "path"),
    [
        ("note", "filter"),
        ({"data.n": {"over": 1}}, "filter.data.n.over"),
        ({"OR": [{}, {"metadata.ai.nosuch": 1}]}, "filter.OR.1.metadata.ai.nosuch"),
        ({"NOT": {"parent": {"some": {}}}}, "filter"),
        ({"children": {"none": {}}}, "filter"),
        ({"OR": [{"seq": place} for place in range(100)]}, "filter.OR"),
        ({"data.t": {"in": ["x" * 1000] * 66}}, "filter"),
    ],
    ids=["no object", "operator", "field", "parent", "children", "nodes", "bytes"],
)
def test_an_invalid_filter_is_rejected_by_its_place(hooks: Hooks, wanted: object, path: str) -> None:
    asked = {"eventTypes": ["*"], "webhookUrl": hooks.receiver.url(), "filter": wanted}

    [issue] = failed(hooks.ask("create", asked), 400)["issues"]

    assert issue["path"] == path
    assert hooks.call("list", None) == []


def test_a_filter_and_read_own_both_confine(hooks: Hooks, keyed: Keyed) -> None:
    _, caller = keyed.key("subscriptions:manage", "events:read-own", user="ann", workspaces=(hooks.workspace,))
    hooks.create(caller=caller, filter=CALLS)

    hooks.log_each(*CALLED)

    assert sorted(body["seq"] for body in hooks.arrived(2)) == [2, 3]
    hooks.log_each(CALLED[2])
    assert sorted(body["seq"] for body in hooks.arrived(3)) == [2, 3, 6]


def test_a_filter_sees_of_an_erased_event_what_is_left(hooks: Hooks) -> None:
    first, _ = hooks.log(2)
    hooks.erase(ids=[first["id"]])

    hooks.create(filter={"data.number": {"gte": 0}}, startFrom="beginning")
    hooks.create(filter={"data.number": None}, startFrom="beginning")

    bodies = {body["seq"]: body for body in hooks.arrived(2)}
    assert bodies.keys() == {0, 1}
    assert _sent(bodies[0]) == TOMBSTONE


def test_a_filter_that_became_invalid_disables_a_subscription(hooks: Hooks) -> None:
    id_ = hooks.create(filter={"metadata.ai.agent": "planner"})
    other = hooks.create()
    hooks.log_each(CALLED[3])
    hooks.arrived(2)
    filtered = "UPDATE subscription SET filter = %s WHERE id = %s"
    hooks.execute(filtered, '{"metadata.review.stars":{"gte":4}}', id_)
    hooks.execute("UPDATE dispatch SET version = version + 1 WHERE workspace_id = %s", hooks.workspace)

    hooks.log_each(CALLED[3])

    stopped = until(lambda: (found := hooks.get(id_))["status"] == "disabled" and found)
    assert stopped["reason"] == "The server no longer accepts its filter; subscriptions.resume says why"
    bodies = hooks.arrived(3)
    assert [(body["subscriptionId"], body["seq"]) for body in bodies[2:]] == [(other, 1)]
    assert [event["data"]["subscriptionId"] for event in until(lambda: _disabled_events(hooks))] == [id_]
    for name, more in (("resume", {}), ("replay", {"fromSeq": 0, "toSeq": 9})):
        [issue] = failed(hooks.ask(name, {"subscriptionId": id_, **more}), 400)["issues"]
        assert issue["path"] == "filter.metadata.review.stars"
    assert hooks.get(id_)["status"] == "disabled"
    hooks.execute(filtered, '{"metadata.ai.agent":"planner"}', id_)  # the kind is registered again
    hooks.call("resume", {"subscriptionId": id_})
    assert [body["seq"] for body in hooks.arrived(4) if body["subscriptionId"] == id_] == [0, 1]


TOMBSTONE: dict[str, Any] = {"type": "note.created", "source": "api", "data": {}, "erased": True}


def _sent(body: dict[str, Any]) -> dict[str, Any]:
    """The event of a delivery without its id and time."""
    return {name: value for name, value in body["event"].items() if name not in {"eventId", "timestamp"}}


def test_what_was_erased_before_it_was_sent_comes_as_a_tombstone(hooks: Hooks) -> None:
    id_ = hooks.create("*")
    hooks.call("pause", {"subscriptionId": id_})
    first, second = hooks.log(2)

    hooks.erase(ids=[first["id"]])
    hooks.call("resume", {"subscriptionId": id_})

    bodies = {body["seq"]: body for body in hooks.arrived(3)}
    assert _sent(bodies[0]) == TOMBSTONE
    assert _sent(bodies[1]) == {"type": "note.created", "source": "api", "data": second["data"]}
    assert (bodies[0]["event"]["eventId"], bodies[0]["hash"]) == (first["id"], first["hash"])
    assert bodies[0]["event"]["timestamp"] == first["timestamp"]
    assert bodies[2]["event"]["data"]["erased"] == [{name: first[name] for name in ("seq", "id", "hash")}]


def test_an_erasure_removes_answers_and_later_sends_tombstones(hooks: Hooks) -> None:
    hooks.receiver.behaviour = lambda request: status(429, request.body, "Retry-After: 3600")
    id_ = hooks.create("note.*")
    hooks.log(2, userId="ann")
    hooks.log(userId="bob")
    until(lambda: len([each for each in hooks.deliveries(id_) if each["attempts"]]) == 3)

    assert hooks.erase(userId="ann")["erased"] == 2

    kept = [delivery["attempts"][0] for delivery in hooks.deliveries(id_)]
    assert [bool(attempt["body"]) for attempt in kept] == [True, False, False]
    assert {(attempt["status"], attempt["error"]) for attempt in kept} == {(429, "Answered 429")}
    hooks.receiver.behaviour = lambda _: OK
    hooks.call("pause", {"subscriptionId": id_})
    hooks.call("resume", {"subscriptionId": id_})
    bodies = {body["deliverySeq"]: body for body in hooks.arrived(3)}
    assert [_sent(bodies[number]).get("erased") for number in (1, 2, 3)] == [True, True, None]
    assert _sent(bodies[1]) == TOMBSTONE


def test_an_answer_that_comes_after_the_erasure_is_not_kept(hooks: Hooks) -> None:
    def behave(request: Received) -> Answer:
        if "number" in request.json["event"]["data"]:
            hooks.erase(userId="ann")  # during this attempt
        return status(500, request.body)

    hooks.receiver.behaviour = behave
    id_ = hooks.create("note.*")

    hooks.log(userId="ann")

    [delivery] = until(lambda: hooks.deliveries(id_, status="failed"))
    assert [bool(attempt["body"]) for attempt in delivery["attempts"]] == [False] * 3
    assert [_sent(request.json).get("erased") for request in hooks.receiver.received] == [None, True, True]


def test_an_owed_delivery_of_an_own_event_comes_as_a_tombstone_and_one_not_yet_owed_does_not(
    hooks: Hooks, keyed: Keyed
) -> None:
    _, caller = keyed.key("subscriptions:manage", "events:read-own", user="ann", workspaces=(hooks.workspace,))
    hooks.receiver.behaviour = lambda _: status(429, b"", "Retry-After: 3600")
    id_ = hooks.create("note.*", caller=caller)
    hooks.log(userId="ann")
    until(lambda: [each for each in hooks.deliveries(id_) if each["attempts"]])
    hooks.call("pause", {"subscriptionId": id_})
    hooks.log(userId="ann")

    hooks.erase(userId="ann")

    hooks.receiver.behaviour = lambda _: OK
    hooks.call("resume", {"subscriptionId": id_})
    [last] = hooks.log(userId="ann")
    bodies = {body["seq"]: body for body in hooks.arrived(2)}
    assert bodies.keys() == {0, last["seq"]}
    assert _sent(bodies[0]) == TOMBSTONE
    assert hooks.get(id_)["deliverySeq"] == 2
    assert hooks.call("replay", {"subscriptionId": id_, "fromSeq": 0, "toSeq": 9}, caller)["deliveries"] == 1


def test_deliveries_are_paged(hooks: Hooks) -> None:
    id_ = hooks.create()
    hooks.log(7)
    hooks.arrived(7)

    first = hooks.call("deliveries", {"subscriptionId": id_, "limit": 4})
    rest = hooks.call("deliveries", {"subscriptionId": id_, "limit": 4, "cursor": first["nextCursor"]})

    assert [each["deliverySeq"] for each in first["deliveries"] + rest["deliveries"]] == [7, 6, 5, 4, 3, 2, 1]
    assert "nextCursor" not in rest


def test_no_more_than_the_limit_are_active(hooks: Hooks) -> None:
    ids = [hooks.create() for _ in range(10)]
    wanted = {"eventTypes": ["*"], "webhookUrl": hooks.receiver.url()}

    refused = failed(hooks.ask("create", wanted), 429)
    hooks.call("pause", {"subscriptionId": ids[0]})
    hooks.create()

    assert (refused["code"], refused["reason"]) == ("TOO_MANY_REQUESTS", "rate_limit_exceeded")
    assert refused["retryAfterSeconds"] == 60
    assert failed(hooks.ask("resume", {"subscriptionId": ids[0]}), 429)["reason"] == "rate_limit_exceeded"
    assert hooks.get(ids[0])["status"] == "paused"


def _disabled_events(hooks: Hooks) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = answered(
        hooks.server.query("events.list", {"type": "synap.webhook.disabled"}, **{"x-workspace-id": hooks.workspace})
    )
    return found
