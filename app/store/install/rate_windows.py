"""The windows of the rate limits: how much of a minute's allowance the processes have leased."""

from msgspec import Struct

from app.store.postgres.database import Database

_IS_CURRENT = "held.start_seconds BETWEEN EXCLUDED.start_seconds AND EXCLUDED.start_seconds + %(length)s::bigint"
"""True if the stored window is the current one, or begins at most one length later."""

_LEFT = "greatest(%(limit)s::bigint - held.leased, 0)"
"""The calls of the window that nobody has leased."""

_SHARE = f"{_LEFT} * %(own)s::bigint / greatest(held.leased, 1) / 2"
"""Half of the share of what is left that a process which leased `own` so far gets. So all that wait get half of it
together."""


def _grant(left: str, share: str) -> str:
    """What is leased where `left` is left: what is wanted, at most a quarter and `share`; at least 1 if there is 1."""
    return f"least(%(wanted)s::bigint, greatest(least({left} / 4, {share}), 1), {left})"


LEASE_CALLS = f"""
INSERT INTO rate_window AS held (workspace_id, kind, start_seconds, leased, lease)
SELECT %(workspace)s, %(kind)s, floor(extract(epoch FROM now()) / %(length)s::bigint)::bigint * %(length)s::bigint,
    {_grant("%(limit)s::bigint", "%(limit)s::bigint")}, {_grant("%(limit)s::bigint", "%(limit)s::bigint")}
ON CONFLICT (workspace_id, kind) DO UPDATE SET
    start_seconds = CASE WHEN {_IS_CURRENT} THEN held.start_seconds ELSE EXCLUDED.start_seconds END,
    leased = CASE WHEN {_IS_CURRENT} THEN held.leased + {_grant(_LEFT, _SHARE)} ELSE EXCLUDED.leased END,
    lease = CASE WHEN {_IS_CURRENT} THEN {_grant(_LEFT, _SHARE)} ELSE EXCLUDED.lease END
RETURNING lease, leased, start_seconds + %(length)s::bigint,
    (start_seconds + %(length)s::bigint - extract(epoch FROM now()))::float8
"""
"""Lease a part of the current window of the database's clock, which takes the place of the one before it.

Who waited for the row over the end of a window finds the next one begun: a window that has just begun is never set
back. One that begins later than that was written by a clock that was wrong, and is replaced. What is assigned depends
on the row and on constants alone, so that the statement also distributes by workspace.
"""


class Lease(Struct, frozen=True):
    """A part of one window, for one process. A second lease of the same window adds to the first."""

    size: int
    """How many calls it lets pass; 0: nothing is left of the window."""
    leased: int
    """How much of the window is leased now, this lease included, by all processes."""
    reset: int
    """The window's end by the database's clock, in seconds since 1970."""
    seconds_left: float
    """From when the database began with the statement to the window's end."""


async def lease(
    database: Database, workspace: str, kind: str, *, limit: int, length: int, wanted: int, own: int
) -> Lease:
    """Lease at most `wanted` of the `limit` calls of `kind` that a window of `length` seconds has. Raises Unavailable.

    `own` is what the process has leased of the window so far (of the last one, where it knows of no newer).
    Never is more than `limit` leased. It is committed when answered; one whose answer was lost is asked for again,
    and the first counts as used. So it travels alone: a statement that fails would undo those that share its trip.
    """
    [(size, leased, reset, seconds_left)] = await database.rows_alone(
        LEASE_CALLS,
        {"workspace": workspace, "kind": kind, "limit": limit, "length": length, "wanted": wanted, "own": own},
    )
    return Lease(size=size, leased=leased, reset=reset, seconds_left=seconds_left)
