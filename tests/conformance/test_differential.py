"""Our tRPC door answers each request as the official server does, except for what `refusals.py` lists."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from tests.conformance.exchange import Server, ask, check_refused
from tests.conformance.requests import PLAIN, SUPERJSON, Request


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

    if request.refused is not None:
        check_refused(ours.calls, request.refused)
        assert ours.status == request.refused.error[2]
        assert ours != expected, "the reference refuses it as well"
        return
    if request.read_as is not None:
        assert ours != expected, "the reference reads it as well"
        expected = ask(peers[1], replace(request, headers=request.read_as), superjson=superjson)
    if ours.status in request.or_status:
        return
    assert ours == expected
