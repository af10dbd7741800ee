"""The client that waits for its answers. For any number of threads, and after a fork for the child as well."""

import os
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Self, TypeVar, Unpack
from uuid import UUID

import httpx

from synap_client import calls, errors, wire
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
from synap_client.quiet import logger
from synap_client.retry import Patience

if TYPE_CHECKING:
    from synap_client.recorder import Recorder, RecorderFields

T = TypeVar("T")


class Synap:
    """A server, one key and one workspace.

    `token` may be a function, which is then asked for each request: for tokens that are renewed. Without `workspace`
    it is the key's first. One attempt of a call waits `timeout_seconds` for the server at each step; what a retry can
    cure is tried again for `retry_seconds` in all, with jittered and growing pauses, and always under the same event
    id. `transformer` is the server's `SYNAP_TRANSFORMER`. `http` makes the HTTP client, where yours needs a proxy or
    certificates of its own.

    Every method raises SynapError, by class: `Unauthorized`, `Forbidden`, `RateLimited`, `Unavailable`,
    `ConnectionLost`, `ServerFault`, `UnexpectedAnswer`, and what it says itself.
    """

    def __init__(
        self,
        url: str,
        token: str | Callable[[], str],
        workspace: str | None = None,
        *,
        timeout_seconds: float = 30.0,
        retry_seconds: float = 30.0,
        transformer: wire.Transformer = "none",
        http: Callable[[], httpx.Client] = httpx.Client,
    ) -> None:
        """Nothing is sent yet. Raises ValueError for a URL, token or transformer that cannot be one."""
        self.url = wire.base_url(url)
        self.workspace = workspace
        self.timeout_seconds = timeout_seconds
        self.retry_seconds = retry_seconds
        self._values = wire.Values(transformer)
        self._bearer = wire.Bearer(token)
        self._make_http = http
        self._http = http()
        self._pid = os.getpid()

    def __repr__(self) -> str:
        """No token."""
        return f"{type(self).__name__}({self.url!r}, workspace={self.workspace!r})"

    def __enter__(self) -> Self:
        """Closed at the end of the block."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connections."""
        self.close()

    def close(self) -> None:
        """Close the connections. Recorders made of this client are closed by themselves."""
        if self._pid == os.getpid():
            self._http.close()

    def log(self, type: str, data: Record, **more: Unpack[EventFields]) -> Event:
        """Log one event; it is durable when this returns.

        Without an `id` the client makes one, and every attempt carries it: an event is stored once. Raises
        InvalidInput, Conflict (the id has other content), PayloadTooLarge, Forbidden (another's `user_id`).
        """
        return self.send(calls.log(type, data, **more))

    def log_batch(self, events: Iterable[NewEvent]) -> list[Event]:
        """Log 1 to 1000 events in their order, all or nothing. Raises as `log`; issues name `events.3.type`."""
        return self.send(calls.log_batch(events))

    def get(self, event_id: str | UUID) -> Event:
        """One event, by its UUID or as `evt_` and its hash. Raises NotFound."""
        return self.send(calls.get(event_id))

    def list(self, **wanted: Unpack[PageFields]) -> "list[Event]":
        """The events that match, newest first; 100 unless `limit` says more (at most 1000)."""
        return self.send(calls.list_(**wanted))

    def page(self, **wanted: Unpack[PageFields]) -> EventPage:
        """The same as a page, with the exact total and the cursor of the next page."""
        return self.send(calls.page(**wanted))

    def pages(self, **wanted: Unpack[PageFields]) -> Iterator[EventPage]:
        """Every page from there on; the cursors stay good while events are appended."""
        while True:
            page = self.page(**wanted)
            yield page
            if page.next_cursor is None:
                return
            wanted["cursor"] = page.next_cursor

    def events(self, **wanted: Unpack[PageFields]) -> Iterator[Event]:
        """Every event that matches, newest first, page by page."""
        for page in self.pages(**wanted):
            yield from page.events

    def browse(self, **wanted: Unpack[BrowseFields]) -> BrowsedPage:
        """One page in an order of your own."""
        return self.send(calls.browse(**wanted))

    def validate(self, type: str, data: Record, **more: Unpack[EventFields]) -> Validation:
        """What `log` would do with an event: every reason against it at once. Changes nothing."""
        return self.send(calls.validate(type, data, **more))

    def trace(self, event_id: str | UUID, *, limit: int | None = None, depth: int | None = None) -> Trace:
        """What led to an event and what it led to. Raises NotFound."""
        return self.send(calls.trace(event_id, limit, depth))

    def call(self, name: str, input: object = None, *, retry: bool = False) -> Any:
        """Any procedure by its name, its input and output as JSON has them.

        It is tried again only where the first attempt did nothing for certain; with `retry` also where that is
        unknown: for queries, and mutations that may be done twice.
        """
        return self.send(calls.other(name, input, retry=retry))

    def stream(
        self,
        start: str | None = None,
        *,
        follow: bool = True,
        retry_seconds: float | None = None,
        **filters: Unpack[EventFilters],
    ) -> Generator[Event, None, None]:
        """Every event that matches, in the order of the log, as it is logged.

        It begins now, at the `"beginning"`, behind an event's id, or at a time, as `start` says. A connection that is
        lost is opened again behind the last event that was seen: nothing twice, nothing missed. Without an end, unless
        `follow` is false: then it ends when it has caught up. An outage longer than `retry_seconds` is raised.
        """
        content = calls.stream_input(start, filters, follow=follow)
        for item in self._items("events.stream", content, retry_seconds, calls.STREAMED):
            if item.id is not None:
                yield item.value
            elif not follow and item.value.caught_up:
                return

    def subscribe(
        self, name: str, input: object = None, *, retry_seconds: float | None = None
    ) -> Generator[tuple[str | None, Any], None, None]:
        """Any subscription by its name: the id and the value of each item, resumed as `stream` is."""
        for item in self._items(name, input, retry_seconds, wire.Streamed()):
            yield item.id, item.value

    def recorder(self, **settings: "Unpack[RecorderFields]") -> "Recorder":
        """Log in the background: see `Recorder`."""
        from synap_client.recorder import Recorder  # noqa: PLC0415 - it stands on this module

        return Recorder(self, **settings)

    def twin(self) -> Self:
        """Another client of the same, with connections of its own."""
        return type(self)(
            self.url,
            self._bearer.token,
            self.workspace,
            timeout_seconds=self.timeout_seconds,
            retry_seconds=self.retry_seconds,
            transformer=self._values.transformer,
            http=self._make_http,
        )

    def send(self, call: wire.Call[T]) -> T:
        """Do a call, again where that may help."""
        patience = Patience(self.retry_seconds)
        while True:
            try:
                return self.attempt(call)
            except errors.SynapError as error:
                seconds = patience.wait_seconds(error, safe=call.safe)
            time.sleep(seconds)

    def attempt(self, call: wire.Call[T]) -> T:
        """Do a call once."""
        timeout = httpx.Timeout(self.timeout_seconds, connect=min(wire.CONNECT_SECONDS, self.timeout_seconds))
        try:
            with self._request(
                call.name, self._values.encode(call.body), wire.headers_of(self.workspace), timeout
            ) as answer:
                if wire.is_stream(answer.headers):
                    raise errors.UnexpectedAnswer(
                        f"{call.name} is a subscription: it has no one answer", status=answer.status_code
                    )
                content = answer.read()
        except httpx.RequestError as error:
            raise wire.lost(error, call.name) from error
        return call.read(answer.status_code, answer.headers, content, self._values)

    def _items(
        self, name: str, content: object, retry_seconds: float | None, streamed: wire.Streamed
    ) -> Iterator[wire.Item]:
        following = wire.Following(name, content, self.timeout_seconds, self._values, streamed)
        patience = Patience(retry_seconds)
        while not following.ended:
            failed: errors.SynapError
            try:
                headers = wire.headers_of(self.workspace) | following.headers()
                with self._request(name, following.body, headers, following.timeout()) as answer:
                    if not wire.is_stream(answer.headers):
                        raise wire.failure(answer.status_code, answer.headers, answer.read(), self._values)
                    reader = wire.MessageReader()
                    for piece in answer.iter_bytes():
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
                time.sleep(patience.wait_seconds(failed, safe=True))

    def _request(self, name: str, body: bytes, headers: dict[str, str], timeout: httpx.Timeout) -> Any:
        if self._pid != os.getpid():  # after a fork: the connections are the parent's
            self._http, self._pid = self._make_http(), os.getpid()
        return self._http.stream(
            "POST", f"{self.url}/{name}", content=body, headers=headers, auth=self._bearer, timeout=timeout
        )
