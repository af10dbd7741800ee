"""Callers who are not known yet."""

import asyncio

import pytest

from app.capacity.strangers import Strangers
from schemas.errors import Unavailable

FOR_EVER = 60.0


def test_only_so_many_strangers_are_listened_to() -> None:
    async def run() -> None:
        strangers = Strangers(most=1)
        async with strangers.listening(FOR_EVER):
            with pytest.raises(Unavailable):
                async with strangers.listening(FOR_EVER):
                    pass
        async with strangers.listening(FOR_EVER):
            pass

    asyncio.run(run())


def test_a_stranger_is_listened_to_for_so_long() -> None:
    async def listen() -> None:
        async with Strangers().listening(0.01):
            await asyncio.Event().wait()

    with pytest.raises(TimeoutError):
        asyncio.run(listen())


def test_strangers_are_let_go_when_the_process_grows() -> None:
    async def grow() -> None:
        taken = []
        async with Strangers(max_grown_bytes=2**20).listening(FOR_EVER):
            while True:
                taken.append(b"x" * 2**20)
                await asyncio.sleep(0.01)

    with pytest.raises(Unavailable):
        asyncio.run(grow())
