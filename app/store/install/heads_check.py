"""Checks what `_node` says about the other logs, for `synap doctor`. Nothing here changes the database."""

from collections.abc import Iterator
from itertools import groupby

import msgspec
import psycopg
from msgspec import Struct

from app.ledger.chain import NODE_LOG, TREE_HEADS_TYPE
from app.ledger.heads import Head, root_of, said
from app.store.install.inspection import log_size, tree
from app.store.ledger.heads import HAS_HEADS

COUNT_HEADS = f"SELECT count(*) FROM event WHERE workspace_id = '{NODE_LOG}' AND type = '{TREE_HEADS_TYPE}'"
"""How many events anchor logs."""

LIST_HEADS = f"""
SELECT coalesce(event.seq, leaf.seq), event.data, leaf.hash, leaf.log, leaf.size, leaf.root, leaf.salt
FROM (SELECT seq, data FROM event WHERE workspace_id = '{NODE_LOG}' AND type = '{TREE_HEADS_TYPE}') AS event
FULL JOIN (SELECT * FROM tree_leaf WHERE workspace_id = '{NODE_LOG}') AS leaf ON leaf.seq = event.seq
ORDER BY 1, leaf.place
"""
"""Every event that anchors logs, with each of its leaves; null where one of the two is missing."""

LIST_LAST_LEAVES = f"""
SELECT DISTINCT ON (log) log, size, root FROM tree_leaf
WHERE workspace_id = '{NODE_LOG}' AND log IS NOT NULL ORDER BY log, seq DESC
"""
"""The newest leaf of each log."""

ROWS_AT_ONCE = 10_000


class HeadsFound(Struct, frozen=True):
    """How many events anchor logs, and what is wrong with them, one sentence for each fault."""

    events: int
    faults: list[str]


def examine_heads(connection: psycopg.Connection) -> HeadsFound:
    """Compare each event with its leaves, and each log with its newest leaf. Reads every hash."""
    if connection.execute(HAS_HEADS).fetchone() != (True,):
        return HeadsFound(0, [])
    [(events,)] = connection.execute(COUNT_HEADS)
    return HeadsFound(events, [*_changed_leaves(connection), *_changed_logs(connection)])


def _changed_leaves(connection: psycopg.Connection) -> Iterator[str]:
    with connection.transaction(), connection.cursor("heads") as cursor:
        cursor.itersize = ROWS_AT_ONCE
        cursor.execute(LIST_HEADS)
        for seq, group in groupby(cursor, lambda row: row[0]):
            rows = [row[1:] for row in group]
            changed = [log for _, leaf, log, *rest in rows if log is not None and Head(log, *rest).leaf != leaf]
            leaves = [leaf for _, leaf, *_ in rows if leaf is not None]
            if rows[0][0] is None:
                yield f"The leaves of heads {seq} are stored, but {NODE_LOG} has no such event: it lost events."
            elif msgspec.json.decode(rows[0][0]) != said(len(leaves), root_of(leaves)):
                yield f"The leaves of heads {seq} are not those that {NODE_LOG} signed: one was changed or removed."
            elif changed:
                yield f"The leaf of {changed[0]} in heads {seq} does not have the hash that {NODE_LOG} signed."


def _changed_logs(connection: psycopg.Connection) -> Iterator[str]:
    for log, size, root in connection.execute(LIST_LAST_LEAVES).fetchall():
        has = log_size(connection, log)
        found = tree(connection, log, size)
        if (found.size, found.root()) == (size, root):
            continue
        yield (
            f"The log {log} does not begin with the {size} events that {NODE_LOG} anchored, it has {has or 0}: it lost "
            "or changed events; restore the database."
        )
