"""Exports of whole logs and of parts verify, whatever happens to the log while they are written."""

import asyncio
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import pytest

from app.ledger.keyring import Keyring
from app.ledger.verify import Verdict, verify_bundle
from app.store.audit.log import Act
from app.store.events.erasure import ErasureRequest
from app.store.install.install import connect
from app.store.install.rotation import rotate_key
from app.store.install.workspaces import create_workspace
from app.store.ledger.export import MAX_OPEN, PIECE_BYTES, PIECE_EVENTS, Export
from schemas.errors import InvalidInput, NotFound, RateLimited, Unavailable
from tests.kit.checks import check_log
from tests.kit.servers import cloned, until
from tests.store.opened import Store, draft, opened


@pytest.fixture
def own(postgres_url: str, template: str, tmp_path: Path) -> Iterator[Store]:
    """A store whose keys may change."""
    with cloned(postgres_url, template, "test_export_rotation") as url, opened(url, tmp_path) as store:
        yield store


def opened_export(store: Store, first: int | None = None, last: int | None = None, workspace: str = "") -> Export:
    """An open export that nobody has read yet."""
    export: Export = store.run(store.exports().open(workspace or store.workspace, first, last))
    return export


def read(store: Store, pieces: Any) -> bytes:
    """Read the rest of a text."""

    async def joined() -> bytes:
        return b"".join([piece async for piece in pieces])

    text: bytes = store.run(joined())
    return text


def verdict_on(text: bytes) -> Verdict:
    """The verdict on a text, which must verify."""
    verdict = verify_bundle(text)
    assert verdict.broken is None
    return verdict


def filled(store: Store, count: int) -> list[UUID]:
    """Append so many events, and return their ids."""
    starts = range(0, count, 1000)
    return [
        event.id
        for start in starts
        for event in store.append(*(draft(data={"n": n}) for n in range(start, min(start + 1000, count))))
    ]


def erase(store: Store, ids: Sequence[UUID]) -> None:
    """Erase these events."""

    def act(events: int, seq: int) -> Act:
        return Act.of("events.erased", "k", {"by": "ids", "events": events, "seq": seq}, [store.workspace])

    store.run(store.erasure().erase(store.workspace, ErasureRequest("ids", ids=ids), act))


def begun(store: Store, export: Export, pieces: int) -> tuple[bytes, Any]:
    """Read the first pieces of events. Returns them, and the iterator of the others."""
    rest = aiter(export)
    text = b"".join(store.run(anext(rest)) for _ in range(1 + pieces))
    return text, rest


@pytest.mark.parametrize("count", [0, 1, 2, PIECE_EVENTS - 1, PIECE_EVENTS, PIECE_EVENTS + 1, 2 * PIECE_EVENTS])
def test_an_export_is_the_whole_log(store: Store, count: int) -> None:
    filled(store, count)

    text = read(store, opened_export(store))

    verdict = verdict_on(text)
    assert (verdict.count, verdict.first_seq, verdict.last_seq) == (count, 0, count - 1)
    assert json.loads(text)["events"] == check_log(store.url, store.workspace)


def test_an_export_is_recognised_by_its_beginning(store: Store) -> None:
    filled(store, 3)

    export = opened_export(store, 1)

    assert (export.first, export.last) == (1, 2)
    bundle = json.loads(read(store, export))
    assert bundle["export_id"] == export.id
    assert [event["seq"] for event in bundle["events"]] == [1, 2]


REFUSED: dict[str, tuple[int, int | None, int | None, str]] = {
    "begins behind the end": (3, 3, None, "fromSeq"),
    "ends behind the end": (3, None, 3, "toSeq"),
    "begins and ends behind the end": (3, 7, 9, "fromSeq"),
    "ends before it begins": (3, 2, 1, "toSeq"),
    "the first of none": (0, None, 0, "toSeq"),
    "behind none": (0, 1, None, "fromSeq"),
}


@pytest.mark.parametrize(("count", "first", "last", "field"), REFUSED.values(), ids=list(REFUSED))
def test_a_part_that_the_log_does_not_have_is_rejected(
    store: Store, count: int, first: int | None, last: int | None, field: str
) -> None:
    filled(store, count)

    with pytest.raises(InvalidInput) as refused:
        opened_export(store, first, last)

    assert [issue.path for issue in refused.value.issues] == [field]


def test_a_log_that_is_not_there_is_not_found(store: Store) -> None:
    with pytest.raises(NotFound):
        opened_export(store, workspace="nosuch")


def test_without_the_signing_key_nothing_is_begun(store: Store, tmp_path: Path) -> None:
    filled(store, 3)

    with pytest.raises(Unavailable):
        store.run(store.exports(Keyring(tmp_path / "node.key")).open(store.workspace, None, None))


def test_events_that_come_meanwhile_are_not_in_it(store: Store) -> None:
    filled(store, 2 * PIECE_EVENTS)
    text, rest = begun(store, opened_export(store), 1)

    filled(store, 10)
    text += read(store, rest)

    assert verdict_on(text).last_seq == 2 * PIECE_EVENTS - 1


@pytest.mark.parametrize("place", [0, 2 * PIECE_EVENTS, 3 * PIECE_EVENTS - 1], ids=["behind it", "ahead", "at its end"])
def test_a_bundle_never_has_an_erasure_and_what_it_erased(store: Store, place: int) -> None:
    """A body that was sent stays in the bundle, and a later one is missing.

    In neither case does the bundle contain the event that reports the erasure.
    """
    ids = filled(store, 3 * PIECE_EVENTS)
    text, rest = begun(store, opened_export(store), 1)

    filled(store, 5)
    erase(store, [ids[place]])
    filled(store, 5)
    text += read(store, rest)

    verdict = verdict_on(text)
    missing = [place] if place else []
    assert (verdict.last_seq, verdict.unconfirmed, verdict.kept) == (3 * PIECE_EVENTS - 1, missing, [])
    assert verdict.checkpoint is not None
    assert verdict.checkpoint.size == 3 * PIECE_EVENTS + 11
    assert [event["seq"] for event in json.loads(text)["events"] if event.get("erased")] == missing
    behind = json.loads(read(store, opened_export(store, verdict.last_seq + 1)))
    assert behind["events"][5]["payload"]["erased"][0]["seq"] == place
    assert verdict_on(read(store, opened_export(store))).unconfirmed == []


def test_an_erasure_meanwhile_is_unconfirmed_in_a_part(store: Store) -> None:
    ids = filled(store, 2 * PIECE_EVENTS + 1)
    text, rest = begun(store, opened_export(store, 0, 2 * PIECE_EVENTS), 1)

    erase(store, [ids[-1]])
    text += read(store, rest)

    verdict = verdict_on(text)
    assert (verdict.last_seq, verdict.unconfirmed) == (2 * PIECE_EVENTS, [2 * PIECE_EVENTS])
    assert verdict.checkpoint is not None
    assert verdict.checkpoint.size == 2 * PIECE_EVENTS + 2


@pytest.mark.parametrize("first", [None, 10])
@pytest.mark.parametrize("last", [None, 2 * PIECE_EVENTS - 1])
def test_a_change_of_keys_meanwhile(own: Store, first: int | None, last: int | None) -> None:
    filled(own, 2 * PIECE_EVENTS)
    text, rest = begun(own, opened_export(own, first, last), 1)

    with connect(own.url) as connection:
        rotate_key(connection, own.keys)
    filled(own, 3)
    text += read(own, rest)

    verdict = verdict_on(text)
    assert verdict.first_seq == (first or 0)
    assert verdict.last_seq == 2 * PIECE_EVENTS - 1
    assert len(json.loads(text)["keys"]) == (1 if last is None else 2)


def test_exports_around_changes_of_keys(own: Store) -> None:
    filled(own, 5)
    with connect(own.url) as connection:
        rotate_key(connection, own.keys)
        assert verdict_on(read(own, opened_export(own))).last_seq == 5
        filled(own, 5)
        rotate_key(connection, own.keys)
        create_workspace(connection, "late", own.keys)
    filled(own, 5)

    for first in (None, 3, 5, 6, 11, 12):
        for last in (None, 4, 5, 6, 10, 11, 12):
            if last is None or last >= (first or 0):
                bundle = json.loads(read(own, opened_export(own, first, last)))
                verdict = verdict_on(msgspec.json.encode(bundle))
                assert verdict.last_seq == (16 if last is None else last)
                assert len(bundle["keys"]) == 3
    late = json.loads(read(own, opened_export(own, workspace="late")))
    assert [event["type"] for event in late["events"]] == ["synap.key.rotated"]
    assert verdict_on(msgspec.json.encode(late)).breaks == []


def test_several_exports_at_once_of_several_logs(store: Store) -> None:
    filled(store, PIECE_EVENTS + 10)
    store.append(*(draft() for _ in range(20)), workspace=store.other)
    makes = store.exports()

    async def text(workspace: str, first: int) -> bytes:
        export = await makes.open(workspace, first, None)
        return b"".join([piece async for piece in export])

    async def texts() -> list[bytes]:
        logs = (store.workspace, store.other)
        return await asyncio.gather(*(text(workspace, first) for first in range(5) for workspace in logs))

    verdicts = [verdict_on(text) for text in store.run(texts())]

    counts = [count - first for first in range(5) for count in (PIECE_EVENTS + 10, 20)]
    assert [verdict.count for verdict in verdicts] == counts


def test_a_workspace_has_a_bounded_number_of_exports_under_way(store: Store) -> None:
    filled(store, 3)
    makes = store.exports()
    under_way = [store.run(makes.open(store.workspace, None, None)) for _ in range(MAX_OPEN)]

    with pytest.raises(RateLimited, match="retry when one of them has ended") as refused:
        store.run(makes.open(store.workspace, None, None))

    assert refused.value.retry_after_seconds > 1
    store.run(makes.open(store.other, None, None))
    under_way.pop()
    assert verdict_on(read(store, store.run(makes.open(store.workspace, None, None)))).count == 3


def test_pieces_are_bounded_by_bytes_too(store: Store) -> None:
    size = PIECE_BYTES // 8
    for _ in range(3):
        store.append(*(draft(data={"text": "x" * size}) for _ in range(10)))
    store.append(draft(data={"text": "x" * (PIECE_BYTES + 1)}), draft())

    async def sizes() -> list[int]:
        return [len(piece) async for piece in export]

    export = opened_export(store)
    found = store.run(sizes())

    assert max(found) < PIECE_BYTES + 2000, "a larger event is a piece of its own"
    assert len(found) >= 6
    assert verdict_on(read(store, opened_export(store))).count == 32


def test_an_export_that_nobody_reads_to_the_end_leaves_nothing_running(store: Store) -> None:
    filled(store, 3 * PIECE_EVENTS)

    async def tasks() -> set[Any]:
        return {task for task in asyncio.all_tasks() if task is not asyncio.current_task()}

    async def left() -> None:
        rest: Any = aiter(export)
        await anext(rest)
        await anext(rest)
        assert len(await tasks() - before) == 1, "one task reads the next piece meanwhile"
        await rest.aclose()

    export = opened_export(store)
    before = store.run(tasks())
    store.run(left())

    until(lambda: not store.run(tasks()) - before)  # a running read ends by itself
    assert verdict_on(read(store, opened_export(store))).count == 3 * PIECE_EVENTS
