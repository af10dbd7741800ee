"""A door that is reached without the framework answers like one that is reached through it."""

import asyncio
from typing import Any

import httpx
import pytest
from litestar import Litestar, asgi, get
from litestar.config.cors import CORSConfig
from litestar.types import Receive, Scope, Send

from app.server.shortcut import Shortcut
from app.surfaces.shared.edge import Edge, last_handlers

ORIGIN = "https://pages.example"


@asgi("/door", is_mount=True, door="mine")
async def door(scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG001 - the framework looks for all three
    """A door that reports whether it was reached through the framework, and fails on request."""
    if scope["path"].strip("/").endswith("broken"):
        raise RuntimeError("as asked")
    way = b"framework" if "litestar_app" in scope else b"shortcut"
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(way))]})
    await send({"type": "http.response.body", "body": way, "more_body": False})


@get("/other")
async def other() -> str:
    """Another route."""
    return "other"


def asked(path: str, *, origins: list[str] | None = None, **headers: str) -> httpx.Response:
    """Call an application that has the door and another route."""
    cors = None if origins is None else CORSConfig(allow_origins=origins)
    app: Any = Litestar(
        [door, other], cors_config=cors, exception_handlers=last_handlers({}), openapi_config=None, logging_config=None
    )
    edge: Any = Edge(Shortcut(app, "/door"), lambda _: False, app.exception_handlers[Exception])

    async def ask() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(edge), base_url="http://here") as client:
            return await client.get(path, headers=headers)

    return asyncio.run(ask())


@pytest.mark.parametrize(
    ("path", "origins", "headers", "text"),
    [
        ("/door/call", None, {}, "shortcut"),
        ("/door/call", None, {"origin": ORIGIN}, "shortcut"),
        ("/door/call", [ORIGIN], {}, "shortcut"),
        ("/door/call", [ORIGIN], {"origin": ORIGIN}, "framework"),
        ("/door", None, {}, "framework"),
        ("/other", None, {}, "other"),
    ],
    ids=["below the mount", "no CORS", "no origin", "an origin", "the mount itself", "another route"],
)
def test_a_door_is_reached_by_the_shortest_way(
    path: str, origins: list[str] | None, headers: dict[str, str], text: str
) -> None:
    answer = asked(path, origins=origins, **headers)

    assert answer.text == text
    assert answer.headers["cache-control"] == "no-store"
    assert ("access-control-allow-origin" in answer.headers) == (text == "framework" and origins is not None)


@pytest.mark.parametrize("origins", [None, [ORIGIN]], ids=["shortcut", "framework"])
def test_a_door_that_fails_is_answered_for_on_either_way(origins: list[str] | None) -> None:
    answer = asked("/door/broken", origins=origins, origin=ORIGIN, **{"x-request-id": "mine-1"})

    assert answer.status_code == 500
    assert answer.json()["error"]["code"] == "internal"
    assert answer.headers["x-request-id"] == "mine-1"
    assert answer.headers["x-content-type-options"] == "nosniff"
