"""The publish door, at `/v1` (the document "Events API"): events in and out, and webhooks, for whatever speaks HTTP."""

import re
from functools import partial
from uuid import UUID, uuid5

import msgspec
from litestar import Response, Router, delete, get, post
from litestar.di import Provide

from app.limits import Allowance, RateLimits
from app.surfaces.requests import Disconnected, header_map, read_body
from app.surfaces.rest import Caller, RestDoor, answer, done, parsed, refusal
from procedures.call import call
from procedures.context import Context
from procedures.events.log import log
from procedures.events.page import page
from procedures.subscriptions.create import create as create_subscription
from procedures.subscriptions.delete import delete as delete_subscription
from procedures.subscriptions.list import list_ as list_subscriptions
from schemas.errors import InvalidInput, Issue, PayloadTooLarge, ProcedureError, RateLimited
from schemas.event import EventPage
from schemas.issues import decoded
from schemas.subscription import SubscriptionReference
from schemas.wire.publish import Published, PublishedPage, PublishEvent, QueryEvents

IDEMPOTENT = UUID("5f0b7a52-6d3e-5b1c-9c55-0f5d2a4c8e11")
"""The namespace of the ids that idempotency keys become."""

FIELDS = {"producer": "source", "userId": "metadata.userId", "correlationId": "metadata.correlationId"}
"""What the procedures call `producer` is `source` here."""

_KEY = re.compile(r"[\x20-\x7e]{1,255}")
_event = msgspec.json.Decoder(PublishEvent)


class PublishDoor(RestDoor, frozen=True, kw_only=True):
    """What this door works with: its calls are limited in their rate."""

    limits: RateLimits

    async def admit(self, request: Caller, kind: str, context: Context) -> None:
        """Count a call against its workspace's minute. Raises RateLimited, Unavailable."""
        request.state.allowance = await self.limits.take(kind, context.workspace)

    async def managing(self, request: Caller) -> Context:
        """The context of a call that manages webhooks. Raises Unauthorized, Forbidden, Unavailable."""
        principal = await self.principal(request)
        context = await self.context(request, principal, request.query_params.get("orgId"), "orgId")
        await self.count_active(request, context)
        return context

    async def count_active(self, request: Caller, context: Context) -> None:
        """Note how many webhooks the workspace may still have. Raises Unavailable."""
        request.state.allowance = await self.services.webhooks.allowance(context.workspace)


@post("/events")
async def publish(request: Caller, door: PublishDoor) -> Response[bytes]:
    """Append one event; durable when answered (section Publish Event).

    A retry with the same `Idempotency-Key` answers the first event; with another body it is a conflict.
    """
    principal = await door.principal(request)
    event = await _event_of(request, door)
    org = event.metadata.org_id if isinstance(event, PublishEvent) and event.metadata else None
    context = await door.context(request, principal, org, "metadata.orgId")
    await door.admit(request, "publish", context)
    if isinstance(event, ProcedureError):
        raise event
    key = header_map(request.scope).get(b"idempotency-key")
    id_ = None if key is None else _idempotent_id(key.decode("latin-1"), context.workspace, principal.key_id)
    # Before the event is stored: what fails here must not hide that it was.
    subscribers = await door.services.webhooks.deliveries.subscribers(context.workspace)
    logged = await call(log, context, partial(event.to_log, id_))
    triggered = len(subscribers.of_logged(logged))
    return answer(request, Published.of(logged, triggered), 201, _limits(request))


@get("/events")
async def query(request: Caller, door: PublishDoor) -> Response[bytes]:
    """The events that match every parameter, newest first (section Query Events)."""
    principal = await door.principal(request)
    parameters = dict(request.query_params.items())
    context = await door.context(request, principal, parameters.get("orgId"), "orgId")
    await door.admit(request, "query", context)
    wanted = parsed(parameters, QueryEvents)
    found: EventPage = (await call(page, context, wanted.to_list)).read(EventPage)
    if found.next_cursor is not None and len(found.events) < wanted.limit:
        raise PayloadTooLarge("These events exceed 32 MiB; set a lower limit", field="limit")
    return answer(request, PublishedPage.of(found, wanted, context.workspace), 200, _limits(request))


@post("/events/subscriptions")
async def subscribe(request: Caller, door: PublishDoor) -> Response[bytes]:
    """Register a webhook (section Subscribe to Events)."""
    context = await door.managing(request)
    body = await read_body(request.receive, header_map(request.scope), door.max_body_bytes)
    if isinstance(body, PayloadTooLarge):
        raise body
    made = await call(create_subscription, context, lambda: None if isinstance(body, Disconnected) else body)
    await door.count_active(request, context)
    return answer(request, made, 201, _limits(request))


@get("/events/subscriptions")
async def subscriptions(request: Caller, door: PublishDoor) -> Response[bytes]:
    """Every webhook of the workspace (section Manage Subscriptions)."""
    context = await door.managing(request)
    found = await call(list_subscriptions, context, lambda: None)
    return answer(request, {"subscriptions": found}, 200, _limits(request))


@delete("/events/subscriptions/{subscription_id:str}", status_code=204)
async def unsubscribe(request: Caller, door: PublishDoor, subscription_id: str) -> Response[None]:
    """End a webhook (section Manage Subscriptions)."""
    context = await door.managing(request)
    wanted = SubscriptionReference(subscription_id=subscription_id)
    await call(delete_subscription, context, lambda: wanted)
    await door.count_active(request, context)
    return done(request, _limits(request))


def publish_router(door: PublishDoor) -> Router:
    """The routes of the door."""
    return Router(
        "/v1",
        route_handlers=[publish, query, subscribe, subscriptions, unsubscribe],
        dependencies={"door": Provide(lambda: door, sync_to_thread=False)},
        exception_handlers={ProcedureError: _refused},
    )


def _refused(request: Caller, error: ProcedureError) -> Response[bytes]:
    if error.field is not None:
        error.field = FIELDS.get(error.field, error.field)
    if isinstance(error, RateLimited):
        request.state.allowance = error
    return refusal(request, error, _limits(request))


def _limits(request: Caller) -> dict[str, str]:
    """The state of the caller's rate limit (section Rate Limits); nothing where it is lifted or was not looked at."""
    state: Allowance | RateLimited | None = request.state.get("allowance")
    if state is None:
        return {}
    numbers = {"limit": state.limit, "remaining": state.remaining, "reset": state.reset}
    return {f"x-ratelimit-{name}": str(number) for name, number in numbers.items()}


async def _event_of(request: Caller, door: PublishDoor) -> PublishEvent | ProcedureError:
    """The event in a request's body. An error is answered, not raised: the call is counted first, like any other."""
    body = await read_body(request.receive, header_map(request.scope), door.max_body_bytes)
    if isinstance(body, PayloadTooLarge):
        return body
    if isinstance(body, Disconnected) or body is None:
        return InvalidInput([Issue("", "a JSON object is required", "malformed_json")])
    if len(body) > door.services.max_event_bytes:
        return PayloadTooLarge(f"Event payload exceeds {door.services.max_event_bytes} bytes")
    try:
        return decoded(body, _event)
    except InvalidInput as error:
        return error


def _idempotent_id(key: str, workspace: str, key_id: str) -> UUID:
    """The id of an event that is logged under an idempotency key: the same key, of the same API key, the same id."""
    if not _KEY.fullmatch(key):
        raise InvalidInput([Issue("Idempotency-Key", "must have 1 to 255 printable ASCII characters")])
    return uuid5(IDEMPOTENT, msgspec.json.encode([workspace, key_id, key]).decode())
