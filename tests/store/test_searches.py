"""Searches take turns, so that one workspace's searches never delay another's beyond their share."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from app.store.postgres.searches import FREE_SECONDS, MAX_RUNNING, MAX_WAITING, FairQueue, Searches
from schemas.errors import RateLimited, Unavailable

A_MINUTE = 30.0
"""The seconds of searching that each workspace has in these tests."""


class Clock:
    """A clock that the test sets."""

    def __init__(self) -> None:
        self.at = 0.0

    def __call__(self) -> float:
        """The time."""
        return self.at


class Scene:
    """Searches that the test begins and ends. `begun` has their names in the order in which they began."""

    def __init__(self, *, places: int = 4, wait_seconds: float = 60) -> None:
        self.clock = Clock()
        self.searches = Searches(places=places, wait_seconds=wait_seconds, seconds_a_minute=A_MINUTE, clock=self.clock)
        self.begun: list[str] = []
        self.tasks: dict[str, asyncio.Task[None]] = {}
        self._ends: dict[str, asyncio.Event] = {}

    async def ask(self, *names: str) -> None:
        """Begin searches. The first letter of a search's name is its workspace."""
        for name in names:
            self._ends[name] = asyncio.Event()
            self.tasks[name] = asyncio.create_task(self._search(name))
        await settled()

    async def end(self, *names: str) -> None:
        """End running searches."""
        for name in names:
            self.end_soon(name)
        await settled()

    def end_soon(self, name: str) -> None:
        """End a running search when the event loop goes on."""
        self._ends[name].set()

    async def cancel(self, *names: str) -> None:
        """Cancel the callers of searches."""
        for name in names:
            self.tasks[name].cancel()
        await settled()

    async def spend(self, name: str, seconds: float) -> None:
        """Run one search that takes `seconds`."""
        await self.ask(name)
        self.clock.at += seconds
        await self.end(name)
        await self.tasks[name]

    def refusal(self, name: str) -> BaseException | None:
        """The error with which a search was rejected."""
        return self.tasks[name].exception()

    async def _search(self, name: str) -> None:
        async with self.searches.turn(name[0]):
            self.begun.append(name)
            await self._ends[name].wait()


async def settled() -> None:
    """Let every task go as far as it can."""
    for _ in range(10):
        await asyncio.sleep(0)


def stall() -> None:
    """Keep the event loop from going on for a while."""
    time.sleep(0.02)


def played(play: Callable[[], Awaitable[None]]) -> None:
    """Run a test's coroutine."""
    asyncio.run(asyncio.wait_for(play(), 60))


def test_a_workspace_has_two_searches_running_though_others_are_free() -> None:
    async def play() -> None:
        scene = Scene()

        await scene.ask("a1", "a2", "a3", "b1")

        assert scene.begun == ["a1", "a2", "b1"]
        await scene.end("a2")
        assert scene.begun == ["a1", "a2", "b1", "a3"]

    played(play)


def test_workspaces_take_turns_however_many_searches_one_has_waiting() -> None:
    async def play() -> None:
        scene = Scene(places=2)
        await scene.ask("a1", "a2", "a3", "a4", "a5", "b1", "b2", "c1")

        for name in ("a1", "a2", "a3", "b1", "c1"):
            await scene.end(name)

        assert scene.begun == ["a1", "a2", "a3", "b1", "c1", "a4", "b2"]

    played(play)


@pytest.mark.parametrize("gone", [["a3"], ["a1"], ["a1", "a3"]], ids=["waiting", "running", "both"])
def test_a_caller_that_leaves_keeps_no_place(gone: list[str]) -> None:
    async def play() -> None:
        scene = Scene(places=2)
        await scene.ask("a1", "a2", "a3")

        await scene.cancel(*gone)
        await scene.end("a1", "a2", "a3")
        await scene.ask("b1", "b2", "b3")

        assert scene.begun[-2:] == ["b1", "b2"]

    played(play)


def test_a_caller_that_leaves_as_its_turn_comes_passes_it_on() -> None:
    async def play() -> None:
        scene = Scene(places=1)
        await scene.ask("a1", "b1", "c1")

        scene.tasks["a1"].cancel()
        await asyncio.sleep(0)  # its place was given to b1, which has not run yet
        await scene.cancel("b1")

        assert scene.begun == ["a1", "c1"]

    played(play)


def test_a_search_that_waits_too_long_for_its_own_workspace_is_rate_limited() -> None:
    async def play() -> None:
        scene = Scene(wait_seconds=0.01)
        await scene.ask("a1", "a2", "a3")

        await asyncio.wait([scene.tasks["a3"]])

        refusal = scene.refusal("a3")
        assert isinstance(refusal, RateLimited)
        assert "send fewer at once" in refusal.message
        assert refusal.retry_after_seconds == 1

    played(play)


def test_a_search_that_waits_too_long_for_others_is_unavailable() -> None:
    async def play() -> None:
        scene = Scene(places=2, wait_seconds=0.01)
        await scene.ask("a1", "b1", "c1")

        await asyncio.wait([scene.tasks["c1"]])

        assert isinstance(scene.refusal("c1"), Unavailable)

    played(play)


@pytest.mark.parametrize("is_given", [True, False], ids=["after it was given the place", "before"])
def test_a_search_whose_time_ends_in_the_instant_in_which_a_place_is_free_takes_it(*, is_given: bool) -> None:
    async def play() -> None:
        scene = Scene(places=1, wait_seconds=0.01)
        await scene.ask("a1", "a2")

        if is_given:
            scene.end_soon("a1")
        else:
            asyncio.get_running_loop().call_later(0, scene.end_soon, "a1")
        stall()  # the time of a2 ends meanwhile
        await settled()

        assert scene.begun == ["a1", "a2"]
        await scene.end("a2")
        await scene.ask("b1")
        assert scene.begun[-1] == "b1"

    played(play)


def test_a_bounded_number_of_searches_waits() -> None:
    async def play() -> None:
        scene = Scene()
        await scene.ask(*(f"a{place}" for place in range(MAX_RUNNING + MAX_WAITING)))

        await scene.ask("a last", "b1")

        assert isinstance(scene.refusal("a last"), RateLimited)
        assert scene.begun[-1] == "b1"
        await scene.cancel(*(name for name, task in scene.tasks.items() if not task.done()))

    played(play)


def test_a_workspace_that_has_used_its_seconds_waits_until_it_has_some_again() -> None:
    async def play() -> None:
        scene = Scene()
        for place in range(7):
            await scene.spend(f"a{place}", 8)  # regains 4 meanwhile

        await scene.ask("a last", "b1")

        refusal = scene.refusal("a last")
        assert isinstance(refusal, RateLimited)
        assert "30 seconds a minute" in refusal.message
        assert scene.begun[-1] == "b1"
        scene.clock.at += refusal.retry_after_seconds
        await scene.spend("a again", 1)
        assert scene.begun[-1] == "a again"

    played(play)


def test_searches_that_an_index_serves_are_not_counted() -> None:
    async def play() -> None:
        scene = Scene()
        for place in range(3000):
            await scene.spend(f"a{place}", FREE_SECONDS / 2)

        assert scene.searches.seconds.used("a") == 0

    played(play)


def test_workspaces_that_search_no_more_are_forgotten() -> None:
    async def play() -> None:
        scene = Scene()
        for number in range(1000):
            scene.searches.seconds.use(f"workspace {number}", 1)

        for number in range(1000):
            scene.clock.at += 60
            scene.searches.seconds.use(f"later {number % 2}", 1)

        kept: dict[str, Any] = vars(scene.searches.seconds)["_used"]
        assert len(kept) <= 3

    played(play)


def test_turns_keep_the_order_of_each_workspace() -> None:
    turns: FairQueue[int] = FairQueue()
    for workspace, item in [("a", 1), ("a", 2), ("a", 3), ("b", 4), ("b", 5), ("c", 6)]:
        turns.put(workspace, item)
    turns.put("b", 0, first=True)
    turns.discard("a", 2)

    taken = [turns.take() for _ in range(len(turns))]

    assert taken == [("a", 1), ("b", 0), ("c", 6), ("a", 3), ("b", 4), ("b", 5)]
    assert turns.take() is None
