"""events.erase."""

from collections.abc import Sequence
from uuid import UUID

from app.store.audit.log import Act
from app.store.events.erasure import NO_EVENT, ErasureRequest
from procedures.context import Context
from procedures.procedure import mutation
from procedures.reference import event_ids
from schemas.erasure import Erased, EraseEvents
from schemas.errors import InvalidInput, Issue, NotFound
from schemas.jsontext import MAX_ISSUES
from schemas.principal import Scope


@mutation("events.erase", scope=Scope.EVENTS_ERASE, errors=(NotFound,))
async def erase(wanted: EraseEvents, context: Context) -> Erased:
    """Erase events permanently. Each keeps its place, type, source, times and hashes; its body is deleted.

    Send exactly one of `ids` (1 to 1000), `userId` and `subjectId`. The last two erase all events of that user, or
    about that subject, that the log has when the call begins. InvalidInput if an id names no event of this workspace,
    or names an event that the server wrote; then nothing is erased. You may repeat a call: it does not count events
    that are already erased. A key that may read only its own user's events sees and erases only those.

    The server erases up to 1,000 events per transaction. The transaction also deletes their counters and the stored
    answers of webhook receivers. It logs an event `synap.event.erased` that names them, and adds an entry to the audit.
    If the call is interrupted, some of these transactions are complete; repeat it for the rest. Pending webhook
    deliveries send what remains of an erased event.
    """
    only_user = context.principal.delivers_only
    match wanted.ids, wanted.user_id, wanted.subject_id:
        case list() as names, None, None:
            chosen = ErasureRequest("ids", ids=await _named(names, context), only_user=only_user)
        case None, str() as user_id, None:
            chosen = ErasureRequest("userId", value=user_id, only_user=only_user)
        case None, None, str() as subject_id:
            chosen = ErasureRequest("subjectId", value=subject_id, only_user=only_user)
        case _:
            raise InvalidInput([Issue("", "needs exactly one of ids, userId and subjectId; call once for each")])

    def act(events: int, seq: int) -> Act:
        return context.act("events.erased", {"by": chosen.by, "events": events, "seq": seq})

    return await context.services.erasure.erase(context.workspace, chosen, act)


async def _named(names: Sequence[str], context: Context) -> list[UUID]:
    """The event ids of `names`. Raises InvalidInput with every name that names no event."""
    ids = await event_ids(names, context)
    issues = [Issue(f"ids.{place}", NO_EVENT) for place, id_ in enumerate(ids) if id_ is None]
    if issues:
        raise InvalidInput(issues[:MAX_ISSUES])
    return [id_ for id_ in ids if id_ is not None]
