"""`@approved("payment.refund")` makes a function ask before it runs.

A call inside of an agent's block logs `payment.refund.requested` with the function's arguments as the parameters. It
waits until somebody approves exactly these, takes one use, runs the function, and reports how it ended.
"""

import asyncio
import functools
import inspect
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any, ParamSpec, Protocol, TypeVar, Unpack, cast

from msgspec import Struct

from synap_client.agents import Agent, AsyncAgent, current_agent
from synap_client.asking import asking_type, frozen
from synap_client.errors import NotReported, SynapError
from synap_client.events import Record
from synap_client.intents import AskFields, Started, Terms
from synap_client.quiet import logger

P = ParamSpec("P")
R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)
A = TypeVar("A", Agent, AsyncAgent)

CANCELLED_SECONDS = 5.0
"""How long a cancelled call waits for its report, which then continues in the background."""


class Approved(Protocol[P, R_co]):
    """A function that asks before it runs."""

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R_co:
        """Ask, wait, start, run, and report how it ended.

        Raises what the function raises, and what `Agent.ask` and `Agent.start` raise. NotReported if the function
        returned but the log could not be told. RuntimeError outside of an agent's block.
        """

    def keyed(self, key: str) -> Callable[P, R_co]:
        """The same function for one piece of work, which runs at most once, even if the program crashes in between.

        `key` names the work, such as the id of a job; it is unique in the workspace among the calls of this type. A
        call that is repeated waits for the same decision. If an earlier call has started the function, it raises
        AlreadyStarted, which says how that ended, and does not run.
        """


class ApprovedFields(Terms, total=False):
    """The optional arguments of `approved`.

    wait_seconds: how long to wait for a decision. Default: until there is one, or the intent expires.
    details: whether the log gets what the function returned, or the message of its exception. By default it gets only
        the outcome, and the name of the exception's class.
    """

    wait_seconds: float | None
    details: bool


def approved(
    type: str, *, describe: Callable[..., str] | None = None, **fields: Unpack[ApprovedFields]
) -> Callable[[Callable[P, R]], Approved[P, R]]:
    """Turn a function into one that asks before it runs.

    Its arguments, defaults included, are the parameters by their names. They must be JSON: text, numbers, true, false,
    None, lists and dicts. `describe` makes the summary of one call for those who decide, from the same arguments. The
    other terms are those of `Terms`. An async function needs an async agent.
    """

    def decorate(function: Callable[P, R]) -> Approved[P, R]:
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            raise TypeError(f"{function.__qualname__} is a generator; approved() takes functions that run once")
        work = _Work(type, function, describe, fields)
        make: Callable[[_Work, str | None], Any] = _async if inspect.iscoroutinefunction(function) else _sync
        call = make(work, None)
        call.keyed = functools.partial(make, work)
        return cast("Approved[P, R]", call)

    return decorate


class _Call(Struct, frozen=True):
    """One call: what it asks for, and the same as arguments."""

    parameters: dict[str, Any]
    arguments: inspect.BoundArguments
    terms: AskFields


class _Work:
    """A function, and how it asks."""

    def __init__(
        self, type: str, function: Callable[..., Any], describe: Callable[..., str] | None, fields: ApprovedFields
    ) -> None:
        asking_type(type)  # a wrong name is an error where it stands, and not at the first call
        self.type = type
        self.function = function
        self._describe = describe
        self._signature = inspect.signature(function)
        self._details = fields.get("details", False)
        self._terms = cast("AskFields", {name: value for name, value in fields.items() if name != "details"})

    def call(self, args: Sequence[Any], kwargs: Mapping[str, Any], key: str | None) -> _Call:
        """A call with these arguments, as a copy. Raises TypeError as the function would, and InvalidInput."""
        bound = self._signature.bind(*args, **kwargs)
        bound.apply_defaults()
        rest = [each.name for each in self._signature.parameters.values() if each.kind is each.VAR_POSITIONAL]
        parameters = frozen({name: list(value) if name in rest else value for name, value in bound.arguments.items()})
        bound.arguments.update({name: tuple(value) if name in rest else value for name, value in parameters.items()})
        terms: AskFields = {**self._terms, "key": key}
        if self._describe is not None:
            terms["summary"] = self._describe(*bound.args, **bound.kwargs)
        return _Call(frozen(parameters), bound, terms)

    def agent(self, kind: type[A]) -> A:
        """The agent that asks. Raises RuntimeError."""
        agent = current_agent()
        if isinstance(agent, kind):
            return agent
        block = "with agent(...)" if kind is Agent else "async with agent(...)"
        raise RuntimeError(f"{self.function.__qualname__} asks before it runs: call it inside of `{block}`")

    def returned(self, result: object) -> Record:
        """What the log gets about a result."""
        return {"result": result} if self._details else {}

    def raised(self, error: BaseException) -> Record:
        """What the log gets about an exception."""
        return {"error": type(error).__name__} | ({"message": str(error)} if self._details else {})


def _sync(work: _Work, key: str | None) -> Callable[..., Any]:
    @functools.wraps(work.function)
    def called(*args: Any, **kwargs: Any) -> Any:
        agent, call = work.agent(Agent), work.call(args, kwargs, key)
        intent = agent.ask(work.type, call.parameters, **call.terms)
        started = agent.start(intent, call.parameters, key=key)
        try:
            result = work.function(*call.arguments.args, **call.arguments.kwargs)
        except BaseException as error:
            with _warned(started):
                agent.finish(started, "failed", work.raised(error))
            raise
        with _raised(started, result):
            agent.finish(started, "executed", work.returned(result))
        return result

    return called


def _async(work: _Work, key: str | None) -> Callable[..., Coroutine[Any, Any, Any]]:
    @functools.wraps(work.function)
    async def called(*args: Any, **kwargs: Any) -> Any:
        agent, call = work.agent(AsyncAgent), work.call(args, kwargs, key)
        intent = await agent.ask(work.type, call.parameters, **call.terms)
        started = await _started(agent, agent.start(intent, call.parameters, key=key), work)
        try:
            result = await work.function(*call.arguments.args, **call.arguments.kwargs)
        except BaseException as error:
            seconds = CANCELLED_SECONDS if isinstance(error, asyncio.CancelledError) else None
            with _warned(started):
                await _reported(agent.finish(started, "failed", work.raised(error)), seconds)
            raise
        with _raised(started, result):
            await _reported(agent.finish(started, "executed", work.returned(result)), None)
        return result

    return called


_tasks: set[asyncio.Task[Any]] = set()
"""Calls that continue if their caller is cancelled, because an event loop keeps only weak references to its tasks."""


def _task(call: Coroutine[Any, Any, R]) -> asyncio.Task[R]:
    task = asyncio.create_task(call)
    _tasks.add(task)
    task.add_done_callback(_tasks.discard)
    return task


async def _started(agent: AsyncAgent, start: Coroutine[Any, Any, Started], work: _Work) -> Started:
    """Wait for a start. If the waiting task is cancelled, what has started is reported as failed: it did not run."""
    starting = _task(start)

    async def undo(error: BaseException) -> None:
        with suppress(SynapError):  # then nothing has started, or the log will say `unknown`
            await agent.finish(await starting, "failed", work.raised(error))

    try:
        return await asyncio.shield(starting)
    except asyncio.CancelledError as error:
        await _reported(undo(error), CANCELLED_SECONDS)
        raise


async def _reported(report: Coroutine[Any, Any, Any], seconds: float | None) -> None:
    """Wait for a report, for so many seconds at most. It continues if the waiting task is cancelled."""
    task = _task(report)
    await asyncio.wait([task], timeout=seconds)
    if task.done():
        task.result()


@contextmanager
def _warned(started: Started) -> Iterator[None]:
    """Report what goes wrong as a warning, because the function's own exception matters more."""
    try:
        yield
    except SynapError as failed:
        logger.warning("the failure of the start %s could not be reported: %s", started.event.id, failed)


@contextmanager
def _raised(started: Started, result: object) -> Iterator[None]:
    """Raise what goes wrong as NotReported, which has the result."""
    try:
        yield
    except SynapError as failed:
        raise NotReported(
            f"The function returned, but its outcome could not be reported; report it with intents.finish: {failed}",
            intent_id=started.intent_id,
            start_id=started.event.id,
            result=result,
        ) from failed
