"""The Python client's intents against a real server: asking, functions that ask, and what a crash leaves behind."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import httpx
import pytest
from msgspec import Struct
from synap_client import (
    AlreadyStarted,
    AsyncSynap,
    Conflict,
    Event,
    IntentEnded,
    IntentExpired,
    IntentRejected,
    IntentWithdrawn,
    InvalidInput,
    NotDecided,
    NotReported,
    Synap,
    agent,
    approved,
)
from synap_client.asking import asked_id

from tests.clients.conftest import SOURCE
from tests.kit import web
from tests.kit.servers import Server, until

REFUND = {"order_id": "order-7", "amount": 82000}


class People(Struct, frozen=True):
    """An agent that asks, and Ann, who decides. The type of what is asked is the test's own."""

    url: str
    token: str
    bot: Synap
    ann: Synap
    type: str

    def waiting(self) -> dict[str, Any]:
        """The open intent of the test's type, as soon as there is one."""

        def found() -> dict[str, Any] | None:
            listed = self.ann.call("intents.list", {"waiting": True}, retry=True)["intents"]
            return next((each for each in listed if each["type"] == f"{self.type}.requested"), None)

        intent: dict[str, Any] = until(found)
        return intent

    def decide(self, decision: str = "approved", **more: str) -> str:
        """Decide on the next intent, and return its id."""
        intent = self.waiting()
        named = {"eventId": intent["eventId"], "hash": intent["hash"], "decision": decision}
        self.ann.call("intents.decide", named | more)
        return str(intent["eventId"])

    def events(self) -> list[str]:
        """The last words of the types of what followed, oldest first."""
        return [event.type.removeprefix(f"{self.type}.") for event in self._events()]

    def last(self) -> Event:
        """The newest event of the type."""
        return self._events()[-1]

    def _events(self) -> list[Event]:
        return list(reversed(self.ann.list(type=f"{self.type}.*")))


@pytest.fixture
def people(server: Server, tokens: tuple[str, str], run: str) -> Iterator[People]:
    """The two, in a workspace that others use too."""
    with (
        Synap(server.url, tokens[0], http=web.client) as bot,
        Synap(server.url, tokens[1], http=web.client) as ann,
    ):
        yield People(server.url, tokens[0], bot, ann, f"refund.{run}")


@pytest.fixture
def background() -> Iterator[ThreadPoolExecutor]:
    """Runs what waits for a decision."""
    with ThreadPoolExecutor(2) as pool:
        yield pool


def test_ask_returns_what_was_approved(people: People, background: ThreadPoolExecutor) -> None:
    def ask() -> tuple[Any, str | None, str]:
        with agent("refunds", people.bot, subject_id="order-7") as a:
            found = a.decided("refund")
            intent = a.ask(people.type, REFUND, risk="high", summary="Refund order 7", approvers=[ann], uses=2)
            return intent, a.last_id, found

    ann = people.ann.call("keys.current")["userId"]
    asking = background.submit(ask)
    waiting = people.waiting()
    decided = people.decide(reason="Agreed by phone")
    intent, last_id, found = asking.result(60)

    assert (waiting["summary"], waiting["risk"], waiting["subjectId"]) == ("Refund order 7", "high", "order-7")
    assert (intent.event.id, intent.state, intent.uses) == (decided, "approved", 2)
    assert (intent.event.data, intent.event.causation_id) == ({"parameters": REFUND}, found)
    assert (intent.decided_by, intent.reason) == (ann, "Agreed by phone")
    assert last_id == intent.decision_id
    assert intent.event.metadata["ai"] == {"agent": "refunds"}


def test_a_use_starts_only_with_what_was_approved(people: People, background: ThreadPoolExecutor) -> None:
    with agent("refunds", people.bot, bounds=False) as a:
        approving = background.submit(people.decide)
        intent = a.ask(people.type, REFUND, wait_seconds=60)
        approving.result(60)

        with pytest.raises(Conflict) as other:
            a.start(intent, REFUND | {"amount": 820000})
        started = a.start(intent, REFUND)
        finished = a.finish(started, "executed", {"receipt": "R-1"})
        with pytest.raises(Conflict) as again:
            a.start(intent, REFUND)

        assert a.last_id == finished.id

    assert (other.value.reason, again.value.reason) == ("parameters_differ", "used_up")
    assert people.events() == ["requested", "approved", "started", "executed"]
    assert finished.data == {"receipt": "R-1"}


@pytest.mark.parametrize(
    ("end", "error", "why"),
    [
        pytest.param("rejected", IntentRejected, "Too much", id="rejected"),
        pytest.param("withdrawn", IntentWithdrawn, "Paid in cash", id="withdrawn"),
        pytest.param("erased", IntentWithdrawn, None, id="erased"),
    ],
)
def test_ask_says_what_ended_an_intent(
    people: People, client: Synap, background: ThreadPoolExecutor, end: str, error: type[IntentEnded], why: str | None
) -> None:
    def stop() -> str:
        if end == "rejected":
            return people.decide("rejected", reason="Too much")
        id_ = str(people.waiting()["eventId"])
        if end == "erased":
            client.call("events.erase", {"ids": [id_]})
        else:
            people.bot.call("intents.withdraw", {"eventId": id_, "reason": "Paid in cash"})
        return id_

    ending = background.submit(stop)
    with agent("refunds", people.bot, bounds=False) as a, pytest.raises(error) as raised:
        a.ask(people.type, REFUND, wait_seconds=60)

    assert (raised.value.intent_id, raised.value.why) == (ending.result(60), why)
    assert "Too much" not in str(raised.value)


def test_ask_waits_no_longer_than_it_should(people: People) -> None:
    with agent("refunds", people.bot, bounds=False) as a:
        with pytest.raises(NotDecided) as raised:
            a.ask(people.type, REFUND, wait_seconds=0)

        assert a.last_id == raised.value.intent_id
    assert people.waiting()["eventId"] == raised.value.intent_id


def test_ask_says_that_an_intent_expired(people: People) -> None:
    soon = datetime.now(UTC) + timedelta(seconds=5)  # an intent whose end has passed is rejected

    with agent("refunds", people.bot, bounds=False) as a, pytest.raises(IntentExpired):
        a.ask(people.type, REFUND, expires_at=soon)


def test_a_key_asks_once(people: People, run: str) -> None:
    with agent("refunds", people.bot) as a, pytest.raises(NotDecided):
        a.ask(people.type, REFUND, key=run, wait_seconds=0)
    approved_id = people.decide()

    with agent("refunds", people.bot) as b:
        intent = b.ask(people.type, REFUND, key=run, summary="The summary may change")
        with pytest.raises(Conflict, match="other parameters"):
            b.ask(people.type, {"amount": 1}, key=run)

    assert intent.event.id == approved_id
    assert people.events() == ["requested", "approved"]


def test_the_id_that_a_key_makes_never_changes() -> None:
    assert asked_id("payment.refund", "job-17") == "fa30d788-e652-8369-818d-72b513a0a8be"


def test_a_wait_continues_over_an_outage(people: People, background: ThreadPoolExecutor) -> None:
    class Cut(httpx.HTTPTransport):
        """Loses the first two waits."""

        lost = 0

        def handle_request(self, request: httpx.Request) -> httpx.Response:
            if request.url.path.endswith("intents.wait") and Cut.lost < 2:
                Cut.lost += 1
                raise httpx.ReadError("cut")
            return super().handle_request(request)

    deciding = background.submit(people.decide)
    with (
        Synap(people.url, people.token, http=lambda: httpx.Client(transport=Cut())) as bot,
        agent("refunds", bot, bounds=False) as a,
    ):
        intent = a.ask(people.type, REFUND)

    assert (intent.event.id, Cut.lost) == (deciding.result(60), 2)


def _refund(people: People, **fields: Any) -> Any:
    """A function that asks, and says what it ran with."""

    @approved(people.type, **fields)
    def refund(order_id: str, amount: int = 82000, *notes: str, **more: Any) -> dict[str, Any]:
        """Refund an order."""
        if amount < 0:
            raise ValueError("a secret")
        return {"order_id": order_id, "amount": amount, "notes": notes, "more": more}

    return refund


def test_an_approved_function_runs_with_its_parameters(people: People, background: ThreadPoolExecutor) -> None:
    refund = _refund(people, describe=lambda order_id, *_, **__: f"Refund {order_id}", risk="low")
    lines = [{"sku": "a"}]
    approving = background.submit(people.waiting)

    def approve() -> None:
        approving.result(60)
        lines[0]["sku"] = "changed while it waits"
        people.decide()

    deciding = background.submit(approve)
    with agent("refunds", people.bot) as a:
        result = refund("order-7", 82000, "x", lines=lines)
        last_id = a.last_id
    deciding.result(60)

    assert approving.result()["summary"] == "Refund order-7"
    assert result == {"order_id": "order-7", "amount": 82000, "notes": ("x",), "more": {"lines": [{"sku": "a"}]}}
    assert people.events() == ["requested", "approved", "started", "executed"]
    assert (people.last().id, people.last().data) == (last_id, {})
    chain = people.bot.call("intents.get", {"eventId": approving.result()["eventId"]})
    assert chain["event"]["data"]["parameters"] == {
        "order_id": "order-7",
        "amount": 82000,
        "notes": ["x"],
        "more": {"lines": [{"sku": "a"}]},
    }
    assert (refund.__name__, refund.__doc__) == ("refund", "Refund an order.")


@pytest.mark.parametrize(
    ("details", "data"),
    [
        pytest.param(False, {"error": "ValueError"}, id="its class"),
        pytest.param(True, {"error": "ValueError", "message": "a secret"}, id="its message if asked"),
    ],
)
def test_an_exception_is_reported(
    people: People, background: ThreadPoolExecutor, *, details: bool, data: dict[str, str]
) -> None:
    deciding = background.submit(people.decide)

    with agent("refunds", people.bot, bounds=False), pytest.raises(ValueError, match="a secret"):
        _refund(people, details=details)("order-7", -1)
    deciding.result(60)

    assert (people.events()[-1], people.last().data) == ("failed", data)


def test_details_that_are_no_json_are_left_out(people: People, background: ThreadPoolExecutor) -> None:
    deciding = background.submit(people.decide)
    with agent("refunds", people.bot, bounds=False):
        _refund(people, details=True)("order-7", 82000, "x", when="now")
    deciding.result(60)
    assert people.last().data["result"]["notes"] == ["x"]

    run = approved(people.type, details=True)(object)
    deciding = background.submit(people.decide)
    with agent("refunds", people.bot, bounds=False):
        run()
    deciding.result(60)
    assert (people.events()[-1], people.last().data) == ("executed", {})


@pytest.mark.parametrize(
    ("value", "message"),
    [
        pytest.param(Decimal(1), "parameters.amount: is a Decimal", id="a decimal"),
        pytest.param((1,), "parameters.amount: is a tuple", id="a tuple"),
        pytest.param([{1: 2}], "parameters.amount.0: has a name of type int", id="a name"),
        pytest.param(2**53, "parameters.amount: is a number", id="a large number"),
        pytest.param(float("nan"), "parameters.amount: is not a finite number", id="no number"),
    ],
)
def test_a_parameter_that_is_no_json_is_refused(people: People, value: object, message: str) -> None:
    with agent("refunds", people.bot, bounds=False), pytest.raises(InvalidInput, match=message):
        _refund(people)("order-7", value)

    assert people.events() == []


def test_an_approved_function_needs_a_fitting_agent(people: People) -> None:
    @approved(people.type)
    async def later() -> None:
        """Does nothing."""

    with pytest.raises(RuntimeError, match=r"inside of `with agent"):
        _refund(people)("order-7")
    with agent("refunds", people.bot, bounds=False), pytest.raises(RuntimeError, match="async with agent"):
        asyncio.run(later())
    with pytest.raises(TypeError, match="generator"):
        approved(people.type)(lambda: (yield))
    with agent("refunds", people.bot, bounds=False), pytest.raises(TypeError, match="order_id"):
        _refund(people)()


def test_the_type_is_that_of_the_act(people: People) -> None:
    with pytest.raises(ValueError, match=f"name what runs, '{people.type}'"):
        approved(f"{people.type}.requested")(lambda: None)
    with agent("refunds", people.bot, bounds=False) as a, pytest.raises(ValueError, match="name what runs"):
        a.ask(f"{people.type}.requested", {})

    assert people.events() == []


def test_an_intent_expires_when_its_asker_says(people: People) -> None:
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).isoformat()

    with agent("refunds", people.bot, bounds=False) as a:
        with pytest.raises(NotDecided):
            a.ask(people.type, {}, expires_at=tomorrow, wait_seconds=0)
        with pytest.raises(InvalidInput, match=r"expiresAt: must be an RFC 3339 time"):
            a.ask(people.type, {}, expires_at="tomorrow", wait_seconds=0)

    assert people.last().metadata == {"ai": {"agent": "refunds"}, "synap": {"intent": {"expiresAt": tomorrow}}}


CRASHING = """
import os, sys
from synap_client import Synap, agent, approved

@approved(sys.argv[1])
def refund(order_id, amount):
    print("ran", flush=True)
    os._exit(9)

with Synap(os.environ["URL"], os.environ["TOKEN"]) as client, agent("refunds", client):
    refund.keyed(sys.argv[2])("order-7", 82000)
"""


def test_a_function_that_crashed_does_not_run_again(people: People, run: str) -> None:
    command = [sys.executable, "-c", CRASHING, people.type, run]
    variables = os.environ | {"PYTHONPATH": str(SOURCE), "URL": people.url, "TOKEN": people.token}
    with subprocess.Popen(command, env=variables, stdout=subprocess.PIPE, text=True) as waiting:
        people.waiting()
        waiting.kill()
    with subprocess.Popen(command, env=variables, stdout=subprocess.PIPE, text=True) as crashing:
        people.decide()
        assert crashing.stdout is not None
        assert crashing.stdout.read() == "ran\n"
    assert (waiting.returncode, crashing.returncode) == (-9, 9)

    ran: list[str] = []
    refund = approved(people.type)(lambda order_id, amount: ran.append(f"{order_id} {amount}"))
    with agent("refunds", people.bot, bounds=False):
        with pytest.raises(AlreadyStarted, match="may still run") as still:
            refund.keyed(run)("order-7", 82000)
        people.bot.call("intents.finish", {"startId": still.value.start_id, "outcome": "failed"})
        with pytest.raises(AlreadyStarted, match="it was failed") as ended:
            refund.keyed(run)("order-7", 82000)

    assert (still.value.outcome, ended.value.outcome, ran) == (None, "failed", [])
    assert ended.value.outcome_id == people.last().id
    assert people.events() == ["requested", "approved", "started", "failed"]


def test_a_lost_answer_does_not_keep_a_function_from_running(people: People, background: ThreadPoolExecutor) -> None:
    class Cut(httpx.HTTPTransport):
        """Loses the answer to the first start."""

        lost = False

        def handle_request(self, request: httpx.Request) -> httpx.Response:
            answer = super().handle_request(request)
            if request.url.path.endswith("intents.start") and not Cut.lost:
                Cut.lost = True
                answer.read()
                raise httpx.ReadError("cut")
            return answer

    deciding = background.submit(people.decide)
    with (
        Synap(people.url, people.token, http=lambda: httpx.Client(transport=Cut())) as bot,
        agent("refunds", bot, bounds=False),
    ):
        assert _refund(people)("order-7")["amount"] == 82000
    deciding.result(60)

    assert Cut.lost
    assert people.events() == ["requested", "approved", "started", "executed"]


def test_a_result_that_could_not_be_reported_is_not_lost(people: People, background: ThreadPoolExecutor) -> None:
    class Cut(httpx.HTTPTransport):
        """Lets no report through."""

        def handle_request(self, request: httpx.Request) -> httpx.Response:
            if request.url.path.endswith("intents.finish"):
                raise httpx.ReadError("cut")
            return super().handle_request(request)

    deciding = background.submit(people.decide)
    with (
        Synap(people.url, people.token, http=lambda: httpx.Client(transport=Cut()), retry_seconds=0.5) as bot,
        agent("refunds", bot, bounds=False),
        pytest.raises(NotReported) as raised,
    ):
        _refund(people)("order-7")
    intent_id = deciding.result(60)

    result: Any = raised.value.result
    assert result["order_id"] == "order-7"
    assert (raised.value.intent_id, raised.value.start_id) == (intent_id, people.last().id)


def test_an_async_function_asks_too(people: People, background: ThreadPoolExecutor) -> None:
    @approved(people.type, details=True)
    async def refund(order_id: str, amount: int) -> str:
        await asyncio.sleep(0)
        return f"{order_id}: {amount}"

    async def main() -> tuple[str, str | None]:
        async with (
            AsyncSynap(people.url, people.token) as bot,
            agent("refunds", bot.recorder(), bounds=False) as a,
        ):
            return await refund("order-7", amount=82000), a.last_id

    deciding = background.submit(people.decide)
    result, last_id = asyncio.run(main())
    deciding.result(60)

    assert asyncio.iscoroutinefunction(refund)
    assert (result, people.last().id, people.last().data) == ("order-7: 82000", last_id, {"result": "order-7: 82000"})


def test_a_cancelled_function_is_reported_as_failed(people: People, background: ThreadPoolExecutor) -> None:
    async def main() -> None:
        running = asyncio.Event()

        @approved(people.type)
        async def refund() -> None:
            running.set()
            await asyncio.sleep(600)

        async with AsyncSynap(people.url, people.token) as bot, agent("refunds", bot, bounds=False):
            task = asyncio.create_task(refund())
            await asyncio.wait_for(running.wait(), 60)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    deciding = background.submit(people.decide)
    asyncio.run(main())
    deciding.result(60)

    assert (people.events()[-1], people.last().data) == ("failed", {"error": "CancelledError"})


def test_a_start_that_is_cancelled_is_reported_as_failed(people: People, background: ThreadPoolExecutor) -> None:
    class Slow(httpx.AsyncHTTPTransport):
        """Lets the answer to a start wait until it is released."""

        answered, released = asyncio.Event(), asyncio.Event()

        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            answer = await super().handle_async_request(request)
            if request.url.path.endswith("intents.start"):
                self.answered.set()
                await self.released.wait()
            return answer

    async def main() -> None:
        ran: list[str] = []

        @approved(people.type)
        async def refund() -> None:
            ran.append("refund")

        async with (
            AsyncSynap(people.url, people.token, http=lambda: httpx.AsyncClient(transport=Slow())) as bot,
            agent("refunds", bot, bounds=False),
        ):
            task = asyncio.create_task(refund())
            await asyncio.wait_for(Slow.answered.wait(), 60)
            task.cancel()
            await asyncio.sleep(0)
            Slow.released.set()
            with pytest.raises(asyncio.CancelledError):
                await task
        assert ran == []

    deciding = background.submit(people.decide)
    asyncio.run(main())
    deciding.result(60)

    assert (people.events()[-1], people.last().data) == ("failed", {"error": "CancelledError"})


def test_a_cancelled_wait_starts_nothing(people: People) -> None:
    async def main() -> None:
        async with AsyncSynap(people.url, people.token) as bot, agent("refunds", bot, bounds=False) as a:
            task = asyncio.create_task(a.ask(people.type, REFUND))
            await asyncio.to_thread(people.waiting)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    asyncio.run(main())

    assert people.events() == ["requested"]
