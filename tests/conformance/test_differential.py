"""Our tRPC door answers each request as the official server does."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.conformance.exchange import Server, ask
from tests.conformance.requests import PLAIN, SEED, SUPERJSON, Request, post, wrapped


@pytest.fixture(scope="session")
def seeded(server: Server, reference: Server) -> tuple[Server, Server]:
    """Ours and the reference, both with the event that the requests ask for."""
    for peer in (server, reference):
        assert ask(peer, post("seed", "/events.log", SEED)).status == 200
    return server, reference


@pytest.fixture(scope="session")
def superjson_seeded(superjson_server: Server, superjson_reference: Server) -> tuple[Server, Server]:
    """The same for superjson."""
    for peer in (superjson_server, superjson_reference):
        assert ask(peer, post("seed", "/events.log", wrapped(SEED)), superjson=True).status == 200
    return superjson_server, superjson_reference


@pytest.mark.parametrize("requests", [PLAIN, SUPERJSON], ids=["plain", "superjson"])
def test_request_ids_are_unique(requests: tuple[Request, ...]) -> None:
    ids = Counter(request.id for request in requests)

    assert [name for name, count in ids.items() if count > 1] == []


@pytest.mark.parametrize("request_", PLAIN, ids=lambda request: request.id)
def test_answers_like_the_reference(seeded: tuple[Server, Server], request_: Request) -> None:
    _compare(seeded, request_, superjson=False)


@pytest.mark.parametrize("request_", SUPERJSON, ids=lambda request: request.id)
def test_answers_like_the_reference_with_superjson(superjson_seeded: tuple[Server, Server], request_: Request) -> None:
    _compare(superjson_seeded, request_, superjson=True)


def _compare(peers: tuple[Server, Server], request: Request, *, superjson: bool) -> None:
    ours, expected = (ask(peer, request, superjson=superjson) for peer in peers)

    if ours.status in request.or_status:
        return
    assert ours == expected
