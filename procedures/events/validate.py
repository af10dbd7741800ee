"""events.validate."""

import msgspec
from msgspec import UNSET, Raw, Struct
from msgspec.structs import replace

from app.ledger.draft import Draft, resolved_user
from procedures.context import Context
from procedures.events.log import drafts
from procedures.procedure import Sent, mutation
from schemas.base import ShortText
from schemas.errors import Conflict, Forbidden, InvalidInput, ProcedureError, RateLimited
from schemas.event import LogEvent, SynapEvent
from schemas.jsontext import UNREADABLE
from schemas.principal import Principal, Scope
from schemas.validation import EventIssue, ToldSubscription, Validation


@mutation("events.validate", scope=Scope.EVENTS_WRITE, errors=(RateLimited,), large_input=True)
async def validate(sent: Sent[LogEvent], context: Context) -> Validation:
    """Return what `events.log` would do with an event: every error at once, or the event as stored. Changes nothing.

    It accepts the input of `events.log`, and returns the errors of `events.log` in `issues`. These are invalid places,
    an event that is too large, another user's `userId`, and an id that is stored with other content. It looks the id up
    only if the rest is valid. It is a mutation, like `events.log`, so that callers change only the name. A key that may
    only write does not see how many webhooks would receive the event. Only a key with `subscriptions:manage` sees which
    ones.
    """
    errors: list[ProcedureError] = list(sent.errors)
    draft = await _drafted(sent, context, errors)
    if draft is None or errors:
        return _answer(sent, context, errors)
    try:
        event, is_stored = await context.services.log.preview(context.workspace, draft)
    except (Conflict, InvalidInput) as error:
        return _answer(sent, context, [error])
    told = [] if is_stored else await _told(event, context)
    metadata = draft.body.metadata
    return replace(
        _answer(sent, context, []),
        data=Raw(draft.body.data.encode()),
        metadata=UNSET if metadata is None else Raw(metadata.encode()),
        data_bytes=len(draft.body.data.encode()),
        metadata_bytes=0 if metadata is None else len(metadata.encode()),
        user_id=draft.body.user_id,
        source=draft.body.source,
        stored=is_stored,
        subscription_count=len(told) if _may_count(context.principal) else None,
        subscriptions=await _managed(told, context),
    )


def _may_count(principal: Principal) -> bool:
    """Whether a caller may see how many webhooks would receive the event. A key that may only write may not."""
    return principal.allows(Scope.EVENTS_READ) or principal.allows(Scope.SUBSCRIPTIONS_MANAGE)


class _Sender(Struct, frozen=True, rename="camel"):
    """The user that an invalid event names."""

    user_id: ShortText | None = None


async def _drafted(sent: Sent[LogEvent], context: Context, errors: list[ProcedureError]) -> Draft | None:
    """The event as it would be stored, or None. Adds the event's faults to `errors`."""
    event = sent.value
    try:
        resolved_user(_claimed_user(sent), context.principal)
    except Forbidden as error:
        errors.append(error)
        event = event and replace(event, user_id=None)  # the rest of the event is still checked
    if event is None:
        return None
    try:
        [draft] = await drafts([event], [""], context)
    except InvalidInput as error:
        errors.insert(0, error)
        return None
    return draft


def _claimed_user(sent: Sent[LogEvent]) -> str | None:
    if sent.value is not None:
        return sent.value.user_id
    try:
        return _sender.decode(sent.json).user_id
    except UNREADABLE:
        return None


async def _told(event: SynapEvent, context: Context) -> list[str]:
    """The ids of the webhooks that would receive an event."""
    webhooks = context.services.webhooks
    subscribers = await webhooks.dispatch.subscribers(context.workspace)
    async with webhooks.room_for(subscribers, event.data):
        return await webhooks.dispatch.told(subscribers, event)


async def _managed(told: list[str], context: Context) -> list[ToldSubscription] | None:
    """The webhooks among `told` that the caller may manage; None if it lacks `subscriptions:manage`."""
    principal = context.principal
    if not principal.allows(Scope.SUBSCRIPTIONS_MANAGE):
        return None
    if not told:
        return []
    subscriptions = context.services.webhooks.subscriptions
    mine = await subscriptions.urls(context.workspace, principal.delivers_only, told)
    return [ToldSubscription(subscription_id=id_, webhook_url=url) for id_, url in mine]


def _answer(sent: Sent[LogEvent], context: Context, errors: list[ProcedureError]) -> Validation:
    return Validation(
        valid=not errors,
        issues=[issue for error in errors for issue in _issues(error)],
        sent_bytes=len(sent.json) or None,
        max_bytes=context.services.max_event_bytes,
    )


def _issues(error: ProcedureError) -> list[EventIssue]:
    if not isinstance(error, InvalidInput):
        return [EventIssue(path=error.field or "", message=error.message, code=error.code)]
    return [EventIssue(path=each.path, message=each.message, code=each.code or error.code) for each in error.issues]


_sender = msgspec.json.Decoder(_Sender)
