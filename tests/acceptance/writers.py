"""Clients that log as fast as they get answers, each with its own connection and thread."""

import http.client
import itertools
import json
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

from tests.kit.servers import Server, until

SOURCES = ("api", "automation", "sync", "migration", "system", "intelligence")


class Writers:
    """Clients that are shared out among some servers.

    Each sends one event after another, and repeats an event with the same id until a server acknowledges it.
    """

    def __init__(
        self, servers: Sequence[Server], *, events: int | None, workspace: str = "default", pause_seconds: float = 0
    ) -> None:
        """`events` are shared out among the clients. If they are None, clients log until `finish` or `stop` is called.

        Each client waits for `pause_seconds` after each event.
        """
        self.acknowledged: dict[str, dict[str, Any]] = {}
        """The acknowledged events by the ids that their clients chose."""
        self.refused = 0
        """How many answers were Unavailable."""
        self.slowest_seconds = 0.0
        """The longest time from a request to its answer, of any kind."""
        self._servers = servers
        self._events = events
        self._workspace = workspace
        self._pause_seconds = pause_seconds
        self._finished = threading.Event()
        self._stopped = threading.Event()

    def by(self, server: Server) -> int:
        """How many events `server` has acknowledged."""
        return sum(event["producer"] == server.url for event in list(self.acknowledged.values()))

    def finish(self) -> None:
        """Begin no event from now on. Those that were begun are sent until they are acknowledged."""
        self._finished.set()

    def stop(self) -> None:
        """Send nothing from now on. An event that is not acknowledged yet may be stored or not."""
        self._stopped.set()

    def work(self, place: int, clients: int) -> None:
        """Run one client."""
        server = self._servers[place % len(self._servers)]
        connection = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=60)
        for number in itertools.count(place, clients) if self._events is None else range(place, self._events, clients):
            if self._finished.is_set():
                break
            event = _event(number, place, server)
            answered = until(lambda: self._stopped.is_set() or self._try(connection, server, event), seconds=60)  # noqa: B023
            if answered is True:
                break
            assert answered["data"] == event["data"]
            self.acknowledged[event["id"]] = answered
            self._stopped.wait(self._pause_seconds)
        connection.close()

    def _try(
        self, connection: http.client.HTTPConnection, server: Server, event: dict[str, Any]
    ) -> dict[str, Any] | None:
        """The logged event; None if the server cannot be reached, the connection breaks, or it is Unavailable."""
        headers = server.headers | {"content-type": "application/json", "x-workspace-id": self._workspace}
        started = time.monotonic()
        try:
            connection.request("POST", "/trpc/events.log", json.dumps(event), headers)
            answer = connection.getresponse()
            content = json.loads(answer.read())
        except (OSError, http.client.HTTPException):
            connection.close()
            return None
        self.slowest_seconds = max(self.slowest_seconds, time.monotonic() - started)
        if answer.status == 503:
            self.refused += 1
            return None
        assert answer.status == 200, content
        logged: dict[str, Any] = content["result"]["data"]
        return logged


@contextmanager
def writing(
    servers: Sequence[Server],
    *,
    events: int | None = None,
    clients: int = 32,
    workspace: str = "default",
    pause_seconds: float = 0,
) -> Iterator[Writers]:
    """Run writers during the block. Its end waits for all of them."""
    writers = Writers(servers, events=events, workspace=workspace, pause_seconds=pause_seconds)
    with ThreadPoolExecutor(clients) as pool:
        at_work = [pool.submit(writers.work, place, clients) for place in range(clients)]
        try:
            yield writers
        except BaseException:
            writers.stop()
            raise
        for writer in at_work:
            writer.result()


def _event(number: int, place: int, server: Server) -> dict[str, Any]:
    return {
        "id": str(uuid4()),
        "type": f"load.number-{number % 5}",
        "source": SOURCES[number % len(SOURCES)],
        "producer": server.url,
        "data": {"number": number, "writer": place},
    }
