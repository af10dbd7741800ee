"""The windows of the rate limits: they count how many of a minute's calls the processes have leased."""

from msgspec import Struct

from app.store.postgres.database import Database

_IS_CURRENT = "held.start_seconds BETWEEN EXCLUDED.start_seconds AND EXCLUDED.start_seconds + %(length)s::bigint"
"""True if the stored window is the current one, or begins at most one length later."""

_LEFT = "greatest(%(limit)s::bigint - held.leased, 0)"
"""The calls of the window that nobody has leased."""

_SHARE = f"{_LEFT} * %(own)s::bigint / greatest(held.leased, 1) / 2"
"""The process's share of the remaining calls, in proportion to the `own` calls that it has leased, halved. So all
processes together get at most half of the remaining calls."""


def _grant(left: str, share: str) -> str:
    """SQL of the size of a lease.

    It is `wanted`, but at most a quarter of `left` and at most `share`; at least 1 if 1 is left.
    """
    return f"least(%(wanted)s::bigint, greatest(least({left} / 4, {share}), 1), {left})"


LEASE_CALLS = f"""
INSERT INTO rate_window AS held (workspace_id, kind, start_seconds, leased, lease)
VALUES (%(workspace)s, %(kind)s, floor(extract(epoch FROM now()) / %(length)s::bigint)::bigint * %(length)s::bigint,
    {_grant("%(limit)s::bigint", "%(limit)s::bigint")}, {_grant("%(limit)s::bigint", "%(limit)s::bigint")})
ON CONFLICT (workspace_id, kind) DO UPDATE SET
    start_seconds = CASE WHEN {_IS_CURRENT} THEN held.start_seconds ELSE EXCLUDED.start_seconds END,
    leased = CASE WHEN {_IS_CURRENT} THEN held.leased + {_grant(_LEFT, _SHARE)} ELSE EXCLUDED.leased END,
    lease = CASE WHEN {_IS_CURRENT} THEN {_grant(_LEFT, _SHARE)} ELSE EXCLUDED.lease END
RETURNING lease, leased, start_seconds + %(length)s::bigint
"""
"""Leases a part of the current window, by the database's clock. The current window's row replaces that of the window
before.

A statement that waited for the row's lock beyond the end of its window finds that the next window has begun, and does
not set it back. A window that begins even later was written by a wrong clock, and is replaced.
"""

GET_SECONDS = "SELECT extract(epoch FROM now())::float8"
"""The database's time at the start of the transaction, in seconds since 1970."""


class Lease(Struct, frozen=True):
    """A part of one window that belongs to one process. A second lease of the same window adds to the first."""

    size: int
    """How many calls it allows; 0 if nothing is left of the window."""
    leased: int
    """How many calls of the window all processes have leased now, this lease included."""
    reset: int
    """The window's end by the database's clock, in seconds since 1970."""
    seconds_left: float
    """The seconds from the database's start of the statement to the window's end."""


async def lease(
    database: Database, workspace: str, kind: str, *, limit: int, length: int, wanted: int, own: int
) -> Lease:
    """Lease at most `wanted` of the `limit` calls of `kind` in a window of `length` seconds. Raises Unavailable.

    `own` is what the process has leased of the newest window that it knows. The processes never lease more than
    `limit`. A lease is committed when it is returned. If its answer is lost, another lease is requested, and the first
    counts as used. No other caller's statement is in its round trip, because a failing one would undo the lease.
    """
    asked = {"workspace": workspace, "kind": kind, "limit": limit, "length": length, "wanted": wanted, "own": own}
    [(size, leased, reset)], [(begun,)] = await database.atomic([(LEASE_CALLS, asked), (GET_SECONDS, {})])
    return Lease(size=size, leased=leased, reset=reset, seconds_left=reset - begun)
