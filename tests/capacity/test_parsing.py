"""Whether inputs are parsed in the event loop or in a thread."""

import asyncio
import threading

from app.capacity.parsing import TURN_BYTES, parse


async def _where(*sizes: int) -> list[bool]:
    """Parse inputs that arrive in one turn of the event loop. Returns whether each is parsed in the event loop."""
    here = threading.current_thread()
    threads = await asyncio.gather(*(parse(size, threading.current_thread) for size in sizes))
    return [thread is here for thread in threads]


def test_a_small_input_is_parsed_in_the_event_loop() -> None:
    assert asyncio.run(_where(100)) == [True]


def test_a_large_input_is_parsed_in_a_thread() -> None:
    assert asyncio.run(_where(TURN_BYTES + 1)) == [False]


def test_small_inputs_that_are_large_together_are_parsed_in_a_thread() -> None:
    assert asyncio.run(_where(TURN_BYTES // 2, TURN_BYTES // 2, 1)) == [True, True, False]


def test_a_large_input_sends_no_small_one_into_a_thread() -> None:
    assert asyncio.run(_where(TURN_BYTES + 1, 100)) == [False, True]


def test_each_turn_of_the_event_loop_begins_anew() -> None:
    async def turns() -> list[bool]:
        first = await _where(TURN_BYTES)
        await asyncio.sleep(0)
        return first + await _where(TURN_BYTES)

    assert asyncio.run(turns()) == [True, True]


def test_what_parsing_raises_reaches_its_caller() -> None:
    async def parsed() -> list[object]:
        return await asyncio.gather(*(parse(size, int, "x") for size in (1, TURN_BYTES + 1)), return_exceptions=True)

    assert [type(error) for error in asyncio.run(parsed())] == [ValueError, ValueError]
