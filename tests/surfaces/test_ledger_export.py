"""Exports to a client that reads nothing."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import pytest

from app.surfaces.ledger.export import Download
from app.surfaces.shared.sending import SlowClientError
from procedures.context import Context
from procedures.ledger.export import export
from tests.store.opened import OWNER


def test_an_export_whose_client_takes_nothing_ends() -> None:
    ended: list[str] = []

    async def pieces() -> AsyncGenerator[bytes, None]:
        try:
            for _ in range(3):
                yield b"piece"
        finally:
            ended.append("pieces")

    async def stays() -> dict[str, Any]:
        return await asyncio.Future()

    async def takes_the_head(message: Any) -> None:
        if message["type"] == "http.response.body":
            await asyncio.Future()

    context = Context(services=None, principal=OWNER, workspace="w", request_id="r")  # type: ignore[arg-type] # not used
    download = Download(procedure=export, context=context, headers=[], pieces=pieces(), stalled_seconds=0.01)

    with pytest.raises(SlowClientError):
        asyncio.run(asyncio.wait_for(download({}, stays, takes_the_head), 30))  # type: ignore[arg-type]

    assert ended == ["pieces"]
