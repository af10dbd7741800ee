"""Appending in one statement, if only this process appends to a log.

If a process finds a tip as it left it, it assumes that no other process appends to that log. It links the next group
behind that tip without a lock, and sends one statement, which is the whole transaction. The statement moves the tip
only if the tip still has the expected hash and key, no id that a caller sent is taken, and the clocks agree. If the tip
does not move, nothing is stored or counted. So other processes may append, rotate the key, erase, stop or delete the
log at any moment: then the group is appended under the lock (`commits.py`), which reads the current state. A process
that freezes holds no lock meanwhile.
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
        AND clock_timestamp() BETWEEN %(earliest)s AND %(latest)s
        AND NOT EXISTS (SELECT FROM {each_sql("id", "%(ids)s::uuid[]", columns="id", name="taken")})
    RETURNING counted
), stored_events AS ({insert_sql("moved, ")}
), stored_counts AS ({count_sql("moved, ", "WHERE moved.counted")}
), stored_producers AS ({count_producers_sql("moved, ", "WHERE moved.counted")}
)
SELECT counted FROM moved
"""
"""Returns a row if the tip moved. A statement that waited for the row's lock compares the hash again. If the hash is
the expected one, the statement's snapshot contains every event of the log, so it finds every id that is taken."""


def append_call(linker: Linker, ids: Iterable[UUID], around: dict[str, object]) -> Call:
    """The statement that stores the linked events behind the expected tip, unless one of the `ids` is taken.

    The database's clock must be between the times of `around`.
    """
    return APPEND, linker.whole() | {"expected": linker.behind.hash, "ids": uuid_array(ids)} | around


class Ends:
    """The tips that this process left, and the logs to which only this process seems to append."""

    def __init__(self) -> None:
        self._left: dict[str, Tip] = {}
        self._own: set[str] = set()
        self._is_supported = True

    def own(self, workspace: str) -> Tip | None:
        """The tip of a log to which only this process seems to append; None if others do."""
        return self._left[workspace] if workspace in self._own else None

    def left(self, workspace: str, tip: Tip, *, found: Tip, ids_are_new: bool = True) -> None:
        """Record that this process moved the tip of a log from `found` to `tip`.

        Only this process appends if it found the tip that it had left. Without `ids_are_new`, callers send events
        again, and may send more of them: linking them without the lock would be in vain.
        """
        is_own = self._is_supported and ids_are_new and self._left.get(workspace) == found
        self._left[workspace] = tip
        (self._own.add if is_own else self._own.discard)(workspace)

    def lost(self, workspace: str) -> None:
        """Record that the tip of a log may have changed."""
        self._own.discard(workspace)

    def give_up(self) -> None:
        """Record that the database rejects such a statement, as a distributed database may."""
        self._is_supported = False
        self._own.clear()
