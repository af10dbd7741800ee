"""The publish door, at `/v1` (`docs/api/publish.md`): events in and out, and webhooks, for whatever speaks HTTP."""

import re
from contextlib import suppress
from functools import partial
from typing import Any

import msgspec
from litestar import HttpMethod, Response, Router, delete, get, post, route
from litestar.di import Provide
from msgspec import Raw, Struct
from msgspec.structs import replace

from app.access.rate_limits import RateLimits
from app.capacity.allowance import Allowance
from app.capacity.bodies import Room
from app.capacity.parsing import parse
from app.store.webhooks.subscribers import Subscribers
from app.surfaces.publish.cloudevents import BATCH, EVENT, Mode, hint, mode_of, other_spellings, read, written
from app.surfaces.shared.accept import chosen
from app.surfaces.shared.body import Body
from app.surfaces.shared.called import called
from app.surfaces.shared.idempotency import HEADER as IDEMPOTENCY_KEY
from app.surfaces.shared.idempotency import idempotent_ids
from app.surfaces.shared.operation import Operation
from app.surfaces.shared.requests import header_map
from app.surfaces.shared.rest import Caller, RestDoor, answer, done, named_by, refusal, refuse_unscoped
from app.telemetry.metrics import RATE_LIMITED
from procedures.call import call
from procedures.context import Context
from procedures.events.log import log
from procedures.events.log_batch import log_batch
from procedures.events.page import page
from procedures.subscriptions.create import create as create_subscription
from procedures.subscriptions.delete import delete as delete_subscription
from procedures.subscriptions.list import list_ as list_subscriptions
from schemas.base import Input, Output, ShortText
from schemas.errors import Conflict, InvalidInput, Issue, PayloadTooLarge, ProcedureError, RateLimited
from schemas.event import EventPage, LogEvent, LogEvents, SynapEvent
from schemas.issues import decoded
from schemas.jsontext import UNREADABLE
from schemas.principal import EVERY, Principal
from schemas.subscription import ListLimit, ListSubscriptions, Subscription, SubscriptionReference
from schemas.wire.cloudevents import JSON, CloudEvent, ShownCloudEvent, sent_names, shown
from schemas.wire.publish import Published, PublishedEventsQuery, PublishedPage, PublishEvent
from schemas.written import Written

FIELDS = {
    "producer": "source",
    "userId": "metadata.userId",
    "correlationId": "metadata.correlationId",
    "metadata.custom.tags": "metadata.tags",
    "id": IDEMPOTENCY_KEY,
}
"""The member `producer` of `events.log` is `source` in a published event."""

QUERIED = {"producer": "source"}
"""The member `producer` of `events.page` is `source` in a query; the other names are equal."""

_SENDER = re.compile(r"[!-~]{1,253}")
_event = msgspec.json.Decoder(PublishEvent)


class _NamedOrg(Struct, frozen=True, rename="camel"):
    org_id: ShortText | None = None


class _NamedIn(Struct, frozen=True):
    """The part of an event that names its workspace."""

    metadata: _NamedOrg | None = None


_peek = msgspec.json.Decoder(_NamedIn)


class QuerySubscriptions(Input, frozen=True, kw_only=True):
    """The parameter of every call: `orgId` names the workspace."""

    org_id: ShortText | None = None


class QueryListedSubscriptions(QuerySubscriptions, frozen=True, kw_only=True):
    """The workspace, and which of its webhooks: at most `limit` after the one with the id `after`; by default all."""

    limit: ListLimit | None = None
    after: str | None = None


class SubscriptionList(Output, frozen=True, kw_only=True):
    """The webhooks of a workspace (section Manage Subscriptions)."""

    subscriptions: list[Subscription]


PUBLISH = Operation(
    procedure=log,
    query=Input,
    body=PublishEvent,
    answer=Published,
    status=201,
    other_bodies={EVENT: CloudEvent},  # only the description has the batch: generated clients fail on a list here
    other_answers={EVENT: ShownCloudEvent, BATCH: list[ShownCloudEvent]},
    allowance="publish",
    request_headers=(IDEMPOTENCY_KEY,),
)
QUERY = Operation(
    procedure=page,
    query=PublishedEventsQuery,
    workspace="orgId",
    answer=PublishedPage,
    other_answers={BATCH: list[ShownCloudEvent]},
    allowance="query",
)
SUBSCRIBE = Operation(
    procedure=create_subscription,
    query=QuerySubscriptions,
    workspace="orgId",
    body=create_subscription.input,
    status=201,
    allowance="webhooks",
)
SUBSCRIPTIONS = Operation(
    procedure=list_subscriptions,
    query=QueryListedSubscriptions,
    workspace="orgId",
    answer=SubscriptionList,
    allowance="webhooks",
)
UNSUBSCRIBE = Operation(
    procedure=delete_subscription, query=QuerySubscriptions, workspace="orgId", status=204, allowance="webhooks"
)


class PublishDoor(RestDoor, frozen=True, kw_only=True):
    """The parts that this door needs. It limits the rate of its calls."""

    limits: RateLimits
    publish_rate: int
    """Events per minute and workspace. 0 means no limit."""
    secret: bytes
    """The install secret, from which the ids of idempotency keys are made."""

    async def admit(self, request: Caller, operation: Operation[Any], context: Context) -> None:
        """Count a call against its workspace's minute, or its webhooks. Raises RateLimited, Unavailable."""
        await super().admit(request, operation, context)
        if operation.allowance is None:
            return
        state: Allowance | RateLimited | None
        try:
            state = await self._allowance(operation.allowance, context.workspace)
        except RateLimited as error:
            RATE_LIMITED.add(operation.allowance)
            state = error
        if state is not None:
            request.state.allowance = lambda: state
        if isinstance(state, RateLimited):
            raise state

    async def _allowance(self, kind: str, workspace: str) -> Allowance | None:
        if kind == "webhooks":
            return await self.services.webhooks.allowance(workspace)
        return await self.limits.take(kind, workspace)


@post("/events", operation=PUBLISH)
async def publish(request: Caller, door: PublishDoor) -> Response[bytes]:
    """Append one event. It is durable when the call returns (section Publish Event).

    A retry with the same `Idempotency-Key` returns the stored event; Conflict if the body differs. CloudEvents are
    accepted in every HTTP mode; in the binary mode the headers `ce-…` carry the attributes. A batch has the type
    `application/cloudevents-batch+json`; all of its events are logged or none. The answer to a batch is a batch. The
    answer to one event is a CloudEvent if `Accept` prefers that.
    """
    principal = await door.principal(request)
    mode = mode_of(header_map(request.scope))
    with door.services.bodies.room(principal.key_id) as room:
        if mode is None:
            return await _publish_event(request, door, principal, room)
        return await _publish_cloudevents(request, door, principal, room, mode)


@get("/events", operation=QUERY)
async def query(request: Caller, door: PublishDoor) -> Response[bytes]:
    """Return the events that match every parameter, newest first (section Query Events)."""
    context, parameters = await door.read(request, QUERY)
    asked = await called(page, context, parameters.to_list, QUERIED, named_by(request, QUERY))
    as_batch = chosen(header_map(request.scope), (JSON, BATCH, EVENT)) != JSON
    content = await parse(len(asked.json), _page_of, asked, parameters, context.workspace, as_batch=as_batch)
    if as_batch:
        return _cloudevents(request, BATCH, content, QUERY.status)
    return answer(request, content, QUERY.status)


@post("/events/subscriptions", operation=SUBSCRIBE)
async def subscribe(request: Caller, door: PublishDoor) -> Response[bytes]:
    """Register a webhook (section Subscribe to Events)."""
    context, _ = await door.read(request, SUBSCRIBE)
    with door.services.bodies.room(context.principal.key_id) as room:
        body = door.body(request, create_subscription, room)
        named = named_by(request, SUBSCRIBE)
        made = await called(create_subscription, context, body.sent, {}, named, arrive=body.arrive)
    await door.admit(request, SUBSCRIBE, context)
    return answer(request, made, SUBSCRIBE.status)


@get("/events/subscriptions", operation=SUBSCRIPTIONS)
async def subscriptions(request: Caller, door: PublishDoor) -> Response[bytes]:
    """Return the webhooks of the workspace (section Manage Subscriptions), at most 200; `limit` asks for a page."""
    context, asked = await door.read(request, SUBSCRIPTIONS)
    wanted = ListSubscriptions(limit=asked.limit, after=asked.after)
    found = await called(list_subscriptions, context, lambda: wanted, {}, named_by(request, SUBSCRIPTIONS))
    return answer(request, SubscriptionList(subscriptions=found), SUBSCRIPTIONS.status)


@delete("/events/subscriptions/{subscription_id:str}", status_code=204, operation=UNSUBSCRIBE)
async def unsubscribe(request: Caller, door: PublishDoor, subscription_id: str) -> Response[None]:
    """Delete a webhook (section Manage Subscriptions)."""
    context, _ = await door.read(request, UNSUBSCRIBE)
    wanted = SubscriptionReference(subscription_id=subscription_id)
    await called(delete_subscription, context, lambda: wanted, {}, named_by(request, UNSUBSCRIBE))
    await door.admit(request, UNSUBSCRIBE, context)
    return done(request)


@route(["/events", "/events/subscriptions"], http_method=[HttpMethod.OPTIONS], status_code=204)
async def methods(request: Caller, door: PublishDoor) -> Response[None]:
    """Return the methods of both paths. It comes first, because otherwise Litestar answers for one handler only.

    Senders of CloudEvents ask this before they deliver (HTTP 1.1 Web Hooks for Event Delivery, section 4).
    """
    return done(request, {"allow": "GET, OPTIONS, POST", **_granted(request, door)})


def publish_router(door: PublishDoor) -> Router:
    """The routes of the door."""
    return Router(
        "/v1",
        route_handlers=[methods, publish, query, subscribe, subscriptions, unsubscribe],
        opt={"door": "publish"},
        dependencies={"door": Provide(lambda: door, sync_to_thread=False)},
        exception_handlers={ProcedureError: refusal},
    )


def _granted(request: Caller, door: PublishDoor) -> dict[str, str]:
    """The headers that permit a sender of CloudEvents to deliver here. Its key decides, not the origin it names."""
    origin = header_map(request.scope).get(b"webhook-request-origin", b"").decode("latin-1").strip()
    if not _SENDER.fullmatch(origin):
        return {}
    return {"webhook-allowed-origin": origin, "webhook-allowed-rate": str(door.publish_rate or "*")}


async def _publish_event(request: Caller, door: PublishDoor, principal: Principal, room: Room) -> Response[bytes]:
    context, event = await _received(request, door, principal, room)
    key = header_map(request.scope).get(b"idempotency-key")
    id_ = None
    if key is not None:
        ids = idempotent_ids(door.secret, context.workspace, principal.key_id, key.decode("latin-1"))
        id_, context = ids.id, replace(context, former_id=ids.former)
    # Before the event is stored: an error after that would hide that it was stored.
    subscribers = await door.services.webhooks.dispatch.subscribers(context.workspace)
    named = "X-Workspace-Id" if event.org_id is None else "metadata.orgId"
    async with door.services.webhooks.room_for(subscribers, event.data):
        logged = await called(log, context, partial(event.to_log, id_), FIELDS, named)
        return await _published(request, door, logged, subscribers)


async def _received(
    request: Caller, door: PublishDoor, principal: Principal, room: Room
) -> tuple[Context, PublishEvent]:
    """The event in a request's body, and the context of its call.

    The call counts before its event is parsed, even if the event is invalid. If the body may name the workspace that
    counts the call, only that name is read first. Raises Forbidden, RateLimited, InvalidInput, PayloadTooLarge.
    """
    refuse_unscoped(principal, log)
    body, org = door.body(request, log, room), None
    sent: bytes | ProcedureError | None = None
    if not _is_certain(request, principal):
        sent = await _sent(body, door.services.max_event_bytes)
        org = _org_of(sent)
    context = await door.context(request, principal, org, "metadata.orgId")
    await door.admit(request, PUBLISH, context)
    if sent is None:
        sent = await _sent(body, door.services.max_event_bytes)
    if isinstance(sent, ProcedureError):
        raise sent
    event = await parse(len(sent), _event_in, sent)
    return await door.context(request, principal, event.org_id, "metadata.orgId"), event


def _is_certain(request: Caller, principal: Principal) -> bool:
    """Whether the workspace of a call is known before its body is read, because its key has only one."""
    named = header_map(request.scope).get(b"x-workspace-id", b"").decode("latin-1")
    is_only = len(principal.workspaces) == 1 and EVERY not in principal.workspaces and not principal.must_name
    return is_only and named in {"", principal.workspaces[0]}


async def _sent(body: Body, max_event_bytes: int) -> bytes | ProcedureError:
    """The JSON of an event. An error is returned, not raised, because the call must be counted first."""
    try:
        sent = await body.json()
        if sent is None:
            raise InvalidInput([Issue("", "a JSON object is required", "malformed_json")])
        if len(sent) > max_event_bytes:
            raise PayloadTooLarge(f"Event payload exceeds {max_event_bytes} bytes")
    except ProcedureError as error:
        return error
    return sent


def _org_of(sent: bytes | ProcedureError) -> str | None:
    """The workspace that an event names, if its JSON can be read. This costs a hundredth of parsing it."""
    if isinstance(sent, ProcedureError):
        return None
    try:
        metadata = _peek.decode(sent).metadata
    except UNREADABLE:
        return None
    return None if metadata is None else metadata.org_id


def _event_in(sent: bytes) -> PublishEvent:
    """The event in JSON. Raises InvalidInput, with a hint if it is a CloudEvent."""
    try:
        return decoded(sent, _event)
    except InvalidInput as error:
        raise hint(sent) or error from None


def _page_of(asked: Written[EventPage], parameters: PublishedEventsQuery, workspace: str, *, as_batch: bool) -> Raw:
    """The answer to a query. Raises PayloadTooLarge if it has no room for all events of the page."""
    found: EventPage = asked.read(EventPage)
    if found.next_cursor is not None and len(found.events) < parameters.limit:
        raise PayloadTooLarge("These events exceed 32 MiB; set a lower limit", field="limit")
    if as_batch:
        return written(found.events)
    return Raw(msgspec.json.encode(PublishedPage.of(found, parameters, workspace)))


async def _publish_cloudevents(
    request: Caller, door: PublishDoor, principal: Principal, room: Room, mode: Mode
) -> Response[bytes]:
    headers = header_map(request.scope)
    context = await door.context(request, principal, None, "X-Workspace-Id")
    refuse_unscoped(principal, log)
    await door.admit(request, PUBLISH, context)
    body = door.body(request, log, room)
    sent = await body.content() if mode is Mode.BINARY else await body.json() or b""
    asked = (mode, headers, sent, context.workspace, door.services.max_event_bytes)
    events = await parse(len(sent), read, *asked)
    subscribers = await door.services.webhooks.dispatch.subscribers(context.workspace)
    try:
        if mode is Mode.BATCHED:
            batch = await call(log_batch, context, lambda: LogEvents(events=events))
            return _cloudevents(request, BATCH, await parse(len(sent), written, batch), PUBLISH.status)
        async with door.services.webhooks.room_for(subscribers, events[0].data):
            return await _published(request, door, await _logged_once(events[0], context), subscribers)
    except ProcedureError as error:
        error.rename(sent_names(events, is_batch=mode is Mode.BATCHED) | {"workspace": "X-Workspace-Id"})
        raise


async def _logged_once(event: LogEvent, context: Context) -> SynapEvent:
    """Log a CloudEvent that may have been logged in another mode.

    In another mode its extensions have other values, which is a conflict. Then the other forms are tried; since the id
    exists, this stores nothing.
    """
    try:
        return await _logged(event, context)
    except Conflict:
        for other in other_spellings(event):
            with suppress(Conflict):
                return await _logged(other, context)
        raise


async def _logged(event: LogEvent, context: Context) -> SynapEvent:
    logged: SynapEvent = await call(log, context, lambda: event)
    return logged


async def _published(
    request: Caller, door: PublishDoor, event: SynapEvent, subscribers: Subscribers
) -> Response[bytes]:
    """The answer for one event; a CloudEvent if `Accept` prefers that."""
    if chosen(header_map(request.scope), (JSON, EVENT, BATCH)) != JSON:
        return _cloudevents(request, EVENT, Raw(shown(event)), PUBLISH.status)
    triggered = len(await door.services.webhooks.dispatch.told(subscribers, event))
    return answer(request, Published.of(event, triggered), PUBLISH.status)


def _cloudevents(request: Caller, media_type: str, content: Raw, status: int) -> Response[bytes]:
    """An answer as CloudEvents."""
    made = answer(request, content, status)
    made.media_type = media_type
    return made
