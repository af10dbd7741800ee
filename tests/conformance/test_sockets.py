"""Our WebSockets behave like those of the official server."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import chain

import pytest

from tests.conformance.exchange import Server, check_refused
from tests.conformance.scripts import (
    PLAIN,
    REFUSED,
    REFUSED_SUPERJSON,
    STOPS_BEYOND_THE_LIMIT,
    SUPERJSON,
    UNKNOWN_PLACES,
    Script,
)
from tests.conformance.sockets import Played, play

OPEN, OPEN_SUPERJSON = ([script for script in scripts if not script.closes] for scripts in (PLAIN, SUPERJSON))
CLOSED, CLOSED_SUPERJSON = ([script for script in scripts if script.closes] for scripts in (PLAIN, SUPERJSON))

AT_ONCE = 32
Both = tuple[Future[Played], Future[Played]]


@pytest.fixture(scope="session")
def refused(seeded: tuple[Server, Server], superjson_seeded: tuple[Server, Server]) -> Iterator[dict[str, Both]]:
    """The results of the scripts whose sockets the server closes, at our server and the reference.

    They run together, because each takes a while.
    """
    with ThreadPoolExecutor(AT_ONCE) as pool:

        def begun(script: Script, peers: tuple[Server, Server], *, superjson: bool) -> Both:
            ours, reference = peers
            return pool.submit(play, ours, script, superjson=superjson), pool.submit(
                play, reference, script, superjson=superjson
            )

        yield {
            **{script.id: begun(script, seeded, superjson=False) for script in CLOSED},
            **{script.id: begun(script, superjson_seeded, superjson=True) for script in CLOSED_SUPERJSON},
        }


def test_script_ids_are_unique() -> None:
    ids = Counter(script.id for script in chain(PLAIN, SUPERJSON, UNKNOWN_PLACES, REFUSED, REFUSED_SUPERJSON))

    assert [name for name, count in ids.items() if count > 1] == []


@pytest.mark.parametrize("script", OPEN, ids=lambda script: script.id)
def test_answers_like_the_reference(seeded: tuple[Server, Server], script: Script) -> None:
    ours, expected = (play(peer, script) for peer in seeded)

    _compare(script, ours, expected)


@pytest.mark.parametrize("script", OPEN_SUPERJSON, ids=lambda script: script.id)
def test_answers_like_the_reference_with_superjson(superjson_seeded: tuple[Server, Server], script: Script) -> None:
    ours, expected = (play(peer, script, superjson=True) for peer in superjson_seeded)

    _compare(script, ours, expected)


@pytest.mark.parametrize("script", [*CLOSED, *CLOSED_SUPERJSON], ids=lambda script: script.id)
def test_rejects_and_closes_like_the_reference(refused: dict[str, Both], script: Script) -> None:
    ours, expected = (played.result() for played in refused[script.id])

    _compare(script, ours, expected)


@pytest.mark.parametrize("script", UNKNOWN_PLACES, ids=lambda script: script.id)
def test_rejects_a_place_behind_which_the_reference_would_lose_events(
    seeded: tuple[Server, Server], script: Script
) -> None:
    ours, theirs = (play(peer, script) for peer in seeded)

    [[told]] = [step["1"] for step in ours.steps]
    assert told.error is not None
    assert told.error.error == (-32600, "BAD_REQUEST", 400)
    assert told.error.path == "events.stream"
    [[started]] = [step["1"] for step in theirs.steps]
    assert started.kind == "started"


@pytest.mark.parametrize("script", REFUSED, ids=lambda script: script.id)
def test_rejects_what_the_reference_takes(seeded: tuple[Server, Server], script: Script) -> None:
    ours, theirs = (play(peer, script) for peer in seeded)

    _check_refused(script, ours, theirs)


@pytest.mark.parametrize("script", REFUSED_SUPERJSON, ids=lambda script: script.id)
def test_rejects_what_the_reference_takes_with_superjson(
    superjson_seeded: tuple[Server, Server], script: Script
) -> None:
    ours, theirs = (play(peer, script, superjson=True) for peer in superjson_seeded)

    _check_refused(script, ours, theirs)


def test_hears_stops_beyond_the_limit_of_a_batch_that_the_reference_rejects(seeded: tuple[Server, Server]) -> None:
    ours, theirs = (play(peer, STOPS_BEYOND_THE_LIMIT) for peer in seeded)

    assert ours.steps[::2] == theirs.steps[::2]
    assert [told.kind for told in ours.steps[1]["1"]] == ["stopped"]
    [refusal] = theirs.steps[1]["null"]
    assert refusal.error is not None
    assert refusal.error.error == (-32600, "BAD_REQUEST", 400)


def _compare(script: Script, ours: Played, expected: Played) -> None:
    answered = [expected.count(place) for place in range(len(script.steps))]
    assert answered == [step.answers for step in script.steps], f"the script knows the reference: {expected}"
    assert expected.closed == script.closes, expected
    if script.or_error and all(told.kind == "error" for told in chain(*ours.steps[0].values())):
        assert ours.count(0) == expected.count(0), ours
        assert ours.steps[1:] == expected.steps[1:]
        return
    assert ours == expected


def _check_refused(script: Script, ours: Played, theirs: Played) -> None:
    errors = [told.error for told in chain(*ours.steps[0].values()) if told.error is not None]

    assert script.refused is not None
    assert len(errors) == ours.count(0) > 0, ours
    check_refused(errors, script.refused)
    assert "error" not in {told.kind for told in chain(*theirs.steps[0].values())}, theirs
