"""Which of two ids an event with an idempotency key gets: the secret one, or the one that earlier versions gave it.

A server of an earlier version gives an event an id that anyone can compute (the former id). Two servers of one database
must give a retry the same id. So servers write the former id until `install.idempotency_since` is set, which happens
when no server of an earlier version is connected. From then on an event gets the secret id, unless it was stored under
its former id before that instant.

Appends read this instant under the lock on the log's tip, and it is set under the locks on all tips. So each append is
either before it or after it, and no retry is stored twice.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from uuid import UUID

from msgspec.structs import replace

from app.ledger.draft import Draft
from app.store.events.linker import recorded_at
from app.store.postgres.pipe import Row

GET_IDEMPOTENCY_SINCE = "SELECT idempotency_since FROM install"
"""The time from which ids depend on the install secret."""


def former_ids(calls: Iterable[Sequence[Draft]]) -> set[UUID]:
    """The former ids of all drafts that have one."""
    return {draft.former_id for drafts in calls for draft in drafts if draft.former_id is not None}


def with_ids(drafts: Sequence[Draft], since: datetime | None, stored: Mapping[UUID, Row]) -> Sequence[Draft]:
    """The drafts with the ids under which they are stored. `stored` contains rows of `FIND_STORED` by id."""
    return [_with_id(draft, since, stored) for draft in drafts]


def _with_id(draft: Draft, since: datetime | None, stored: Mapping[UUID, Row]) -> Draft:
    if draft.former_id is None:
        return draft
    row = stored.get(draft.former_id)
    is_former = since is None or (row is not None and recorded_at(row) <= since)
    return replace(draft, id=draft.former_id) if is_former else draft
