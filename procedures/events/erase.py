"""events.erase."""

from collections.abc import Sequence
from uuid import UUID

from app.store.audit.log import Act
from app.store.events.erasure import NO_EVENT, Wanted
from procedures.context import Context
from procedures.procedure import mutation
from procedures.reference import event_ids
from schemas.erasure import Erased, EraseEvents
from schemas.errors import InvalidInput, Issue, NotFound
from schemas.jsontext import MAX_ISSUES
from schemas.principal import Scope


@mutation("events.erase", scope=Scope.EVENTS_ERASE, errors=(NotFound,))
async def erase(wanted: EraseEvents, context: Context) -> Erased:
    """Erase events for good: of each its place, type, source and times stay, and a hash that shows what it was.

    Exactly one of `ids` (1 to 1000), `userId` and `subjectId`: all that the log holds of that user or about that
    subject when the call begins. An id of no event of this workspace, or of the server's own, is InvalidInput, and then
    nothing is erased. What was erased before is no error and does not count: a repeated call is harmless. A key with
    `events:read-own` alone erases its own user's events; others are not there for it.

    Up to 1,000 events are erased at once, whole: the body, its counters, the answers that webhook receivers gave, an
    event `synap.event.erased` that names them in the log, and the audit's entry. A call that is cut short leaves whole
    thousands erased; repeat it for the others. Webhooks not yet sent send what is left.
    """
    only_user = context.principal.delivers_only
    match wanted.ids, wanted.user_id, wanted.subject_id:
        case list() as names, None, None:
            chosen = Wanted("ids", ids=await _named(names, context), only_user=only_user)
        case None, str() as user_id, None:
            chosen = Wanted("userId", value=user_id, only_user=only_user)
        case None, None, str() as subject_id:
            chosen = Wanted("subjectId", value=subject_id, only_user=only_user)
        case _:
            raise InvalidInput([Issue("", "needs exactly one of ids, userId and subjectId; call once for each")])

    def act(events: int, seq: int) -> Act:
        return context.act("events.erased", {"by": chosen.by, "events": events, "seq": seq})

    return await context.services.erasure.erase(context.workspace, chosen, act)


async def _named(names: Sequence[str], context: Context) -> list[UUID]:
    """The ids that `names` are or stand for. Raises InvalidInput for every one that names nothing."""
    ids = await event_ids(names, context)
    issues = [Issue(f"ids.{place}", NO_EVENT) for place, id_ in enumerate(ids) if id_ is None]
    if issues:
        raise InvalidInput(issues[:MAX_ISSUES])
    return [id_ for id_ in ids if id_ is not None]
