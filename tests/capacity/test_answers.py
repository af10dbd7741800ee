"""The memory that answers hold: for a request, a workspace and a process."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from app.capacity.answers import SMALL_BYTES, Answers, Request, begin, hold, holding, keep, taken
from app.surfaces.shared.sending import PIECE_BYTES, SlowClientError, send_parts
from schemas.errors import PayloadTooLarge, Unavailable

MIB = 2**20


def in_call(answers: Answers, call: Coroutine[Any, Any, None], *, waits: bool = False) -> None:
    """Run `call` as the only call of a request."""

    async def run() -> None:
        request = Request(answers)
        request.waits = waits
        with request.call():
            await call

    asyncio.run(run())


def test_a_request_holds_a_bounded_size_and_releases_it() -> None:
    answers = Answers()
    held: list[int] = []

    async def call() -> None:
        await hold("one", 20 * MIB)
        held.append(answers.used)
        with pytest.raises(PayloadTooLarge, match="ask for fewer"):
            await hold("one", 20 * MIB)
        keep("one", 12 * MIB)
        held.append(answers.used)

    in_call(answers, call())

    assert held == [20 * MIB, 32 * MIB]
    assert answers.used == 0


def test_what_the_client_has_received_is_not_held() -> None:
    async def call() -> None:
        await hold("one", 20 * MIB)
        taken(15 * MIB)
        await hold("one", 20 * MIB)

    in_call(Answers(), call())


def test_a_workspace_takes_no_more_than_it_leaves_to_the_others() -> None:
    answers = Answers(100)

    taken_by = {name: answers.take(name, size) for name, size in (("one", 50), ("two", 25), ("three", 12))}

    assert taken_by == {"one": True, "two": True, "three": True}
    assert not answers.take("one", 1)
    assert answers.take("four", 6)


def test_a_full_process_rejects_a_large_answer_but_no_small_one() -> None:
    answers = Answers()
    answers.force("one", answers.limit)

    async def call() -> None:
        with pytest.raises(Unavailable, match="retry") as refused:
            await hold("two", SMALL_BYTES + 1)
        assert refused.value.retry_after_seconds > 0
        keep("two", SMALL_BYTES)
        with pytest.raises(Unavailable):
            keep("two", 1)

    in_call(answers, call())

    assert answers.used == answers.limit


def test_a_large_answer_waits_for_a_moment() -> None:
    answers = Answers()
    answers.force("one", answers.limit)

    async def call() -> None:
        asyncio.get_running_loop().call_soon(answers.give, "one", answers.limit)
        await hold("two", 10 * MIB)

    in_call(answers, call())

    assert answers.used == 0


async def _streamed() -> list[str]:
    """Run three calls of a stream, each of which needs most of what a request may hold."""
    request, said = Request(Answers()), list[str]()
    request.waits = True

    async def call(name: str) -> None:
        with holding():
            await begin("one", 0)
            await hold("one", 30 * MIB)
            said.append(f"{name} reads")
            await asyncio.sleep(0)
            said.append(f"{name} is taken")

    with request.call():
        await asyncio.gather(call("first"), call("second"), call("third"))
    return said


def test_the_calls_of_a_stream_wait_for_one_another() -> None:
    said = asyncio.run(_streamed())

    assert said == [f"{name} {what}" for name in ("first", "second", "third") for what in ("reads", "is taken")]


def test_a_call_that_is_cancelled_while_it_waits_holds_nothing() -> None:
    answers = Answers(100)

    async def run() -> None:
        answers.force("one", 100)
        waiting = asyncio.create_task(answers.wait("two", 50))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        answers.give("one", 100)
        await answers.wait("two", 60)

    asyncio.run(run())

    assert answers.used == 60


def test_an_answer_is_written_in_pieces_that_join_to_it() -> None:
    parts = [b"[", b"a" * (3 * PIECE_BYTES + 1), b",", b"b" * 10, b"]"]
    whole, sent = b"".join(parts), list[Any]()

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(send_parts(send, parts, more=False))

    assert b"".join(message["body"] for message in sent) == whole
    assert all(len(message["body"]) <= 2 * PIECE_BYTES for message in sent)
    assert [message["more_body"] for message in sent] == [True] * (len(sent) - 1) + [False]


def test_a_client_that_reads_nothing_is_given_up() -> None:
    async def send(_: Any) -> None:
        await asyncio.Event().wait()

    with pytest.raises(SlowClientError):
        asyncio.run(send_parts(send, [b"a"], more=True, seconds=0.01))
