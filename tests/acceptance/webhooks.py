"""Webhooks under load: a receiver that fails at random, writers that survive a server, and the checks afterwards."""

import hashlib
import hmac
import http.client
import json
import threading
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from random import Random
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import msgspec
from msgspec import Struct

from tests.delivery.receiver import OK, Answer, Received, status
from tests.kit.servers import Server, until

TYPES = ("code.analysis.complete", "lead.created", "code.review.begun", "lead.lost", "note.written")
RARE = "order.placed"
"""The type of every twentieth event."""

TIMEOUT_SECONDS = 1
SCHEDULE = "0,0.1,0.3,0.5,1,1,2,2,3,3,5,5,5,5,5,5"
"""A schedule that is long enough that no delivery is given up, although three of ten attempts fail."""

SETTINGS = {
    "webhook_allow_http": "true",
    "webhook_allow_networks": "127.0.0.0/8",
    "webhook_timeout_seconds": TIMEOUT_SECONDS,
    "webhook_schedule": SCHEDULE,
}
"""The settings of a server whose webhooks may reach the receiver."""

BATCH = 20
PAUSE_SECONDS = 0.05
"""The pause of a writer between two batches, so that both servers deliver while they are written to."""

HANG_SECONDS = 3.0 * TIMEOUT_SECONDS

LATE_SECONDS = 2.0 * TIMEOUT_SECONDS
"""How long after its deletion a delivery to a subscription that was on its way may be signed."""


class Hook(Struct, frozen=True):
    """A subscription to create."""

    name: str
    pattern: str
    ordered: bool = False
    digit: str | None = None
    """If set, only events whose number ends in this digit match."""

    @property
    def filter(self) -> dict[str, Any] | None:
        """The subscription's filter for the digit."""
        return None if self.digit is None else {"data.text": {"endsWith": self.digit}}

    def matches(self, event: Mapping[str, Any]) -> bool:
        """Whether an event matches."""
        if self.digit is not None and event["data"]["text"][-1] != self.digit:
            return False
        type_: str = event["type"]
        if self.pattern in {"*", type_}:
            return True
        return self.pattern.endswith(".*") and type_.startswith(self.pattern[:-1])


HOOKS = (
    Hook("all", "*"),
    Hook("code", "code.*"),
    Hook("lead", "lead.*"),
    Hook("exact", "note.written"),
    Hook("ordered", RARE, ordered=True),
    Hook("filtered", "*", digit="7"),
)
DELETED = Hook("deleted", "*")


class SentEvent(Struct, frozen=True, rename="camel"):
    """The event in a delivery."""

    event_id: str
    type: str


class Body(Struct, frozen=True, rename="camel"):
    """A delivery's body."""

    subscription_id: str
    delivery_seq: int
    seq: int
    hash: str
    event: SentEvent


class Arrival(Struct, frozen=True):
    """A request that arrived."""

    signed_at: int
    """The Unix time at which the server signed it. Unlike the time of its arrival, it is right on a busy machine."""
    request: Received
    body: Body
    is_answered: bool
    """Whether it was answered with success."""


class Fates:
    """Decides what happens to each request: a fifth get 500, some hang or are dropped. It records all requests.

    With the same seed, the same attempt of the same delivery always has the same fate.
    """

    def __init__(self, seed: int) -> None:
        self.arrivals: list[Arrival] = []
        self.delivered: defaultdict[str, set[str]] = defaultdict(set)
        """The ids of the events that were answered with success, by the hook's name."""
        self._seed = seed
        self._tries: Counter[tuple[str, int]] = Counter()

    def __call__(self, request: Received) -> Answer:
        name, body = request.path.removeprefix("/"), msgspec.json.decode(request.body, type=Body)
        place = (name, body.delivery_seq)
        self._tries[place] += 1
        answer = self._fate(*place, self._tries[place])
        signed_at = int(request.headers["webhook-timestamp"])
        self.arrivals.append(Arrival(signed_at, request, body, is_answered=answer is OK))
        if answer is OK:
            self.delivered[name].add(body.event.event_id)
        return answer

    def of(self, hook: Hook) -> list[Arrival]:
        """The requests that arrived for a hook."""
        return [arrival for arrival in self.arrivals if arrival.request.path == f"/{hook.name}"]

    def _fate(self, name: str, delivery_seq: int, attempt: int) -> Answer:
        chance = Random(f"{self._seed} {name} {delivery_seq} {attempt}").random()
        if chance < 0.20:
            return status(500, b"not now")
        if chance < 0.25:
            return HANG_SECONDS
        return None if chance < 0.30 else OK


class Subscribed(Struct, frozen=True):
    """A created subscription."""

    hook: Hook
    id: str
    secret: str


def subscribed(server: Server, hook: Hook, url: str) -> Subscribed:
    """Create the subscription of `hook`, with deliveries to `url`."""
    wanted = {"eventTypes": [hook.pattern], "webhookUrl": url, "ordered": hook.ordered, "filter": hook.filter}
    created = answer(server, "subscriptions.create", wanted)
    return Subscribed(hook, created["subscriptionId"], created["secret"])


def answer(server: Server, name: str, value: object) -> Any:
    """The output of a mutation."""
    called = server.mutate(name, value)
    assert called.status_code == 200, called.text
    return called.json()["result"]["data"]


def asked(server: Server, name: str, value: object) -> Any:
    """The output of a query."""
    called = server.query(name, value)
    assert called.status_code == 200, called.text
    return called.json()["result"]["data"]


class BatchWriters:
    """One client for each server.

    It logs batches, and sends a batch that its server leaves unanswered to another server.
    """

    def __init__(self, servers: Sequence[Server], events: int) -> None:
        self.logged: dict[str, dict[str, Any]] = {}
        """The stored events by their ids."""
        self.moved = 0
        """How many batches were sent to another server than the first."""
        self._servers = servers
        self._events = events
        self._stopped = threading.Event()

    def stop(self) -> None:
        """Send nothing from now on."""
        self._stopped.set()

    def work(self, place: int) -> None:
        """Run one client."""
        at = place
        for start in range(place * BATCH, self._events, len(self._servers) * BATCH):
            batch = [_event(number) for number in range(start, min(start + BATCH, self._events))]

            def told(batch: list[dict[str, Any]] = batch) -> list[dict[str, Any]] | None:
                nonlocal at
                logged = self._try(self._servers[at], batch)
                if logged is None:
                    at = (at + 1) % len(self._servers)
                    self.moved += 1
                return logged

            answered = until(lambda: self._stopped.is_set() or told(), seconds=60)
            if answered is True:
                return
            for event, logged in zip(batch, answered, strict=True):
                assert logged["id"] == event["id"]
                self.logged[event["id"]] = logged
            self._stopped.wait(PAUSE_SECONDS)

    def _try(self, server: Server, batch: list[dict[str, Any]]) -> list[dict[str, Any]] | None:
        """The logged events; None if the server cannot be reached or the connection breaks."""
        connection = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=30)
        headers = server.headers | {"content-type": "application/json"}
        try:
            connection.request("POST", "/trpc/events.logBatch", json.dumps({"events": batch}), headers)
            response = connection.getresponse()
            content = json.loads(response.read())
        except (OSError, http.client.HTTPException):
            return None
        finally:
            connection.close()
        assert response.status == 200, content
        logged: list[dict[str, Any]] = content["result"]["data"]
        return logged


@contextmanager
def logging_batches(servers: Sequence[Server], events: int) -> Iterator[BatchWriters]:
    """Run writers during the block. Its end waits for all of them."""
    writers = BatchWriters(servers, events)
    with ThreadPoolExecutor(len(servers)) as pool:
        at_work = [pool.submit(writers.work, place) for place in range(len(servers))]
        try:
            yield writers
        except BaseException:
            writers.stop()
            raise
        for writer in at_work:
            writer.result()


def wanted_of(hook: Hook, logged: Mapping[str, Mapping[str, Any]]) -> dict[str, int]:
    """The seq, by id, of the events that match a hook."""
    return {id_: event["seq"] for id_, event in logged.items() if hook.matches(event)}


def faults(subscription: Subscribed, arrivals: Sequence[Arrival], wanted: Mapping[str, int]) -> Iterator[str]:
    """What a subscription that was not deleted missed. `wanted` has the seq of each matching event by id."""
    yield from faults_of_each(subscription, arrivals)
    hook = subscription.hook
    successes = [arrival.body for arrival in arrivals if arrival.is_answered]
    got = {body.event.event_id for body in successes}
    if lost := wanted.keys() - got:
        yield f"{hook.name} lost {len(lost)} events: seq {sorted(wanted[id_] for id_ in lost)[:10]}"
    if foreign := got - wanted.keys():
        yield f"{hook.name} got {len(foreign)} events that do not match"
    numbers = sorted({arrival.body.delivery_seq for arrival in arrivals})
    if numbers != list(range(1, len(wanted) + 1)):
        yield f"{hook.name} has {len(numbers)} numbers up to {numbers[-1:]} for {len(wanted)} matches"
    if wrong := [body.seq for body in successes if wanted.get(body.event.event_id) != body.seq]:
        yield f"{hook.name} got another seq than was answered: {wrong[:10]}"
    if hook.ordered:
        firsts = list(dict.fromkeys(body.seq for body in successes))
        if firsts != sorted(firsts):
            yield f"{hook.name} got its events in the order {firsts}"


def faults_of_each(subscription: Subscribed, arrivals: Sequence[Arrival]) -> Iterator[str]:
    """Yield the faults of single deliveries: signature, webhook-id, and that a number always names one event."""
    hook, key = subscription.hook, subscription.secret.encode()
    ids: defaultdict[int, set[str]] = defaultdict(set)
    events: defaultdict[int, set[tuple[str, int, str]]] = defaultdict(set)
    for arrival in arrivals:
        request, body = arrival.request, arrival.body
        if request.headers["x-signature"] != f"sha256={hmac.new(key, request.body, hashlib.sha256).hexdigest()}":
            yield f"{hook.name} got a wrong signature with {body.delivery_seq}"
        if body.subscription_id != subscription.id:
            yield f"{hook.name} got what is owed to {body.subscription_id}"
        ids[body.delivery_seq].add(request.headers["webhook-id"])
        events[body.delivery_seq].add((body.event.event_id, body.seq, body.hash))
    for number in events:
        if len(events[number]) > 1:
            yield f"{hook.name} got several events as {number}: {events[number]}"
        if len(ids[number]) > 1:
            yield f"{hook.name} got several webhook-ids for {number}: {ids[number]}"
    if len(set.union(set(), *ids.values())) != len(ids):
        yield f"{hook.name} got one webhook-id for several deliveries"


class Figures(Struct):
    """The figures of a story."""

    events: int
    deliveries: int = 0
    """Deliveries that were answered with success, each counted once."""
    requests: int = 0
    duplicates: int = 0
    """Deliveries that were answered with success again."""
    seconds: float = 0.0
    moved: int = 0

    def count(self, arrivals: Sequence[Arrival]) -> None:
        """Count the requests that arrived for one subscription."""
        successes = Counter(arrival.body.delivery_seq for arrival in arrivals if arrival.is_answered)
        self.deliveries += len(successes)
        self.requests += len(arrivals)
        self.duplicates += successes.total() - len(successes)

    def line(self) -> str:
        """All figures in one line."""
        return (
            f"{self.events:,} events, {self.deliveries:,} deliveries by {self.requests:,} requests, "
            f"{self.duplicates:,} duplicates, {self.seconds:.1f} s, "
            f"{self.deliveries / self.seconds:,.0f} deliveries a second; {self.moved} batches were sent again"
        )


def _event(number: int) -> dict[str, Any]:
    return {
        "id": str(UUID(int=(4 << 76) | (2 << 62) | number)),
        "type": RARE if number % 20 == 0 else TYPES[number % len(TYPES)],
        "data": {"number": number, "text": str(number)},
    }
