"""Does an act and enters it in the audit, in one transaction.

The entry is a statement of its own. In a distributed database a function in the act's statement would run on the node
of the changed row, and the audit may be on another node.
"""

from collections.abc import Callable, Sequence

from psycopg.pq import TransactionStatus

from app.store.audit.log import Act
from app.store.postgres.database import BEGIN, COMMIT, ROLLBACK, Database
from app.store.postgres.pipe import Call, Row

OPEN = (TransactionStatus.INTRANS, TransactionStatus.INERROR)


async def acted(
    database: Database,
    act: Act,
    change: Call,
    *,
    first: Sequence[Call] = (),
    done: Callable[[list[Row]], Sequence[Call]] = lambda _changed: (),
    then: Sequence[Call] = (),
    is_done: Callable[[list[Row]], bool] = bool,
) -> tuple[list[Row], list[list[Row]]]:
    """Do a change, and enter the `act` only if `is_done`: if the change returns a row.

    `first` runs before the change and `then` at the end, whatever the change did. What `done` returns for the rows of
    the change runs only if it was done. Returns these rows, and those of each of `then`. All may run twice if the
    connection was lost, so a second run must be harmless. Raises Unavailable.
    """

    async def run() -> tuple[list[Row], list[list[Row]]]:
        async with database.pool.connection() as connection:
            try:
                *_, changed = await connection.trip([BEGIN, *first, change], while_wanted=True)
                entered = [act.call, *done(changed)] if is_done(changed) else []
                rows = await connection.trip([*entered, *then, COMMIT])
            finally:
                if connection.info.transaction_status in OPEN:
                    await connection.trip([ROLLBACK])
        return changed, rows[len(entered) : -1]

    return await database.retried(run)
