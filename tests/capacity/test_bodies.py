"""How many bytes of request bodies may be in memory."""

import asyncio
from contextlib import ExitStack

import pytest

from app.capacity.bodies import Bodies
from schemas.errors import Unavailable


async def _admitted(bodies: Bodies, *requests: tuple[str, int]) -> list[bool]:
    """Begin requests with these keys and sizes, one after the other.

    Returns whether each is admitted beside the others.
    """
    admitted = []
    with ExitStack() as held:
        for key_id, size in requests:
            room = held.enter_context(bodies.room(key_id))
            try:
                await room.take(size)
                admitted.append(True)
            except Unavailable:
                admitted.append(False)
    return admitted


@pytest.mark.parametrize(
    ("requests", "admitted"),
    [
        ([("a", 60), ("b", 40)], [True, True]),
        ([("a", 60), ("a", 1)], [True, False]),
        ([("a", 60), ("b", 60), ("b", 40)], [True, False, True]),
        ([("a", 500), ("b", 1)], [True, False]),
    ],
    ids=["what fits", "of one key", "of all", "one that is larger than all"],
)
def test_requests_beyond_the_limits_are_rejected(requests: list[tuple[str, int]], admitted: list[bool]) -> None:
    bodies = Bodies(100, 60, patience_seconds=0.01)

    assert asyncio.run(_admitted(bodies, *requests)) == admitted


def test_a_request_waits_until_another_ends() -> None:
    async def second() -> bool:
        bodies = Bodies(100, 100, patience_seconds=60)
        with bodies.room("a") as first:
            await first.take(100)
            waiting = asyncio.create_task(_admitted(bodies, ("b", 100)))
            await asyncio.sleep(0)
            assert not waiting.done()
        return (await waiting)[0]

    assert asyncio.run(second())


def test_what_requests_held_is_free_after_them() -> None:
    bodies = Bodies(100, 60, patience_seconds=0.01)

    for _ in range(3):
        assert asyncio.run(_admitted(bodies, ("a", 60), ("b", 40))) == [True, True]
