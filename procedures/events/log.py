"""events.log."""

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
    """Append one event to the workspace's log; durable when answered.

    A retry with the same `id` and the same content answers the first event; other content under that id is Conflict,
    with the stored event's hash. A key with `events:read` gets what is left of an erased event; any other key gets
    Conflict. `userId` is the caller's own unless its key has `events:write-as` (else Forbidden).
    At most 1 MiB (PayloadTooLarge). Source: "Events API", section Log Event.
    """
    [draft] = await drafts([event], [""], context)
    if context.former_id is not None:
        draft = replace(draft, former_id=context.former_id)
    return (await context.services.log.append(context.workspace, [draft]))[0]


async def drafts(events: Sequence[LogEvent], paths: Sequence[str], context: Context) -> list[Draft]:
    """What the log will hold of `events`, which stand at `paths`. Raises InvalidInput for every invalid place.

    The trace that the call is a part of is the correlation of events that name neither that nor their id.
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
    """Events and their paths by portions, and the bytes of each: between two of them others have their turn."""
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
    """Draft a portion; what is wrong with it joins `issues`. Raises Forbidden."""
    for event, path in portion:
        try:
            made.append(context.services.drafting.draft(event, context.principal, path))
        except InvalidInput as error:
            issues += error.issues


def _correlated(event: LogEvent, trace_id: str) -> LogEvent:
    """An event of a trace. Not one that has an id: sent again in another trace it would be another event."""
    named = event.id is not None or event.correlation_id is not None
    return event if named else replace(event, correlation_id=trace_id)
