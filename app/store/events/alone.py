"""Appending in one statement, if only this process appends to a log.

If a process finds a tip several times as it left it, it assumes that no other process appends to that log. It links the
next group behind that tip without a lock, and sends one statement, which is the whole transaction. The statement moves
the tip only if the tip still has the expected hash and key, no id that a caller sent is taken, and the clocks agree. If
the tip does not move, nothing is stored or counted. So other processes may append, rotate the key, erase, stop or
delete the log at any moment: then the group is appended under the lock (`commits.py`), which reads the current state. A
process that freezes holds no lock meanwhile.
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
    return APPEND, linker.whole | {"expected": linker.behind.hash, "ids": uuid_array(ids)} | around


ALONE_AFTER = 8
"""The number of groups in a row that must find the tip as this process left it. While others append too, a process that
links without the lock often links in vain."""


class Ends:
    """The tips that this process left, and the logs to which one statement can append."""

    def __init__(self) -> None:
        self._left: dict[str, Tip] = {}
        self._in_a_row: dict[str, int] = {}
        """How many groups this process appended to a log since it last found another process's events there."""
        self._repeated: set[str] = set()
        """The logs to which callers send events again."""

    def own(self, workspace: str, groups: int = ALONE_AFTER) -> Tip | None:
        """The tip of a log to which only this process seems to append, after so many groups; None if others do."""
        is_own = self.suffices(workspace) and self._in_a_row.get(workspace, 0) >= groups
        return self._left[workspace] if is_own else None

    def suffices(self, workspace: str) -> bool:
        """Whether one statement can store a group. It cannot if callers send events again."""
        return workspace not in self._repeated

    def left(self, workspace: str, tip: Tip, *, found: Tip, ids_are_new: bool = True) -> None:
        """Record that this process moved the tip of a log from `found` to `tip`.

        Without `ids_are_new`, callers send events again, and may send more of them: one statement would be in vain.
        """
        self._in_a_row[workspace] = self._in_a_row.get(workspace, 0) + 1 if self._left.get(workspace) == found else 0
        self._left[workspace] = tip
        (self._repeated.discard if ids_are_new else self._repeated.add)(workspace)

    def lost(self, workspace: str, *, ids_are_new: bool = True) -> None:
        """Record that the tip of a log may have changed; without `ids_are_new`, that instead an id may be taken."""
        self._in_a_row[workspace] = 0
        if not ids_are_new:
            self._repeated.add(workspace)
