"""The client that waits for its answers. Any number of threads may share it, and after a fork also the child."""

import os
import time
from collections.abc import Callable, Generator, Iterable, Iterator
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
    from synap_client.recorder import Recorder, RecorderFields

T = TypeVar("T")


class Synap:
    """A server, one key and one workspace.

    `token` may be a function, which is called for each request, so that tokens can be renewed. `workspace` defaults to
    the key's first one. One attempt of a call waits `timeout_seconds` for the server at each step. A call that a retry
    can help is retried for `retry_seconds` in all, with growing, jittered pauses, always with the same event id. An
    `author` signs every event. Where it is stored is signed too: `place`, or what the server says when first asked.
    `transformer` must equal the server's `SYNAP_TRANSFORMER`. `http` makes the HTTP client, for a proxy or certificates
    of your own.

    Every method raises SynapError: `Unauthorized`, `Forbidden`, `RateLimited`, `Unavailable`, `ConnectionLost`,
    `ServerFault` or `UnexpectedAnswer`, and the classes that its docstring names.
    """

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
        http: Callable[[], httpx.Client] = httpx.Client,
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
        self._pid = os.getpid()

    def __repr__(self) -> str:
        """A text without the token."""
        return f"{type(self).__name__}({self.url!r}, workspace={self.workspace!r})"

    def __enter__(self) -> Self:
        """Enter a block that closes the client at its end."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connections."""
        self.close()

    def close(self) -> None:
        """Close the connections. This does not close recorders of this client."""
        if self._pid == os.getpid():
            self._http.close()

    def log(self, type: str, data: Record, **more: Unpack[EventFields]) -> Event:
        """Log one event. It is durable when this returns.

        If it has no `id`, the client makes one. Every attempt has the same `id`, so the event is stored once. Raises
        InvalidInput, Conflict (the id is stored with other content), PayloadTooLarge, Forbidden (another user's
        `user_id`).
        """
        return self.send(calls.log(self.signed(NewEvent(type, data, **more))))

    def log_batch(self, events: Iterable[NewEvent]) -> list[Event]:
        """Log 1 to 1000 events in their order: all or none. Raises as `log`; issues have paths like `events.3.type`."""
        return self.send(calls.log_batch([self.signed(event) for event in events]))

    def get(self, event_id: str | UUID) -> Event:
        """One event, by its UUID or as `evt_` and its hash. Raises NotFound."""
        return self.send(calls.get(event_id))

    def list(self, **wanted: Unpack[PageFields]) -> "list[Event]":
        """The events that match, newest first: at most `limit`, 1 to 1000, default 100."""
        return self.send(calls.list_(**wanted))

    def page(self, **wanted: Unpack[PageFields]) -> EventPage:
        """One page of the events that match, with the exact total and the cursor of the next page."""
        return self.send(calls.page(**wanted))

    def pages(self, **wanted: Unpack[PageFields]) -> Iterator[EventPage]:
        """Every page from the given one on. The cursors stay valid while events are appended."""
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
        """One page of events in an order of your choice."""
        return self.send(calls.browse(**wanted))

    def validate(self, type: str, data: Record, **more: Unpack[EventFields]) -> Validation:
        """What `log` would do with an event: every fault at once, or the event as stored. Changes nothing."""
        return self.send(calls.validate(self.signed(NewEvent(type, data, **more))))

    def trace(self, event_id: str | UUID, *, limit: int | None = None, depth: int | None = None) -> Trace:
        """The causes and effects of an event. Raises NotFound."""
        return self.send(calls.trace(event_id, limit, depth))

    def call(self, name: str, input: object = None, *, retry: bool = False) -> Any:
        """Call any procedure by name. Its input and output are JSON values.

        It is only retried if the first attempt certainly did nothing. With `retry` it is also retried if the outcome is
        unknown: use that for queries, and for mutations that may be done twice.
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

        It begins at `start`: now (the default), `"beginning"`, a time, or after an event's id. If the connection is
        lost, it is opened again after the last event, without gaps or repeats. It ends only if `follow` is false, when
        it has returned all logged events. An outage longer than `retry_seconds` raises.
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
        """Any subscription by name: the id and the value of each item. It resumes as `stream` does."""
        for item in self._items(name, input, retry_seconds, wire.Streamed()):
            yield item.id, item.value

    def recorder(self, **settings: "Unpack[RecorderFields]") -> "Recorder":
        """A recorder, which logs in the background. See `Recorder`."""
        from synap_client.recorder import Recorder  # noqa: PLC0415 - it stands on this module

        return Recorder(self, **settings)

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

    def signed(self, event: NewEvent) -> NewEvent:
        """The event as `log` sends it: with the signature of the client's author, if it has one."""
        if self._author is None:
            return event
        if self._place is None:
            with at_work():  # a log handler may wait for this
                self._place = self.send(calls.place())
        return self._author.sign(event, self._place)

    def send(self, call: wire.Call[T]) -> T:
        """Run a call, and retry it if that may help."""
        patience = Patience(self.retry_seconds)
        while True:
            try:
                return self.attempt(call)
            except errors.SynapError as error:
                seconds = patience.wait_seconds(error, safe=call.safe)
            time.sleep(seconds)

    def pause(self, seconds: float) -> None:
        """Wait between two calls."""
        time.sleep(seconds)

    def attempt(self, call: wire.Call[T]) -> T:
        """Run a call once."""
        timeout = wire.timeout_of(call, self.timeout_seconds)
        try:
            with self._request(
                call.name, self._values.encode(call.body), wire.headers_of(self.workspace), timeout
            ) as answer:
                if wire.is_stream(answer.headers):
                    raise errors.UnexpectedAnswer(
                        f"{call.name} is a subscription, which has no single answer", status=answer.status_code
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
        if self._pid != os.getpid():  # after a fork the connections belong to the parent
            self._http, self._pid = self._make_http(), os.getpid()
        return self._http.stream(
            "POST", f"{self.url}/{name}", content=body, headers=headers, auth=self._bearer, timeout=timeout
        )
