"""The client for an event loop: the methods of `Synap`, to be awaited. For one loop, and not for forked children."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Self, TypeVar, Unpack
from uuid import UUID

import httpx

from synap_client import calls, errors, wire
from synap_client.authors import Author, Place
from synap_client.events import (
    BrowsedPage,
    BrowseFields,
    Event,
    EventFields,
    EventFilters,
    EventPage,
    NewEvent,
    PageFields,
    Record,
    Trace,
    Validation,
)
from synap_client.quiet import at_work, logger
from synap_client.retry import Patience

if TYPE_CHECKING:
    from synap_client.recorder import AsyncRecorder, RecorderFields

T = TypeVar("T")


class AsyncSynap:
    """A server, one key and one workspace. `Synap` describes the arguments and errors."""

    def __init__(
        self,
        url: str,
        token: str | Callable[[], str],
        workspace: str | None = None,
        *,
        timeout_seconds: float = 30.0,
        retry_seconds: float = 30.0,
        author: Author | None = None,
        place: Place | None = None,
        transformer: wire.Transformer = "none",
        http: Callable[[], httpx.AsyncClient] = httpx.AsyncClient,
    ) -> None:
        """Sends nothing yet. Raises ValueError for an invalid URL, token or transformer."""
        self.url = wire.base_url(url)
        self.workspace = workspace
        self.timeout_seconds = timeout_seconds
        self.retry_seconds = retry_seconds
        self._author = author
        self._place = place
        self._values = wire.Values(transformer)
        self._bearer = wire.Bearer(token)
        self._make_http = http
        self._http = http()

    def __repr__(self) -> str:
        """A text without the token."""
        return f"{type(self).__name__}({self.url!r}, workspace={self.workspace!r})"

    async def __aenter__(self) -> Self:
        """Enter a block that closes the client at its end."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the connections."""
        await self.close()

    async def close(self) -> None:
        """Close the connections. This does not close recorders of this client: close them before."""
        await self._http.aclose()

    async def log(self, type: str, data: Record, **more: Unpack[EventFields]) -> Event:
        """Log one event. It is durable when this returns. See `Synap.log`.

        If the task is cancelled, the outcome is unknown. Log the event again with the same `id`: it is stored once.
        """
        return await self.send(calls.log(await self.signed(NewEvent(type, data, **more))))

    async def log_batch(self, events: Iterable[NewEvent]) -> list[Event]:
        """Log 1 to 1000 events in their order: all or none."""
        return await self.send(calls.log_batch([await self.signed(event) for event in events]))

    async def get(self, event_id: str | UUID) -> Event:
        """One event, by its UUID or as `evt_` and its hash. Raises NotFound."""
        return await self.send(calls.get(event_id))

    async def list(self, **wanted: Unpack[PageFields]) -> "list[Event]":
        """The events that match, newest first: at most `limit`, 1 to 1000, default 100."""
        return await self.send(calls.list_(**wanted))

    async def page(self, **wanted: Unpack[PageFields]) -> EventPage:
        """One page of the events that match, with the exact total and the cursor of the next page."""
        return await self.send(calls.page(**wanted))

    async def pages(self, **wanted: Unpack[PageFields]) -> AsyncIterator[EventPage]:
        """Every page from the given one on."""
        while True:
            page = await self.page(**wanted)
            yield page
            if page.next_cursor is None:
                return
            wanted["cursor"] = page.next_cursor

    async def events(self, **wanted: Unpack[PageFields]) -> AsyncIterator[Event]:
        """Every event that matches, newest first, page by page."""
        async for page in self.pages(**wanted):
            for event in page.events:
                yield event

    async def browse(self, **wanted: Unpack[BrowseFields]) -> BrowsedPage:
        """One page of events in an order of your choice."""
        return await self.send(calls.browse(**wanted))

    async def validate(self, type: str, data: Record, **more: Unpack[EventFields]) -> Validation:
        """What `log` would do with an event: every fault at once, or the event as stored. Changes nothing."""
        return await self.send(calls.validate(await self.signed(NewEvent(type, data, **more))))

    async def trace(self, event_id: str | UUID, *, limit: int | None = None, depth: int | None = None) -> Trace:
        """The causes and effects of an event. Raises NotFound."""
        return await self.send(calls.trace(event_id, limit, depth))

    async def call(self, name: str, input: object = None, *, retry: bool = False) -> Any:
        """Call any procedure by name. See `Synap.call`."""
        return await self.send(calls.other(name, input, retry=retry))

    async def stream(
        self,
        start: str | None = None,
        *,
        follow: bool = True,
        retry_seconds: float | None = None,
        **filters: Unpack[EventFilters],
    ) -> AsyncGenerator[Event, None]:
        """Every event that matches, in the order of the log, as it is logged. See `Synap.stream`.

        To end its connection at once when you leave the loop early, close it (`contextlib.aclosing`).
        """
        content = calls.stream_input(start, filters, follow=follow)
        async with aclosing(self._items("events.stream", content, retry_seconds, calls.STREAMED)) as items:
            async for item in items:
                if item.id is not None:
                    yield item.value
                elif not follow and item.value.caught_up:
                    return

    async def subscribe(
        self, name: str, input: object = None, *, retry_seconds: float | None = None
    ) -> AsyncGenerator[tuple[str | None, Any], None]:
        """Any subscription by name: the id and the value of each item. It resumes as `stream` does."""
        async with aclosing(self._items(name, input, retry_seconds, wire.Streamed())) as items:
            async for item in items:
                yield item.id, item.value

    def recorder(self, **settings: "Unpack[RecorderFields]") -> "AsyncRecorder":
        """A recorder, which logs in the background. See `AsyncRecorder`."""
        from synap_client.recorder import AsyncRecorder  # noqa: PLC0415 - it stands on this module

        return AsyncRecorder(self, **settings)

    def twin(self) -> Self:
        """A client with the same settings and its own connections."""
        return type(self)(
            self.url,
            self._bearer.token,
            self.workspace,
            timeout_seconds=self.timeout_seconds,
            retry_seconds=self.retry_seconds,
            author=self._author,
            place=self._place,
            transformer=self._values.transformer,
            http=self._make_http,
        )

    async def signed(self, event: NewEvent) -> NewEvent:
        """The event as `log` sends it. See `Synap.signed`."""
        if self._author is None:
            return event
        if self._place is None:
            with at_work():  # a log handler may wait for this
                self._place = await self.send(calls.place())
        return self._author.sign(event, self._place)

    async def send(self, call: wire.Call[T]) -> T:
        """Run a call, and retry it if that may help."""
        patience = Patience(self.retry_seconds)
        while True:
            try:
                return await self.attempt(call)
            except errors.SynapError as error:
                seconds = patience.wait_seconds(error, safe=call.safe)
            await asyncio.sleep(seconds)

    async def pause(self, seconds: float) -> None:
        """Wait between two calls."""
        await asyncio.sleep(seconds)

    async def attempt(self, call: wire.Call[T]) -> T:
        """Run a call once."""
        timeout = wire.timeout_of(call, self.timeout_seconds)
        try:
            async with self._request(
                call.name, self._values.encode(call.body), wire.headers_of(self.workspace), timeout
            ) as answer:
                if wire.is_stream(answer.headers):
                    raise errors.UnexpectedAnswer(
                        f"{call.name} is a subscription, which has no single answer", status=answer.status_code
                    )
                content = await answer.aread()
        except httpx.RequestError as error:
            raise wire.lost(error, call.name) from error
        return call.read(answer.status_code, answer.headers, content, self._values)

    async def _items(
        self, name: str, content: object, retry_seconds: float | None, streamed: wire.Streamed
    ) -> AsyncGenerator[wire.Item, None]:
        following = wire.Following(name, content, self.timeout_seconds, self._values, streamed)
        patience = Patience(retry_seconds)
        while not following.ended:
            failed: errors.SynapError
            try:
                headers = wire.headers_of(self.workspace) | following.headers()
                async with self._request(name, following.body, headers, following.timeout()) as answer:
                    if not wire.is_stream(answer.headers):
                        raise wire.failure(answer.status_code, answer.headers, await answer.aread(), self._values)
                    reader = wire.MessageReader()
                    async for piece in answer.aiter_bytes():
                        for message in reader.feed(piece):
                            item = following.take(message)
                            if item is not None:
                                yield item
                failed = errors.ConnectionLost(f"{name}: the stream was cut", sent=True)
            except httpx.RequestError as error:
                failed = wire.lost(error, name)
            except errors.SynapError as error:
                failed = error
            if not following.ended:
                logger.info("%s is opened again: %s", name, failed)
                if following.connected:
                    patience.renew()
                await asyncio.sleep(patience.wait_seconds(failed, safe=True))

    def _request(self, name: str, body: bytes, headers: dict[str, str], timeout: httpx.Timeout) -> Any:
        return self._http.stream(
            "POST", f"{self.url}/{name}", content=body, headers=headers, auth=self._bearer, timeout=timeout
        )
