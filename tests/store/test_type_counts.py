"""The types of a log: their counts and their newest events, compared with a naive count."""

from typing import Any
from uuid import UUID

import pytest

from app.store.audit.log import Act
from app.store.events.erasure import ErasureRequest
from app.store.events.type_counts import MAX_COUNTED_EVENTS, MAX_WALKED_EVENTS, TypeCounts
from schemas.event_types import TypePage
from tests.store.corpus import USERS, WORKSPACES, Corpus
from tests.store.opened import Store, draft
from tests.store.states import fill


def types(
    store: Store, *, workspace: str = "", prefix: str = "", after: str = "", limit: int = 1000, user: str | None = None
) -> TypePage:
    """Read one page."""
    page: TypePage = store.run(
        TypeCounts(store.database).page(workspace or store.workspace, prefix, after, limit, user)
    )
    return page


def counts(page: TypePage) -> dict[str, int]:
    """The counts of a page, by type."""
    return {each.type: each.count for each in page.types}


@pytest.mark.parametrize("workspace", WORKSPACES)
@pytest.mark.parametrize("user", [None, *USERS, "u3"])
@pytest.mark.parametrize("prefix", ["", "a", "a.", "A", "a-b.0", "nosuch"])
def test_types_equal_a_plain_count(corpus: Corpus, workspace: str, user: str | None, prefix: str) -> None:
    events = corpus.matching(workspace, {}, user)
    expected: dict[str, list[Any]] = {}
    for event in events:  # newest first
        if event["type"].startswith(prefix):
            expected.setdefault(event["type"], []).append(event["at"])

    page = types(corpus.store, workspace=workspace, prefix=prefix, user=user)

    assert counts(page) == {type_: len(expected[type_]) for type_ in sorted(expected)}
    assert list(counts(page)) == sorted(expected)
    assert [each.last_at for each in page.types] == [
        f"{expected[t][0]:%Y-%m-%dT%H:%M:%S.%fZ}" for t in sorted(expected)
    ]
    assert (page.exact, page.has_more) == (True, False)


@pytest.mark.parametrize("user", [None, "u1"])
def test_pages_have_every_type_once(corpus: Corpus, user: str | None) -> None:
    whole = types(corpus.store, user=user)
    pages = [types(corpus.store, user=user, limit=7)]
    while pages[-1].has_more:
        pages.append(types(corpus.store, user=user, limit=7, after=pages[-1].types[-1].type))

    assert [each for page in pages for each in page.types] == whole.types
    assert all(len(page.types) == 7 for page in pages[:-1])


def test_an_empty_log_has_no_types(store: Store) -> None:
    for user in (None, "u1"):
        assert types(store, user=user) == TypePage(types=[], exact=True, has_more=False)


def test_erased_events_count_but_for_no_user(store: Store) -> None:
    events = store.append(*[draft("note.created", user_id="ann", metadata={"custom": {}})] * 2, draft("note.read"))

    def act(_events: int, _seq: int) -> Act:
        return Act.of("events.erased", "k", {}, [store.workspace])

    erase = ErasureRequest("ids", ids=[UUID(str(events[0].id))])
    store.run(store.erasure().erase(store.workspace, erase, act))

    assert counts(types(store, prefix="note.")) == {"note.created": 1, "note.read": 1}
    assert counts(types(store)) == {"note.created": 1, "note.read": 1, "synap.event.erased": 1}
    assert counts(types(store, user="ann")) == {}


def test_a_log_that_does_not_count_its_types_counts_some_events_of_each(store: Store) -> None:
    last = MAX_WALKED_EVENTS + 500
    fill(store.url, 0, last, workspaces=[store.workspace])

    page = types(store, prefix="common.")
    rare = types(store, prefix="rare.")
    first = types(store, limit=1)

    assert counts(page) == {f"common.type{n}": MAX_COUNTED_EVENTS for n in range(3)}
    assert (page.exact, page.has_more) == (False, False)
    assert counts(rare) == {"rare.done": last // 250}
    assert rare.exact
    assert (list(counts(first)), first.has_more) == (["common.type0"], True)
    assert types(store, after="common.type2") == rare
    assert types(store, prefix="s") == TypePage(types=[], exact=True, has_more=False)


def test_of_one_users_events_the_newest_are_looked_through(store: Store) -> None:
    fill(store.url, 0, MAX_WALKED_EVENTS + 500, workspaces=[store.workspace])

    page = types(store, user="common")

    assert counts(page).keys() == {f"common.type{n}" for n in range(3)}
    assert sum(counts(page).values()) == MAX_WALKED_EVENTS
    assert not page.exact
    assert types(store, user="common", prefix="no") == TypePage(types=[], exact=False, has_more=False)
    assert types(store, user="rare").exact
