"""A body that arrives slowly, or not at all."""

import asyncio
from typing import Any

import pytest
from litestar.types import Receive

from app.capacity.bodies import Bodies
from app.surfaces.shared.body import FREE_BYTES, Body
from schemas.errors import InvalidInput, PayloadTooLarge, ProcedureError, TimedOut, Unavailable

MIB = 2**20


def receiving(*pieces: bytes, ends: bool) -> Receive:
    """A client that sends these pieces, and then either ends the body or goes silent."""
    left = list(pieces)

    async def receive() -> Any:
        if not left:
            await asyncio.Event().wait()
        piece = left.pop(0)
        return {"type": "http.request", "body": piece, "more_body": bool(left) or not ends}

    return receive


async def _outcome(receive: Receive, length: int | None, bodies: Bodies) -> bytes | type[ProcedureError]:
    headers = {} if length is None else {b"content-length": b"%d" % length}
    with bodies.room("key") as room:
        try:
            return await Body(receive, headers, MIB, room, seconds=0.05).content()
        except ProcedureError as error:
            return type(error)


@pytest.mark.parametrize(
    ("receive", "length", "outcome"),
    [
        (receiving(b"a", b"b", ends=True), 2, b"ab"),
        (receiving(b"a", ends=False), 2, TimedOut),
        (receiving(ends=False), None, TimedOut),
        (receiving(b"x" * MIB, b"x", ends=True), None, PayloadTooLarge),
        (receiving(ends=False), MIB + 1, PayloadTooLarge),
    ],
    ids=["in pieces", "silent in the middle", "silent at once", "too large", "declared too large"],
)
def test_a_body_is_awaited_for_a_while(receive: Receive, length: int | None, outcome: object) -> None:
    assert asyncio.run(_outcome(receive, length, Bodies())) == outcome


@pytest.mark.parametrize("length", [MIB, None], ids=["declared", "chunked"])
def test_a_body_without_room_is_rejected(length: int | None) -> None:
    async def second() -> object:
        bodies = Bodies(MIB, MIB, patience_seconds=0.01)
        with bodies.room("other") as room:
            await room.take(MIB)
            return await _outcome(receiving(b"x" * (FREE_BYTES + 1), b"x", ends=True), length, bodies)

    assert asyncio.run(second()) is Unavailable


def test_a_small_body_needs_no_room() -> None:
    async def second() -> object:
        bodies = Bodies(MIB, MIB, patience_seconds=0.01)
        with bodies.room("other") as room:
            await room.take(MIB)
            return await _outcome(receiving(b"x" * FREE_BYTES, ends=True), FREE_BYTES, bodies)

    assert asyncio.run(second()) == b"x" * FREE_BYTES


def test_a_client_that_leaves_within_its_body_is_noticed() -> None:
    async def receive() -> Any:
        return {"type": "http.disconnect"}

    assert asyncio.run(_outcome(receive, 2, Bodies())) is InvalidInput
