"""The attacks, by name. Each function prepares what it sends, and returns the attack, which returns the outcomes."""

import gzip
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from itertools import count
from typing import Any

from benchmarks.hostile.calls import (
    Job,
    Outcomes,
    at_once,
    in_turns,
    is_open,
    message,
    open_connections,
    request,
    status,
)
from benchmarks.hostile.payloads import (
    JSON,
    MIB,
    array,
    batch_path,
    event,
    head,
    inside,
    log_described,
    log_large,
    log_many,
    query_path,
    scaled,
)
from benchmarks.hostile.receiver import receiving
from benchmarks.hostile.store import backends_bytes, blocks, subscribe_all
from benchmarks.hostile.target import Target

Strike = Callable[[], Outcomes]
Attack = Callable[[Target, float], Strike]

TINY = b'{"id":1,"method":"query","params":{"path":"a"}}'
UNKNOWN = "synap_sk_unknown"


def frames_without_token(target: Target, scale: float) -> Strike:
    """Messages of tiny calls on a socket without a token, also as its `connectionParams`."""
    small, large = (array(TINY, scaled(size * MIB, scale)) for size in (7, 58))
    numbers = array(b"1", scaled(30 * MIB, scale))
    deep = b"[" * scaled(30 * MIB, scale)
    asked = "/trpc?connectionParams=1"
    jobs = [partial(message, target.url, where, [sent]) for where in ("/trpc", asked) for sent in (small, large)]
    jobs += [partial(message, target.url, where, [sent]) for where in ("/trpc", asked) for sent in (numbers, deep)]
    return lambda: in_turns(jobs)


def frames_with_token(target: Target, scale: float) -> Strike:
    """Messages of tiny calls on a socket with a token, within the limit of a message."""
    contents = [array(TINY, scaled(7 * MIB, scale)), array(b"1", scaled(7 * MIB, scale)), b"[" * scaled(7 * MIB, scale)]
    jobs = [partial(message, target.url, "/trpc", [each] * 3, token=target.attacker) for each in contents]
    return lambda: in_turns(jobs)


def large_lists(target: Target, scale: float) -> Strike:
    """Batches of `events.list` with large events, whose answers are read at once, slowly, or not at all."""
    log_large(target, scaled(33, scale))
    path = batch_path("events.list", [{"limit": 100}] * scaled(100, scale))
    call = {"method": "query", "params": {"path": "events.list", "input": {"limit": 100}}}
    frame = JSON([{"id": at, **call} for at in range(scaled(100, scale))])
    asked = partial(request, target.url, "GET", path, token=target.attacker)
    lines = partial(asked, headers={"trpc-accept": "application/jsonl"})

    def strike() -> Outcomes:
        done = at_once([asked, lines])
        done += at_once([asked] * scaled(8, scale))
        done += at_once([partial(message, target.url, "/trpc", [frame], token=target.attacker)] * scaled(4, scale))
        with open_connections(target.url, [head("GET", path, target.attacker)] * scaled(20, scale)):
            time.sleep(4 * scale)
        return done

    return strike


def large_bodies(target: Target, scale: float) -> Strike:
    """Large bodies, invalid in every place, for small procedures: with keys without the scope, and without a key."""
    subscription = b'{"webhookUrl":"https://example.org","eventTypes":[%b]}' % inside(
        b'{"a":1}', scaled(8 * MIB, scale)
    )
    written = {"type": "a.b", "source": "system", "data": {"title": "\N{GRINNING FACE}" * scaled(16_000, scale)}}
    batch = JSON({str(at): written for at in range(100)})
    invalid = b'{"type":"a.b","source":"system","metadata":{"tags":[%b]}}' % inside(b"{}", scaled(MIB, scale))
    many = f"/trpc/{','.join(['events.log'] * 100)}?batch=1"
    post = partial(request, target.url, "POST")

    def strike() -> Outcomes:
        done = at_once([partial(post, "/v1/events/subscriptions", token=target.attacker, body=subscription)] * 2)
        done += at_once([partial(post, many, token=target.attacker, body=batch)] * 2)
        done += in_turns([partial(post, "/v1/events", token=target.reader, body=invalid)] * scaled(20, scale))
        done += at_once([partial(post, "/v1/events", token=target.attacker, body=invalid)] * scaled(20, scale))
        done += at_once([partial(post, many, body=batch)] * scaled(20, scale))
        return done

    return strike


def large_heads(target: Target, scale: float) -> Strike:
    """Queries with megabytes of parameters, and thousands of headers."""
    pairs = "&".join(f"metadata.custom.k{at}=v" for at in range(scaled(26 * MIB, scale) // 24))
    one = f"metadata.custom.key={'v' * scaled(26 * MIB, scale)}"
    escaped = "%41" * (scaled(8 * MIB, scale) // 3)
    paths = [f"/v1/events?{pairs}", f"/v1/events?{one}", f"/trpc/events.list?input={escaped}", f"/api/events?{pairs}"]
    headers = {f"x-{at}": "v" for at in range(scaled(5000, scale))}
    jobs = [partial(request, target.url, "GET", path, token=target.attacker) for path in paths]
    jobs.append(partial(request, target.url, "GET", "/v1/events", token=target.attacker, headers=headers))
    return lambda: in_turns(jobs)


def waiting_bodies(target: Target, scale: float) -> Strike:
    """Connections that send a large body without its last byte, and wait."""
    sent = b"x" * scaled(8 * MIB - 1, scale)
    contents = [
        head("POST", path, token, Content_Type="application/json", Content_Length=len(sent) + 1) + sent
        for token in (None, UNKNOWN, target.attacker)
        for path in ("/trpc/events.logBatch", "/v1/events", "/mcp")
    ]

    def strike() -> Outcomes:
        with open_connections(target.url, contents * scaled(20, scale)) as opened:
            time.sleep(5 * scale)
            return Outcomes("waits" if is_open(each) else "answered" for each in opened)

    return strike


def slow_heads(target: Target, scale: float) -> Strike:
    """Connections that never end their head, and sockets that never send a token."""
    upgrade = head(
        "GET",
        "/trpc?connectionParams=1",
        None,
        Connection="Upgrade",
        Upgrade="websocket",
        Sec_WebSocket_Version=13,
        Sec_WebSocket_Key="MDEyMzQ1Njc4OTAxMjM0NQ==",
    )
    unfinished = head("GET", "/healthz", None).removesuffix(b"\r\n") + b"X-A: "

    def strike() -> Outcomes:
        with open_connections(target.url, [unfinished, upgrade] * scaled(400, scale)) as opened:
            time.sleep(6 * scale)
            return Outcomes("waits" if is_open(each) else "answered" for each in opened)

    return strike


def streams_with_filters(target: Target, scale: float) -> Strike:
    """Streams whose filters search whole events, and large events."""
    wanted = {"OR": [{"data.title": {"contains": f"{'a' * 50}{at}"}} for at in range(98)]}
    stream = head("GET", query_path("events.stream", {"filter": wanted}), target.attacker, Accept="text/event-stream")
    client = target.client

    def strike() -> Outcomes:
        with open_connections(target.url, [stream] * scaled(100, scale)) as opened:
            time.sleep(1)
            for number in range(scaled(3, scale)):
                client.mutation("events.log", event(number, MIB - 1000))
            time.sleep(3 * scale)
            return Outcomes(map(status, opened))

    return strike


def nested_searches(target: Target, scale: float) -> Strike:
    """Searches that no index serves, over many connections of one workspace, while the neighbour searches too."""
    log_many(target, scaled(20_000, scale))
    some: dict[str, Any] = {"data.title": {"contains": "zz"}}
    for _ in range(2):
        some = {"children": {"some": some}, "parent": {"none": some}}
    ask = partial(request, target.url, "GET")
    hostile = partial(ask, query_path("events.list", {"filter": some}), token=target.attacker)
    modest_path = query_path("events.list", {"filter": {"data.title": {"contains": "zz"}}})
    modest = partial(ask, modest_path, token=target.neighbour)

    def strike() -> Outcomes:
        answered = Outcomes()
        jobs = [partial(_often, hostile, "attacker", scaled(4, scale), answered)] * 8
        at_once([*jobs, partial(_often, modest, "neighbour", scaled(40, scale), answered)])
        return answered

    return strike


def many_filters(target: Target, scale: float) -> Strike:
    """As many different filters as possible, whose plans the database may cache."""
    numbers = count()

    def ask() -> str:
        number = next(numbers)
        tests = [{f"data.f{number}_{at}": {"gt": at}} for at in range(10)]
        path = query_path("events.list", {"filter": {"OR": tests}})
        return request(target.url, "GET", path, token=target.attacker)

    def strike() -> Outcomes:
        before = backends_bytes(target)
        done = Outcomes()
        for _ in range(scaled(1500, scale) // 4):
            done += at_once([ask] * 4)
        return done + Outcomes({f"{(backends_bytes(target) - before) // MIB} MiB more in the database": 1})

    return strike


def webhook_tests(target: Target, scale: float) -> Strike:
    """Batches of `subscriptions.test` to a host that answers slowly."""
    calls = scaled(100, scale)
    client = target.client

    def strike() -> Outcomes:
        with receiving(answer_after_seconds=0.5) as receiver:
            wanted = {"webhookUrl": receiver.url, "eventTypes": ["never.logged"]}
            made = client.mutation("subscriptions.create", wanted)
            body = JSON({str(at): {"subscriptionId": made["subscriptionId"]} for at in range(calls)})
            path = f"/trpc/{','.join(['subscriptions.test'] * calls)}?batch=1"
            asked = partial(request, target.url, "POST", path, token=target.attacker, body=body)
            done = at_once([asked] * scaled(8, scale))
            return done + Outcomes({f"posts at once at most: {receiver.most}": 1})

    return strike


def idle_subscriptions(target: Target, scale: float) -> Strike:
    """No calls: a thousand workspaces with ten webhooks each, and no event."""
    subscribe_all(target, scaled(1000, scale), 10)

    def strike() -> Outcomes:
        seconds = max(10 * scale, 2)
        with target.connect() as connection:
            before = blocks(connection)
            time.sleep(seconds)
            return Outcomes({f"blocks in 2 s: {round((blocks(connection) - before) / seconds * 2):,}": 1})

    return strike


def large_pages(target: Target, scale: float) -> Strike:
    """Pages of events with large metadata, at the doors that have their own form of an event."""
    log_described(target, scaled(26, scale))
    paths = ("/v1/events?limit=100", "/api/events?limit=100", "/ledger/v1/events?limit=100")
    asked = partial(request, target.url, "GET", token=target.attacker)
    as_cloudevents = partial(asked, paths[0], headers={"accept": "application/cloudevents-batch+json"})
    jobs = [*(partial(asked, path) for path in paths), as_cloudevents]
    return lambda: in_turns(jobs * scaled(4, scale))


def compressed_bodies(target: Target, scale: float) -> Strike:
    """Small bodies that become large when they are decompressed, once or twice."""
    bomb = gzip.compress(b" " * scaled(200 * MIB, scale))
    jobs = []
    for body, coding in ((bomb, "gzip"), (gzip.compress(bomb), "gzip, gzip")):
        headers = {"content-encoding": coding}
        for path in ("/trpc/events.logBatch", "/v1/events"):
            post = partial(request, target.url, "POST", path, body=body, headers=headers)
            jobs += [partial(post, token=target.attacker), post]
    return lambda: at_once(jobs * scaled(5, scale))


def unknown_tokens(target: Target, scale: float) -> Strike:
    """Calls with unknown tokens, all different."""
    numbers = count()

    def ask() -> str:
        return request(target.url, "GET", "/trpc/events.list", token=f"{UNKNOWN}_{next(numbers)}")

    def strike() -> Outcomes:
        done = Outcomes()
        for _ in range(scaled(100, scale)):
            done += at_once([ask] * 32)
        return done

    return strike


ATTACKS: dict[str, Attack] = {
    attack.__name__.replace("_", "-"): attack
    for attack in (
        frames_without_token,
        frames_with_token,
        large_lists,
        large_bodies,
        large_heads,
        large_pages,
        compressed_bodies,
        unknown_tokens,
        waiting_bodies,
        slow_heads,
        streams_with_filters,
        nested_searches,
        many_filters,
        webhook_tests,
        idle_subscriptions,
    )
}


def _often(ask: Job, who: str, times: int, answered: Counter[str]) -> str:
    """Call `times` times, and count the answers by name."""
    for _ in range(times):
        answered[f"{who} {ask()}"] += 1
    return who
