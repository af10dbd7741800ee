"""Asking, starting and finishing, as steps that do no input or output: both kinds of agents take them.

A step is a function that calls a client, of either kind. What an async client returns is awaited.
"""

import hashlib
import math
import time
from collections.abc import Callable, Generator
from datetime import datetime
from functools import partial
from typing import Any, TypeVar
from uuid import UUID

import msgspec

from synap_client import calls
from synap_client.aio import AsyncSynap
from synap_client.client import Synap
from synap_client.errors import (
    AlreadyStarted,
    Conflict,
    IntentWithdrawn,
    InvalidInput,
    Issue,
    NotDecided,
    NotFound,
    PayloadTooLarge,
    SynapError,
)
from synap_client.events import Event, EventFields, Record, new_id, written
from synap_client.intents import AskFields, Intent, Started
from synap_client.quiet import logger
from synap_client.retry import Patience

T = TypeVar("T")

Steps = Generator[Callable[[Any], Any], Any, T]

WAIT_SECONDS = 25
"""How long one call waits for a decision. Proxies often cut a request that is silent for 30 or 60 seconds."""


def take(client: Synap, steps: Steps[T]) -> T:
    """Take the steps, and return their result."""
    go: Callable[[], Any] = partial(next, steps)
    while True:
        try:
            step = go()
        except StopIteration as end:
            result: T = end.value
            return result
        try:
            go = partial(steps.send, step(client))
        except SynapError as error:
            go = partial(steps.throw, error)


async def take_async(client: AsyncSynap, steps: Steps[T]) -> T:
    """Take the steps on an event loop, and return their result."""
    go: Callable[[], Any] = partial(next, steps)
    while True:
        try:
            step = go()
        except StopIteration as end:
            result: T = end.value
            return result
        try:
            go = partial(steps.send, await step(client))
        except SynapError as error:
            go = partial(steps.throw, error)


def asked_id(type: str, key: str) -> str:
    """The id of the event that asks with a key: always the same, so that it is stored once."""
    digest = hashlib.sha256(f"synap/ask/v1\n{type}\n{key}".encode()).digest()
    value = int.from_bytes(digest[:16])
    return str(UUID(int=value & ~(0xF << 76) & ~(0b11 << 62) | 0x8 << 76 | 0b10 << 62))


def asking_type(type: str) -> str:
    """The type of the event that asks. Raises ValueError for one that names it already."""
    if type.endswith(".requested"):
        raise ValueError(f"name what runs, {type.removesuffix('.requested')!r}: '.requested' is added to it")
    return f"{type}.requested"


def terms_of(fields: AskFields) -> dict[str, Any]:
    """`metadata.synap.intent`."""
    expires_at = fields.get("expires_at")
    said = {
        "expiresAt": expires_at.isoformat() if isinstance(expires_at, datetime) else expires_at,
        "timeoutSeconds": fields.get("timeout_seconds"),
        "uses": fields.get("uses"),
        "approvers": fields.get("approvers"),
        "risk": fields.get("risk"),
        "reversible": fields.get("reversible"),
        "summary": fields.get("summary"),
    }
    return {name: value for name, value in said.items() if value is not None}


def frozen(parameters: object) -> Any:
    """A copy of parameters that nothing changes. Raises InvalidInput for what is no JSON, or no safe number."""
    for path, problem in _foreign(parameters, "parameters"):
        raise InvalidInput(f"{path}: {problem}", issues=[Issue(path, problem)], reason="invalid_input")
    return msgspec.json.decode(written({"parameters": parameters}))["parameters"]


def _foreign(value: object, path: str) -> Generator[tuple[str, str], None, None]:
    """The places that are no JSON. Types are exact: what runs must not differ from what was approved."""
    if type(value) is dict:
        for name, item in value.items():
            if type(name) is not str:
                yield path, f"has a name of type {type(name).__name__}; names must be text"
            yield from _foreign(item, f"{path}.{name}")
    elif type(value) is list:
        for place, item in enumerate(value):
            yield from _foreign(item, f"{path}.{place}")
    elif value is not None and type(value) not in {str, int, float, bool}:
        yield path, f"is a {type(value).__name__}; use JSON: text, numbers, true, false, None, lists and dicts"


def ask(
    type: str, parameters: object, event: EventFields, key: str | None, wait_seconds: float | None
) -> Steps[Intent]:
    """Log the intent that is `event`, and wait until it is approved. See `Agent.ask`."""
    until = None if wait_seconds is None else time.monotonic() + wait_seconds
    intent_id, asking = str(event["id"]), asking_type(type)
    try:
        yield lambda client: client.log(asking, {"parameters": parameters}, **event)
    except Conflict as conflict:
        if key is None:
            raise
        yield from _require_same(intent_id, parameters, key, conflict)
    try:
        intent = yield from _decided(intent_id, until)
    except NotFound:  # so the server answers about an erased intent, if the key sees only its user's own
        raise IntentWithdrawn(f"The intent {intent_id} was erased", intent_id=intent_id) from None
    if ended := intent.ended():
        raise ended
    return intent


def _require_same(intent_id: str, parameters: object, key: str, conflict: Conflict) -> Steps[None]:
    """Raise unless what is stored under the key's id asks for the same. The run and the terms may be others."""
    try:
        intent = yield partial(_send, calls.intent(intent_id))
    except NotFound:
        raise conflict from None
    # `intents.start` compares exactly; this comparison only spares a person a wrong question.
    if not intent.event.erased and intent.event.data.get("parameters") != parameters:
        raise Conflict(
            f"The key {key!r} has asked for other parameters before; use another key", hash=intent.event.hash
        ) from conflict


def _decided(intent_id: str, until: float | None) -> Steps[Intent]:
    """Wait for the decision. An outage does not end the wait, but raises if there is no time left."""
    patience = Patience(None)
    while True:
        left = math.inf if until is None else until - time.monotonic()
        try:
            call = calls.wait(intent_id, math.ceil(max(0, min(WAIT_SECONDS, left))))
            intent: Intent = yield partial(_attempt, call)
        except SynapError as error:
            pause = patience.wait_seconds(error, safe=True)
            if pause > left:
                raise
            yield partial(_pause, pause)
            continue
        patience.renew()
        if intent.state != "open":
            return intent
        if left <= WAIT_SECONDS:
            raise NotDecided(
                f"Nobody has decided on the intent {intent_id} in time. It stays open: ask again with the same key, or "
                "withdraw it with intents.withdraw",
                intent_id=intent_id,
            )


def start(intent: Intent, parameters: object, key: str | None) -> Steps[Started]:
    """Take one use of the intent. See `Agent.start`."""
    try:
        started: Started = yield partial(_send, calls.start(intent.event, parameters, new_id() if key is None else key))
    except Conflict as error:
        if error.reason != "intent_ended":
            raise
        now: Intent = yield partial(_send, calls.intent(intent.event.id))
        raise now.ended() or error from error
    # Without a key nobody else knows the request's id: what is replayed is the lost answer to this very call.
    if started.replayed and key is not None:
        now = yield partial(_send, calls.intent(intent.event.id))
        raise _already(now, started.event.id)
    return started


def _already(intent: Intent, start_id: str) -> AlreadyStarted:
    run = next(run for run in intent.runs if run.start_id == start_id)
    outcome, outcome_id = run.late_outcome or run.outcome, run.late_outcome_id or run.outcome_id
    how = {
        None: "no outcome is reported yet, so it may still run",
        "unknown": "nobody reported in time how it ended, so its outcome is unknown",
    }
    return AlreadyStarted(
        f"This key has started the intent {intent.event.id} before: {how.get(outcome, f'it was {outcome}')}",
        intent_id=intent.event.id,
        start_id=start_id,
        outcome=outcome,
        outcome_id=outcome_id,
    )


def finish(started: Started, outcome: calls.Outcome, data: Record | None) -> Steps[Event]:
    """Report an outcome. Data that cannot be stored is left out, because the outcome matters more."""
    start_id = started.event.id
    try:
        event: Event = yield lambda client: client.send(calls.finish(start_id, outcome, data or {}))
    except (InvalidInput, PayloadTooLarge) as error:
        if not data:
            raise
        logger.warning("the outcome of %s is reported without its data: %s", start_id, type(error).__name__)
        event = yield partial(_send, calls.finish(start_id, outcome, {}))
    return event


def _send(call: Any, client: Any) -> Any:
    return client.send(call)


def _attempt(call: Any, client: Any) -> Any:
    return client.attempt(call)


def _pause(seconds: float, client: Any) -> Any:
    return client.pause(seconds)
