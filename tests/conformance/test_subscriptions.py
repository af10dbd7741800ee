"""Our subscriptions by server-sent events behave like those of the official server."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from tests.conformance.events import Heard, listen
from tests.conformance.exchange import Answer, Call, Server, check_refused
from tests.conformance.subscriptions import PLAIN, SUPERJSON, UNKNOWN_PLACES, Subscription


def test_subscription_ids_are_unique() -> None:
    ids = Counter(subscription.id for subscription in (*PLAIN, *SUPERJSON, *UNKNOWN_PLACES))

    assert [name for name, count in ids.items() if count > 1] == []


@pytest.mark.parametrize("subscription", PLAIN, ids=lambda subscription: subscription.id)
def test_streams_like_the_reference(seeded: tuple[Server, Server], subscription: Subscription) -> None:
    _compare(seeded, subscription, superjson=False)


@pytest.mark.parametrize("subscription", SUPERJSON, ids=lambda subscription: subscription.id)
def test_streams_like_the_reference_with_superjson(
    superjson_seeded: tuple[Server, Server], subscription: Subscription
) -> None:
    _compare(superjson_seeded, subscription, superjson=True)


@pytest.mark.parametrize("subscription", UNKNOWN_PLACES, ids=lambda subscription: subscription.id)
def test_rejects_a_place_behind_which_the_reference_would_lose_events(
    seeded: tuple[Server, Server], subscription: Subscription
) -> None:
    ours, theirs = (listen(peer, subscription) for peer in seeded)

    assert isinstance(ours, Heard)
    assert isinstance(theirs, Heard)
    assert [said.name for said in ours.said] == ["connected", "serialized-error"]
    assert ours.error == (-32600, "BAD_REQUEST", 400)
    assert ours.ended
    assert [said.name for said in theirs.said] == ["connected", "message"]
    assert replace(ours, said=theirs.said, ended=theirs.ended) == theirs


def _compare(peers: tuple[Server, Server], subscription: Subscription, *, superjson: bool) -> None:
    ours, expected = (listen(peer, subscription, superjson=superjson) for peer in peers)

    if subscription.refused is not None:
        check_refused(_failures(ours), subscription.refused)
        assert isinstance(expected, Heard)
        assert expected.error is None, "the reference refuses it as well"
        return
    if isinstance(ours, Answer) and ours.status in subscription.or_status:
        return
    assert ours == expected


def _failures(told: Heard | Answer) -> tuple[Call, ...]:
    """The errors of a subscription, before its stream or at the end of it."""
    if isinstance(told, Answer):
        assert [told.status] == [call.error[2] for call in told.calls if call.error]
        return told.calls
    assert told.ended
    assert [said.name for said in told.said] == ["connected", "serialized-error"]
    return (told.failure,) if told.failure else ()
