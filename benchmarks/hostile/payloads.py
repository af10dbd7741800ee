"""The data that attackers send, and the events that they store first."""

from typing import Any
from urllib.parse import quote

import msgspec

from benchmarks.hostile.target import Target

MIB = 2**20
JSON = msgspec.json.encode


def scaled(number: int, scale: float) -> int:
    """`number` times `scale`, but at least 1."""
    return max(1, round(number * scale))


def inside(element: bytes, size: int) -> bytes:
    """An element repeated with commas, up to about `size` bytes."""
    return b",".join([element] * (size // (len(element) + 1)))


def array(element: bytes, size: int) -> bytes:
    """An array of about `size` bytes."""
    return b"[%b]" % inside(element, size)


def event(number: int, size: int) -> dict[str, Any]:
    """An event whose title has `size` characters."""
    return {"type": "call.ended", "source": "system", "data": {"title": f"{number} {'x' * size}"}}


def log_large(target: Target, number: int) -> None:
    """Store events of nearly a MiB."""
    for each in range(number):
        target.client.mutation("events.log", event(each, MIB - 500))


def log_described(target: Target, number: int) -> None:
    """Store events with nearly a MiB of metadata, in many members."""
    custom = {f"k{at}": {"of": at, "text": "x" * 20} for at in range(19_000)}
    for each in range(number):
        target.client.mutation("events.log", event(each, 10) | {"metadata": {"custom": custom}})


def log_many(target: Target, number: int) -> None:
    """Store small events."""
    client = target.client
    for start in range(0, number, 500):
        client.mutation("events.logBatch", {"events": [event(at, 20) for at in range(start, start + 500)]})


def head(method: str, path: str, token: str | None, **headers: object) -> bytes:
    """The head of a request."""
    given = {"Host": "a"} | ({} if token is None else {"Authorization": f"Bearer {token}"})
    lines = [f"{name.replace('_', '-')}: {value}" for name, value in (given | headers).items()]
    return "\r\n".join([f"{method} {path} HTTP/1.1", *lines, "", ""]).encode()


def batch_path(name: str, inputs: list[Any]) -> str:
    """The path and query of a batch of queries."""
    indexed = JSON({str(at): each for at, each in enumerate(inputs)}).decode()
    return f"/trpc/{','.join([name] * len(inputs))}?batch=1&input={quote(indexed)}"


def query_path(name: str, value: object) -> str:
    """The path and query of one query."""
    return f"/trpc/{name}?input={quote(JSON(value).decode())}"
