"""events.log (`docs/api/trpc.md`, Log Event)."""

from collections.abc import Iterable, Iterator, Sequence

from msgspec.structs import replace

from app.capacity.parsing import TURN_BYTES, parse
from app.ledger.draft import Draft
from procedures.context import Context
from procedures.procedure import mutation
from schemas.errors import Conflict, Forbidden, InvalidInput, Issue, NotFound, PayloadTooLarge
from schemas.event import LogEvent, SynapEvent
from schemas.jsontext import MAX_ISSUES
from schemas.principal import Scope
from schemas.tracecontext import trace_id_of


@mutation(
    "events.log", scope=Scope.EVENTS_WRITE, errors=(Conflict, Forbidden, NotFound, PayloadTooLarge), large_input=True
)
async def log(event: LogEvent, context: Context) -> SynapEvent:
    """Append one event to the workspace's log. The event is durable when the call returns.

    A retry with the same `id` and content returns the stored event. Conflict, with the stored event's hash, if the
    content differs. If the stored event was erased, a key with `events:read` gets what remains of it; any other key
    gets Conflict. `userId` must be the caller's own unless the key has `events:write-as` (Forbidden). An event has at
    most `SYNAP_MAX_EVENT_BYTES`, default 1 MiB (PayloadTooLarge).
    """
    [draft] = await drafts([event], [""], context)
    if context.former_id is not None:
        draft = replace(draft, former_id=context.former_id)
    return (await context.services.log.append(context.workspace, [draft]))[0]


async def drafts(events: Sequence[LogEvent], paths: Sequence[str], context: Context) -> list[Draft]:
    """The drafts of `events`, which are at `paths` of the input. Raises InvalidInput with every invalid place.

    Events without an `id` and a `correlationId` get the call's trace id as their correlation.
    """
    trace_id = context.traceparent and trace_id_of(context.traceparent)
    if trace_id:
        events = [_correlated(event, trace_id) for event in events]

    made: list[Draft] = []
    issues: list[Issue] = []
    for size, portion in _portions(zip(events, paths, strict=True)):
        await parse(size, _draft, portion, context, made, issues)
        if len(issues) >= MAX_ISSUES:
            break
    if issues:
        raise InvalidInput(issues[:MAX_ISSUES])
    return made


def _portions(placed: Iterable[tuple[LogEvent, str]]) -> Iterator[tuple[int, list[tuple[LogEvent, str]]]]:
    """Events and their paths in portions, each with its size in bytes. Other calls may run between two portions."""
    size, portion = 0, []
    for event, path in placed:
        size += len(bytes(event.data)) + len(bytes(event.metadata))
        portion.append((event, path))
        if size >= TURN_BYTES:
            yield size, portion
            size, portion = 0, []
    if portion:
        yield size, portion


def _draft(portion: list[tuple[LogEvent, str]], context: Context, made: list[Draft], issues: list[Issue]) -> None:
    """Draft a portion into `made`, and add its issues to `issues`. Raises Forbidden."""
    for event, path in portion:
        try:
            made.append(context.services.drafting.draft(event, context.principal, context.workspace, path))
        except InvalidInput as error:
            issues += error.issues


def _correlated(event: LogEvent, trace_id: str) -> LogEvent:
    """An event with the trace as its correlation, unless it has an id: a retry in another trace would then conflict."""
    named = event.id is not None or event.correlation_id is not None
    return event if named else replace(event, correlation_id=trace_id)
