"""A caller that manages webhooks cannot make a server post, store, look up or show more than it can handle."""

import asyncio
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from app.delivery.guard import MAX_LOOKUPS_EACH, MAX_LOOKUPS_WAITING, Guard, Unresolved
from app.delivery.webhooks import MAX_LARGE_EVENTS, MAX_TESTS_EACH, MAX_TESTS_WAITING_EACH
from app.delivery.worker import MAX_POSTS_OF_WORKSPACE
from app.store.webhooks.dispatch import MAX_UNTRIED
from schemas.subscription import MAX_LISTED
from tests.delivery.receiver import Receiver, receiving, status
from tests.delivery.test_webhooks import Hooks
from tests.kit import web
from tests.kit.servers import cloned, serving, until
from tests.procedures.conftest import Keyed, answered, failed

TIMEOUT_SECONDS = 3

PAUSED = """
INSERT INTO subscription (workspace_id, id, event_types, url, ordered, state, secret, weak_secret, cursor, created_at)
SELECT %s, 'sub_old' || to_char(n, 'FM000'), '{*}', 'https://receiver.example/', false, 'paused', '', false, 0,
    now() - interval '1 day' + n * interval '1 second'
FROM generate_series(1, %s) AS n
"""


@pytest.fixture(scope="module")
def keyed(postgres_url: str, template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Keyed]:
    """A server that may call this machine, and retries after an hour."""
    with (
        cloned(postgres_url, template, "test_webhook_bounds") as url,
        serving(
            tmp_path_factory.mktemp("bounds"),
            database_url=url,
            webhook_allow_http="true",
            webhook_allow_networks="127.0.0.0/8",
            webhook_schedule="0,3600",
            webhook_timeout_seconds=TIMEOUT_SECONDS,
        ) as server,
    ):
        yield Keyed(server, url)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A receiver that hangs."""
    with receiving(lambda _: 60.0) as running:
        yield running


@pytest.fixture
def hooks(keyed: Keyed, receiver: Receiver) -> Hooks:
    """A workspace and a receiver of the test's own."""
    return Hooks(keyed, receiver)


def batch(hooks: Hooks, name: str, value: object, count: int) -> list[dict[str, Any]]:
    """The results of `count` equal mutations in one request."""
    path = ",".join([f"subscriptions.{name}"] * count)
    answer = web.post(
        f"{hooks.server.url}/trpc/{path}",
        params={"batch": "1"},
        json={str(number): value for number in range(count)},
        headers=hooks.server.headers | {"x-workspace-id": hooks.workspace},
        timeout=120,
    )
    answers: list[dict[str, Any]] = answer.json()
    return answers


def test_tests_of_a_workspace_are_few_at_once_and_the_rest_is_rejected(hooks: Hooks) -> None:
    id_ = hooks.create()

    answers = batch(hooks, "test", {"subscriptionId": id_}, 100)

    done = [each["result"]["data"] for each in answers if "result" in each]
    refused = [each["error"]["data"] for each in answers if "error" in each]
    assert len(done) == MAX_TESTS_EACH + MAX_TESTS_WAITING_EACH
    assert len(refused) == 100 - len(done)
    assert hooks.receiver.most_open < 2 * MAX_TESTS_EACH  # the receiver sees a close a little later
    assert len(hooks.receiver.received) == len(done)
    assert {(each["code"], each["retryAfterSeconds"]) for each in refused} == {("TOO_MANY_REQUESTS", TIMEOUT_SECONDS)}
    hooks.receiver.behaviour = lambda _: status(204)
    assert hooks.call("test", {"subscriptionId": id_})["delivered"]


def test_tests_of_many_workspaces_to_one_host_are_few_at_once(hooks: Hooks, keyed: Keyed) -> None:
    others = [hooks, *(Hooks(keyed, hooks.receiver) for _ in range(2))]
    ids = [each.create() for each in others]

    async def story() -> list[list[dict[str, Any]]]:
        asked = [
            asyncio.to_thread(batch, each, "test", {"subscriptionId": id_}, MAX_TESTS_EACH)
            for each, id_ in zip(others, ids, strict=True)
        ]
        return await asyncio.gather(*asked)

    answers = [each for answers in asyncio.run(story()) for each in answers]
    assert len(answers) == 3 * MAX_TESTS_EACH
    assert all("result" in each for each in answers)
    assert hooks.receiver.most_open < 2 * MAX_TESTS_EACH  # the receiver sees a close a little later


def test_deliveries_of_a_workspace_leave_room_for_the_others(hooks: Hooks, keyed: Keyed) -> None:
    with receiving() as friendly:
        other = Hooks(keyed, friendly)
        other.create()
        for _ in range(4):
            hooks.create()
        hooks.log(200)
        until(lambda: hooks.receiver.open >= MAX_POSTS_OF_WORKSPACE)

        other.log(50)
        other.arrived(50)

        assert hooks.receiver.most_open <= MAX_POSTS_OF_WORKSPACE + MAX_TESTS_EACH


def test_a_workspace_keeps_ten_times_as_many_subscriptions_as_may_be_active(hooks: Hooks) -> None:
    hooks.execute(PAUSED, hooks.workspace, 99)
    id_ = hooks.create()
    hooks.call("pause", {"subscriptionId": id_})
    wanted = {"eventTypes": ["*"], "webhookUrl": hooks.receiver.url()}

    refused = hooks.ask("create", wanted)

    assert failed(refused, 429)["reason"] == "rate_limit_exceeded"
    assert refused.json()["error"]["message"] == (
        "100 subscriptions exist in this workspace, which is the maximum; delete a stopped one first"
    )
    assert len(hooks.call("list", None)) == 100
    hooks.call("delete", {"subscriptionId": id_})
    hooks.create()


def test_subscriptions_are_listed_in_pages(hooks: Hooks) -> None:
    hooks.execute(PAUSED, hooks.workspace, MAX_LISTED + 1)
    path = f"{hooks.server.url}/v1/events/subscriptions"

    first = hooks.call("list", {"limit": MAX_LISTED})
    rest = hooks.call("list", {"after": first[-1]["subscriptionId"]})
    too_many = failed(hooks.ask("list", None), 413)
    parameters = {"orgId": hooks.workspace, "limit": "2", "after": "sub_old198"}
    shown = web.get(path, params=parameters, headers=hooks.server.headers, timeout=60)
    refused = web.get(path, params={"orgId": hooks.workspace}, headers=hooks.server.headers, timeout=60)

    names = [each["subscriptionId"] for each in first + rest]
    assert names == [f"sub_old{number:03}" for number in range(1, MAX_LISTED + 2)]
    assert too_many["reason"] == "payload_too_large"
    assert [each["subscriptionId"] for each in shown.json()["subscriptions"]] == ["sub_old199", "sub_old200"]
    assert (refused.status_code, refused.json()["error"]["field"]) == (413, "limit")
    [issue] = failed(hooks.ask("list", {"after": "sub_no"}), 400)["issues"]
    assert issue["path"] == "after"


def test_a_subscription_that_is_owed_much_is_replayed_nothing_more(hooks: Hooks) -> None:
    id_ = hooks.create()
    hooks.call("pause", {"subscriptionId": id_})
    hooks.log(3)
    hooks.execute("UPDATE subscription SET delivery_seq = %s WHERE id = %s", MAX_UNTRIED, id_)
    wanted = {"subscriptionId": id_, "fromSeq": 0, "toSeq": 9}

    replayed = hooks.call("replay", wanted)
    refused = hooks.ask("replay", wanted)

    assert replayed == {"deliveries": 3, "deliverySeq": MAX_UNTRIED + 3}
    assert failed(refused, 429)["retryAfterSeconds"] == 60
    assert refused.json()["error"]["message"].startswith("10,003 deliveries of this subscription wait")


def test_replays_of_a_workspace_are_made_one_by_one(hooks: Hooks) -> None:
    id_ = hooks.create()
    hooks.call("pause", {"subscriptionId": id_})
    hooks.log(2)

    answers = batch(hooks, "replay", {"subscriptionId": id_, "fromSeq": 0, "toSeq": 9}, 100)

    done = [each["result"]["data"] for each in answers if "result" in each]
    assert 9 <= len(done) < 50, "one runs and eight wait; others may begin when the first are done"
    assert sorted(each["deliverySeq"] for each in done) == [2 * number for number in range(1, len(done) + 1)]
    assert {each["error"]["data"]["code"] for each in answers if "error" in each} == {"TOO_MANY_REQUESTS"}


ATTEMPTED = """
INSERT INTO delivery (workspace_id, subscription_id, delivery_seq, seq, ordered, state, attempts, created_at, ended_at)
SELECT workspace_id, id, n, 0, false, 'failed', 20, now(), now() FROM subscription, generate_series(1, 24) AS n
WHERE id = %s
"""

ANSWERED = """
INSERT INTO attempt (workspace_id, subscription_id, delivery_seq, number, at, elapsed_ms, status, error, body)
SELECT workspace_id, subscription_id, delivery_seq, n, now(), 1, 500, 'Answered 500',
    convert_to(repeat('x', 20000), 'UTF8')
FROM delivery, generate_series(1, 20) AS n WHERE subscription_id = %s
"""


def test_a_page_of_deliveries_ends_when_their_answers_are_large(hooks: Hooks) -> None:
    id_ = hooks.create("other.*")
    hooks.log(1)
    hooks.execute(ATTEMPTED, id_)
    hooks.execute(ANSWERED, id_)
    pages: list[dict[str, Any]] = []

    wanted: dict[str, Any] = {"subscriptionId": id_, "limit": 200}
    while not pages or "nextCursor" in pages[-1]:
        pages.append(hooks.call("deliveries", wanted | {"cursor": pages[-1]["nextCursor"]} if pages else wanted))
    back = hooks.call("deliveries", wanted | {"cursor": pages[-1]["previousCursor"], "direction": "backward"})

    shown = [[each["deliverySeq"] for each in page["deliveries"]] for page in pages]
    assert [number for page in shown for number in page] == list(range(24, 0, -1))
    assert [len(page) for page in shown] == [10, 10, 4]
    assert max(len(json.dumps(page)) for page in pages) < 5 * 2**20
    assert [each["deliverySeq"] for each in back["deliveries"]] == shown[1]
    assert "previousCursor" in back


class Hung:
    """A resolver that does not answer for some names until it is released."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.let_go = asyncio.Event()

    async def __call__(self, host: str, _port: int) -> Sequence[str]:
        """The addresses of a host."""
        self.asked.append(host)
        if host.endswith(".hung.example"):
            await self.let_go.wait()
        return ["93.184.215.14"]


def test_names_that_are_never_resolved_hold_up_their_own_workspace_only() -> None:
    async def story() -> None:
        resolve = Hung()
        guard = Guard(resolve=resolve)

        async def look_up(name: str, party: str, seconds: float = 60) -> object:
            async with asyncio.timeout(seconds):
                return await guard.addresses(guard.target(f"https://{name}/"), party)

        hung = [f"{number}.hung.example" for number in range(100)]
        looked = await asyncio.gather(*(look_up(name, "a", 0.2) for name in hung * 2), return_exceptions=True)
        other = await look_up("fine.example", "b")
        same = await asyncio.gather(*(look_up("fine.example", "b") for _ in range(20)))

        assert resolve.asked == [*hung[:MAX_LOOKUPS_EACH], "fine.example", "fine.example"]
        assert sum(isinstance(each, Unresolved) for each in looked) >= 100 - MAX_LOOKUPS_EACH - MAX_LOOKUPS_WAITING
        assert [str(address) for address in other] == ["93.184.215.14"]  # type: ignore[attr-defined] # addresses
        assert set(same) == {other}
        resolve.let_go.set()
        assert await look_up("new.hung.example", "a") == other

    asyncio.run(story())


HEAVY = {"OR": [{"data.text": {"contains": f"y{number}"}} for number in range(98)]}


def test_few_large_events_wait_for_the_filters_of_their_workspace(hooks: Hooks) -> None:
    for _ in range(10):
        hooks.create(filter=HEAVY)
    event = {"type": "note.created", "source": "test", "data": {"text": "x" * 400_000}, "metadata": {}}
    event["metadata"] = {"orgId": hooks.workspace}

    def publish(_number: int) -> int:
        answer = web.post(f"{hooks.server.url}/v1/events", json=event, headers=hooks.server.headers, timeout=280)
        return answer.status_code

    with ThreadPoolExecutor(24) as pool:
        statuses = Counter(pool.map(publish, range(24)))

    assert statuses.keys() == {201, 429}
    assert statuses[201] >= MAX_LARGE_EVENTS
    stored = answered(hooks.server.query("events.page", {"limit": 1}, **{"x-workspace-id": hooks.workspace}))
    assert stored["total"] == statuses[201]
