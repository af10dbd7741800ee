"""Rate limits of processes that share a database: no more calls than the limit pass, and almost none is lost."""

import asyncio
import itertools
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from typing import Any

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.access.rate_limits import WINDOW_SECONDS, RateLimits, seconds_since_boot
from app.capacity.allowance import Allowance
from app.store.install import rate_windows
from app.store.postgres.database import Database
from app.store.postgres.pipe import Call, Row
from benchmarks.process import free_port
from schemas.errors import RateLimited, Unavailable
from tests.kit.examples import examples
from tests.store import taker
from tests.store.opened import Store
from tests.store.taker import Counting

LIMITS = {"publish": 1000, "query": 300}

LONG = taker.WINDOW_SECONDS

_numbers = itertools.count()


class Processes:
    """Rate limits that share a database like processes: each has its own pool and its own memory."""

    def __init__(self, databases: Sequence[Counting], **options: Any) -> None:
        self.databases = databases
        self.limits = [RateLimits(database, LIMITS, **options) for database in databases]

    @property
    def asked(self) -> int:
        """How many leases all of them have requested."""
        return sum(database.asked for database in self.databases)

    async def take(self, place: int, workspace: str, kind: str = "publish") -> Allowance | RateLimited:
        """Take one call, and return the answer."""
        return await told(self.limits[place], workspace, kind)


class HeldClock:
    """A process's clock that moves only if the test moves it."""

    def __init__(self) -> None:
        self.at = 1000.0

    def __call__(self) -> float:
        return self.at


class Slow(Counting):
    """A database whose answers come late by its process's clock."""

    clock: HeldClock
    late_seconds = 0.0

    async def atomic(self, calls: Sequence[Call]) -> list[list[Row]]:
        """Run the statements, and delay their answer once."""
        rows = await super().atomic(calls)
        self.clock.at += self.late_seconds
        self.late_seconds = 0.0
        return rows


async def told(limits: RateLimits, workspace: str, kind: str = "publish") -> Allowance | RateLimited:
    """Take one call, and return the answer."""
    try:
        allowance = await limits.take(kind, workspace)
    except RateLimited as refused:
        return refused
    assert allowance is not None
    return allowance


def run(
    url: str, body: Callable[[Processes], Awaitable[None]], *, processes: int = 1, seconds: float = 20, **options: Any
) -> None:
    """Run `body` in a window with at least `seconds` left."""

    async def opened() -> None:
        async with AsyncExitStack() as stack:
            databases = []
            for _ in range(processes):
                database = Counting(url, wait_seconds=60)
                await database.open()
                stack.push_async_callback(database.close)
                databases.append(database)
            window_seconds = options.setdefault("window_seconds", LONG)
            await fresh(databases[0], window_seconds, seconds)
            await body(Processes(databases, **options))

    asyncio.run(opened())


async def fresh(database: Database, window_seconds: int, seconds: float) -> None:
    """If less than `seconds` are left of a window, wait for the next one."""
    [(left,)] = await database.rows("SELECT %(w)s::int - extract(epoch FROM now()) % %(w)s::int", {"w": window_seconds})
    if left < seconds:
        await asyncio.sleep(float(left) + 0.1)


def name() -> str:
    """A workspace of the test's own."""
    return f"limits-{next(_numbers)}"


def by_weight(weights: Sequence[int], calls: int, seed: int) -> list[int]:
    """The process of each call: exactly so many calls for each, in random order."""
    order = [place for place, weight in enumerate(weights) for _ in range(calls * weight // sum(weights))]
    random.Random(seed).shuffle(order)
    return order


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("weights", [[1], [1, 1], [99, 1], [9, 1], [1] * 8], ids=str)
def test_of_1500_calls_1000_pass_however_they_are_shared(store: Store, weights: list[int], seed: int) -> None:
    async def body(processes: Processes) -> None:
        answers = [await processes.take(place, store.workspace) for place in by_weight(weights, 1500, seed)]

        passed = sum(isinstance(answer, Allowance) for answer in answers)
        assert len(answers) >= 1496
        assert 998 <= passed <= 1000
        assert processes.asked <= 34 + 20 * (len(weights) - 1)

    run(store.url, body, processes=len(weights))


@pytest.mark.parametrize("weights", [[1, 1], [99, 1]], ids=str)
def test_of_1500_calls_at_once_1000_pass(store: Store, weights: list[int]) -> None:
    async def body(processes: Processes) -> None:
        order = by_weight(weights, 1500, 1)
        answers = await asyncio.gather(*(processes.take(place, store.workspace) for place in order))

        # A process that has served all of its calls may have a part of its last lease left.
        passed = sum(isinstance(answer, Allowance) for answer in answers)
        assert 900 <= passed <= 1000
        assert processes.asked <= 100

    run(store.url, body, processes=2)


@pytest.mark.parametrize("weights", [(50, 50), (99, 1)], ids=str)
def test_two_real_processes_let_1000_of_1500_pass(database_url: str, weights: tuple[int, int]) -> None:
    async def wait() -> None:
        database = Database(database_url)
        await database.open()
        await fresh(database, LONG, 20)
        await database.close()

    asyncio.run(wait())
    takers = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.store.taker", database_url, "1000", str(15 * weight), "2"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for weight in weights
    ]
    for process in takers:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    answers = []
    for process in takers:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in takers:
        output, _ = process.communicate(timeout=30)
        answers.append([int(number) for number in output.split()])

    passed, refused, asked = (sum(numbers) for numbers in zip(*answers, strict=True))
    assert passed + refused == 1500
    assert 998 <= passed <= 1000
    assert asked <= 80


@settings(max_examples=examples(40), deadline=None)
@given(data=st.data())
def test_no_interleaving_lets_more_pass(open_store: Store, data: st.DataObject) -> None:
    limit = data.draw(st.sampled_from([1, 2, 3, 7, 20, 100]))
    bursts = data.draw(st.lists(st.tuples(st.integers(0, 2), st.integers(1, 30)), max_size=20))
    workspace = name()

    async def body(processes: Processes) -> None:
        limits = [RateLimits(database, {"publish": limit}, window_seconds=LONG) for database in processes.databases]
        answers: list[Allowance | RateLimited] = []
        for place, calls in bursts:
            answers += await asyncio.gather(*(told(limits[place], workspace) for _ in range(calls)))

        passed = sum(isinstance(answer, Allowance) for answer in answers)
        refused = len(answers) - passed
        assert passed <= limit
        assert all(0 <= answer.remaining < limit for answer in answers)
        if refused:  # no call is rejected while the others hold more than they lease ahead
            assert limit - passed <= limit // 2

    run(open_store.url, body, processes=3)


def test_what_remains_is_exact_for_one_process(store: Store) -> None:
    async def body(processes: Processes) -> None:
        answers = [await processes.take(0, store.workspace) for _ in range(1001)]

        assert [answer.remaining for answer in answers] == [*range(999, -1, -1), 0]

    run(store.url, body)


@pytest.mark.parametrize("weights", [[1, 1], [99, 1], [9, 1], [1] * 8], ids=str)
def test_what_remains_errs_to_the_low_side(store: Store, weights: list[int]) -> None:
    """A process knows the others' calls only from its last lease, so `remaining` may be a little too high."""

    async def body(processes: Processes) -> None:
        passed, ahead, zeros = 0, [0], 0
        for place in by_weight(weights, 1000, 2):
            answer = await processes.take(place, store.workspace)
            passed += isinstance(answer, Allowance)
            ahead.append(answer.remaining - (1000 - passed))
            zeros += isinstance(answer, Allowance) and answer.remaining == 0 and passed < 990

        assert max(ahead) <= 30
        assert sum(number > 2 for number in ahead) <= 30
        assert zeros == 0

    run(store.url, body, processes=len(weights))


def test_a_process_that_pauses_gives_way(store: Store) -> None:
    """It took its half of 800 calls, then none. It still holds a part of one lease."""

    async def body(processes: Processes) -> None:
        answers = [await processes.take(place, store.workspace) for place in by_weight([1, 1], 800, 3)]
        answers += [await processes.take(1, store.workspace) for _ in range(300)]

        assert 970 <= sum(isinstance(answer, Allowance) for answer in answers) <= 1000

    run(store.url, body, processes=2)


def test_a_slow_process_holds_nothing_ahead(store: Store) -> None:
    clock = HeldClock()

    async def body(processes: Processes) -> None:
        for _ in range(10):
            await processes.take(0, store.workspace)
            clock.at += LONG / 11
        with psycopg.connect(store.url) as connection:
            row = connection.execute("SELECT leased FROM rate_window WHERE workspace_id = %s", [store.workspace])
            assert row.fetchone() == (10,)

    run(store.url, body, clock=clock)


def test_a_lifted_limit_asks_nothing() -> None:
    nowhere = Database("postgresql://127.0.0.1:1/nowhere")
    limits = RateLimits(nowhere, {"publish": 0, "query": 300})

    assert asyncio.run(limits.take("publish", "w")) is None


def test_workspaces_and_kinds_do_not_share(store: Store) -> None:
    async def body(processes: Processes) -> None:
        publishes = [await processes.take(0, store.workspace) for _ in range(1001)]
        queries = [await processes.take(0, store.workspace, "query") for _ in range(301)]
        other = await processes.take(0, store.other)

        assert isinstance(publishes[-1], RateLimited)
        assert [query.remaining for query in queries] == [*range(299, -1, -1), 0]
        assert isinstance(queries[-1], RateLimited)
        assert other.remaining == 999

    run(store.url, body)


def test_a_refusal_says_when_to_come_back(store: Store) -> None:
    async def body(processes: Processes) -> None:
        for _ in range(300):
            await processes.take(0, store.workspace, "query")
        asked, began = processes.asked, time.time()
        refused = await processes.take(0, store.workspace, "query")
        for _ in range(100):
            await processes.take(0, store.workspace, "query")

        assert isinstance(refused, RateLimited)
        assert (refused.limit, refused.remaining) == (300, 0)
        assert refused.reset % WINDOW_SECONDS == 0
        assert 1 <= refused.retry_after_seconds <= WINDOW_SECONDS
        assert abs(began + refused.retry_after_seconds - refused.reset) <= 2  # one machine, one clock
        assert processes.asked <= asked + 1  # after one rejection, it requests no lease in this window again

    run(store.url, body, window_seconds=WINDOW_SECONDS, seconds=5)


def test_a_caller_that_waits_as_told_passes(store: Store) -> None:
    async def body(processes: Processes) -> None:
        for _ in range(3):
            answer: Allowance | RateLimited | None = None
            while not isinstance(answer, RateLimited):
                answer = await processes.take(0, store.workspace, "query")
            await asyncio.sleep(answer.retry_after_seconds)
            assert isinstance(await processes.take(0, store.workspace, "query"), Allowance)

    run(store.url, body, window_seconds=3, seconds=1)


def test_calls_at_once_share_a_lease(store: Store) -> None:
    async def body(processes: Processes) -> None:
        answers = await asyncio.gather(*(processes.take(0, store.workspace, "query") for _ in range(60)))

        assert processes.asked == 1
        assert [answer.remaining for answer in answers] == [*range(299, 239, -1)]

    run(store.url, body)


def test_a_caller_that_left_takes_nothing(store: Store) -> None:
    async def body(processes: Processes) -> None:
        gone = [asyncio.create_task(processes.take(0, store.workspace)) for _ in range(5)]
        await asyncio.sleep(0)
        for task in gone:
            task.cancel()
        await asyncio.gather(*gone, return_exceptions=True)
        answer = await processes.take(0, store.workspace)

        assert answer.remaining == 999

    run(store.url, body)


def test_the_next_window_has_the_whole_limit_in_the_row_of_the_last(store: Store) -> None:
    async def body(processes: Processes) -> None:
        passed = Counter[int]()
        answer: Allowance | RateLimited | None = None
        began = time.monotonic()
        while len(passed) < 4 and time.monotonic() < began + 20:
            answer = await processes.take(len(passed) % 2, store.workspace, "query")
            passed[answer.reset] += isinstance(answer, Allowance)
            await asyncio.sleep(0 if isinstance(answer, Allowance) else 0.01)

        ends = sorted(passed)
        assert [second - first for first, second in itertools.pairwise(ends)] == [2, 2, 2]
        assert [passed[end] for end in ends[1:-1]] == [300, 300]
        assert passed[ends[0]] <= 300
        with psycopg.connect(store.url) as connection:
            rows = connection.execute(
                "SELECT kind, start_seconds FROM rate_window WHERE workspace_id = %s", [store.workspace]
            ).fetchall()
        assert rows == [("query", ends[-1] - 2)]

    run(store.url, body, processes=2, window_seconds=2, seconds=0)


def test_a_lease_ends_with_its_window(store: Store) -> None:
    clock = HeldClock()

    async def body(processes: Processes) -> None:
        for _ in range(4):
            await processes.take(0, store.workspace)  # the last lease was for four calls, and three are left
        asked = processes.asked
        seconds = (await processes.take(0, store.workspace)).reset - time.time()
        assert processes.asked == asked
        clock.at += seconds  # by the process's clock, the window is over
        await processes.take(0, store.workspace)

        assert processes.asked == asked + 1

    run(store.url, body, clock=clock)


def test_an_answer_that_comes_after_its_window_is_not_used(store: Store) -> None:
    clock = HeldClock()

    async def answered() -> None:
        database = Slow(store.url)
        database.clock, database.late_seconds = clock, LONG
        await database.open()
        await fresh(database, LONG, 5)
        await RateLimits(database, LIMITS, window_seconds=LONG, clock=clock).take("publish", store.workspace)
        await database.close()

        assert database.asked == 2

    asyncio.run(answered())


@pytest.mark.parametrize(
    ("ahead", "leased"), [(0, 8), (1, 8), (2, 1), (1000, 1), (-1, 1)], ids=["now", "next", "wrong", "far", "last"]
)
def test_a_window_that_has_begun_is_not_set_back(store: Store, ahead: int, leased: int) -> None:
    """A window that a wrong clock began is an exception: it would block the workspace until its time comes."""

    async def body(processes: Processes) -> None:
        first = await rate_windows.lease(
            processes.databases[0], store.workspace, "publish", limit=1000, length=LONG, wanted=7, own=0
        )
        with psycopg.connect(store.url, autocommit=True) as connection:
            connection.execute(
                "UPDATE rate_window SET start_seconds = start_seconds + %s WHERE workspace_id = %s",
                [ahead * LONG, store.workspace],
            )
        second = await rate_windows.lease(
            processes.databases[0], store.workspace, "publish", limit=1000, length=LONG, wanted=1, own=7
        )

        kept = ahead if leased > 1 else 0
        assert (second.size, second.leased, second.reset) == (1, leased, first.reset + kept * LONG)
        assert kept * LONG < second.seconds_left <= (kept + 1) * LONG

    run(store.url, body)


def test_a_limit_that_was_lowered_holds_at_once(store: Store) -> None:
    async def body(processes: Processes) -> None:
        for _ in range(20):
            await processes.take(0, store.workspace)
        lower = RateLimits(processes.databases[0], {"publish": 10}, window_seconds=LONG)
        refused = await told(lower, store.workspace)

        assert isinstance(refused, RateLimited)
        assert refused.limit == 10

    run(store.url, body)


def test_all_waiting_callers_learn_that_the_database_is_away() -> None:
    async def asked() -> None:
        database = Database(f"postgresql://127.0.0.1:{free_port()}/postgres", wait_seconds=0.2)
        await database.open()
        limits = RateLimits(database, LIMITS)
        answers = await asyncio.gather(*(limits.take("publish", "w") for _ in range(50)), return_exceptions=True)
        await database.close()

        assert {type(answer) for answer in answers} == {Unavailable}

    asyncio.run(asked())


def test_workspaces_that_fell_silent_are_forgotten(store: Store) -> None:
    clock = HeldClock()

    async def body(processes: Processes) -> None:
        for number in range(50):
            await processes.take(0, f"{store.workspace}-{number}")
        known = len(processes.limits[0]._shares)  # noqa: SLF001 - no interface shows the memory
        clock.at += 2 * LONG
        await processes.take(0, store.workspace)

        assert known == 50
        assert len(processes.limits[0]._shares) == 1  # noqa: SLF001

    run(store.url, body, clock=clock)


def test_the_clock_advances() -> None:
    first = seconds_since_boot()

    assert first <= seconds_since_boot() < first + 10
