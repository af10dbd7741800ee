"""Limits for callers that are not authenticated yet."""

import asyncio

import pytest

from app.capacity.strangers import Strangers
from schemas.errors import Unavailable

FOR_EVER = 60.0
HERE, THERE = "192.0.2.1", "192.0.2.2"


def test_the_number_of_open_strangers_is_bounded() -> None:
    async def run() -> None:
        strangers = Strangers(most=1)
        async with strangers.listening(FOR_EVER, HERE):
            with pytest.raises(Unavailable):
                async with strangers.listening(FOR_EVER, HERE):
                    pass
        async with strangers.listening(FOR_EVER, HERE):
            pass

    asyncio.run(run())


def test_the_time_of_a_stranger_is_bounded() -> None:
    async def listen() -> None:
        async with Strangers().listening(0.01, HERE):
            await asyncio.Event().wait()

    with pytest.raises(TimeoutError):
        asyncio.run(listen())


def test_strangers_are_closed_when_the_process_grows() -> None:
    async def grow() -> None:
        taken = []
        async with Strangers(max_grown_bytes=2**20).listening(FOR_EVER, HERE):
            while True:
                taken.append(b"x" * 2**20)
                await asyncio.sleep(0.01)

    with pytest.raises(Unavailable):
        asyncio.run(grow())


def test_an_address_that_sent_too_much_is_not_read_for_a_while() -> None:
    async def waits(pause_seconds: float, address: str, *, within_seconds: float = 60) -> bool:
        strangers = Strangers(pause_seconds=pause_seconds)
        strangers.pause(HERE)

        async def listen() -> None:
            async with strangers.listening(FOR_EVER, address):
                pass

        task = asyncio.create_task(listen())
        done, _ = await asyncio.wait([task], timeout=within_seconds)
        task.cancel()
        return not done

    assert asyncio.run(waits(FOR_EVER, HERE, within_seconds=0.2))
    assert not asyncio.run(waits(FOR_EVER, THERE))
    assert not asyncio.run(waits(0.01, HERE))


def test_the_time_of_a_stranger_begins_after_the_pause() -> None:
    async def listen() -> None:
        strangers = Strangers(pause_seconds=0.2)
        strangers.pause(HERE)
        async with strangers.listening(0.1, HERE):
            pass

    asyncio.run(listen())
