"""However much work a request is, it is answered in time, and so are all others meanwhile."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import msgspec
import pytest

from tests.kit.servers import Server, cloned, serving
from tests.properties.door import Door

WORK_SECONDS = 2
"""How much processor time the server may use while another caller waits. The wait itself depends on the machine's
load."""


@pytest.fixture(scope="module")
def patient(postgres_url: str, template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A separate server, because one that fails here is busy for a long time."""
    with (
        cloned(postgres_url, template, "test_patience") as url,
        serving(tmp_path_factory.mktemp("patience"), database_url=url, transformer="superjson") as server,
    ):
        yield server


def _event(data: bytes = b"{}", metadata: bytes = b"{}") -> bytes:
    return b'{"type":"a.b","data":%b,"metadata":%b}' % (data, metadata)


def _list(item: bytes, times: int) -> bytes:
    return b'{"list":[%b]}' % b",".join([item] * times)


def _steps(times: int) -> bytes:
    return b'{"ai":{"agent":"a","reasoning":{"steps":[%b]}}}' % b",".join([b"{}"] * times)


def _floats(first: int) -> bytes:
    return b'{"list":[%b]}' % b",".join(b"%d.5e-7" % number for number in range(first, first + 70_000))


def _batch(*events: bytes) -> bytes:
    return b'{"json":{"events":[%b]}}' % b",".join(events)


def _one(event: bytes) -> bytes:
    return b'{"json":%b}' % event


def _doubling(levels: int) -> bytes:
    """A small input in which each level contains the level below it twice."""
    data: dict[str, Any] = {"level0": "x"}
    equal = {}
    for level in range(1, levels):
        data[f"level{level}"] = [None, None]
        equal[f"data.level{level - 1}"] = [f"data.level{level}.0", f"data.level{level}.1"]
    return msgspec.json.encode({"json": {"type": "a.b", "data": data}, "meta": {"referentialEqualities": equal}})


DEEP = b"[" * 60 + b"]" * 60

ASTRAL = '{"\U0001f600":[%b]}'.encode()

REQUESTS: dict[str, tuple[str, Callable[[], bytes], set[int]]] = {
    "small values beyond the BMP": (
        "events.logBatch",
        lambda: _batch(*[_event(ASTRAL % _list(b"1", 300_000))] * 7),
        {200},
    ),
    "different fractions": ("events.logBatch", lambda: _batch(*(_event(_floats(n * 70_000)) for n in range(7))), {200}),
    "an event of 8 MB beyond the BMP": ("events.log", lambda: _one(_event(ASTRAL % _list(b"1", 3_900_000))), {413}),
    "two million wrong steps": ("events.log", lambda: _one(_event(metadata=_steps(2_000_000))), {400, 413}),
    "wrong steps in a batch": ("events.logBatch", lambda: _batch(*[_event(metadata=_steps(300_000))] * 7), {400}),
    "unsafe numbers": ("events.log", lambda: _one(_event(_list(b"1e16", 1_500_000))), {400, 413}),
    "unsafe numbers in a batch": ("events.logBatch", lambda: _batch(*[_event(_list(b"1e16", 200_000))] * 7), {400}),
    "deep arrays side by side": ("events.log", lambda: _one(_event(_list(DEEP, 60_000))), {400, 413}),
    "deep arrays in a batch": ("events.logBatch", lambda: _batch(*[_event(_list(DEEP, 8_000))] * 2), {200}),
    "what superjson repeats": ("events.log", lambda: _doubling(22), {400, 413}),
}


@pytest.mark.parametrize(("name", "content", "statuses"), REQUESTS.values(), ids=list(REQUESTS))
def test_a_slow_request_delays_nobody(
    patient: Server, name: str, content: Callable[[], bytes], statuses: set[int]
) -> None:
    door, worked = Door(patient, superjson=True, seconds=120), []

    with ThreadPoolExecutor(1) as pool, httpx.Client(base_url=patient.url, timeout=120) as other:
        answering = pool.submit(door.post, name, content())
        while not answering.done():
            before = patient.processor_seconds()
            assert other.get("/healthz").status_code == 200
            worked.append(patient.processor_seconds() - before)
            time.sleep(0.2)  # each look costs processor time, and a delay of seconds is seen anyway

    assert answering.result().status in statuses
    assert max(worked, default=0.0) < WORK_SECONDS  # empty if it was answered before anybody could wait
