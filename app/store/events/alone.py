"""Appending in one statement, where this process alone appends to a log.

A process that found a tip as it had left it takes itself to be alone. It links the next group behind that tip without
a lock, and sends one statement, which is the whole transaction. The statement moves the tip only from the hash and the
key that were expected, and only if no id is taken that a caller sent; where nothing moved nothing is stored or counted.
So others may append, rotate the key, erase, stop or delete the log at any moment: then the group is appended under the
lock (`event_log.py`), which finds out what is there. A process that freezes holds nothing meanwhile.
"""

from collections.abc import Iterable
from uuid import UUID

from app.store.events.linker import Linker, Tip, count_producers_sql, count_sql, insert_sql
from app.store.postgres.pipe import Call, uuid_array
from app.store.postgres.walk import each_sql

APPEND = f"""
WITH moved AS (
    UPDATE event_tip SET seq = %(seq)s, hash = %(hash)s, recorded_at = %(recorded_at)s
    WHERE workspace_id = %(workspace)s AND hash = %(expected)s AND kid = %(kid)s AND lost_size IS NULL
        AND NOT EXISTS (SELECT FROM {each_sql("id", "%(ids)s::uuid[]", columns="id", name="taken")})
    RETURNING counted
), stored_events AS ({insert_sql("moved, ")}
), stored_counts AS ({count_sql("moved, ", "WHERE moved.counted")}
), stored_producers AS ({count_producers_sql("moved, ", "WHERE moved.counted")}
)
SELECT counted FROM moved
"""
"""Answers a row if the tip moved. A statement that waited for the row's lock compares the hash again; and while the
hash is the expected one, its snapshot has every event of the log, so no id that is taken escapes it."""


def append_call(linker: Linker, ids: Iterable[UUID]) -> Call:
    """The statement that stores what was placed behind the expected tip, unless one of the `ids` is taken."""
    return APPEND, linker.whole() | {"expected": linker.behind.hash, "ids": uuid_array(ids)}


class Ends:
    """Where this process left the logs, and at which of them it seems to be alone."""

    def __init__(self) -> None:
        self._left: dict[str, Tip] = {}
        self._own: set[str] = set()
        self._is_supported = True

    def own(self, workspace: str) -> Tip | None:
        """The end of a log at which this process seems to be alone."""
        return self._left[workspace] if workspace in self._own else None

    def left(self, workspace: str, tip: Tip, *, found: Tip, ids_are_new: bool = True) -> None:
        """Take note that this process moved the end of a log from what it `found` to `tip`.

        It is alone if it found what it had left. Unless `ids_are_new`, events are sent again, and more of them may be:
        it would link in vain.
        """
        is_own = self._is_supported and ids_are_new and self._left.get(workspace) == found
        self._left[workspace] = tip
        (self._own.add if is_own else self._own.discard)(workspace)

    def lost(self, workspace: str) -> None:
        """Take note that the end of a log may be another one."""
        self._own.discard(workspace)

    def give_up(self) -> None:
        """Take note that the database refuses such a statement, as a distributed one may."""
        self._is_supported = False
        self._own.clear()
