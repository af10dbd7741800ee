"""What is stored of the witnesses of `_node`: how far each one cosigned, what went wrong, and the cosignatures."""

from collections.abc import Sequence

from msgspec import Struct

from app.ledger.chain import NODE_LOG
from app.store.audit.acting import acted
from app.store.audit.log import Act
from app.store.postgres.database import Database
from app.store.postgres.pipe import Call

HAS_WITNESSES = "SELECT to_regclass('node_witness') IS NOT NULL"
"""Whether the schema has the tables of witnesses, which an older one lacks."""

ADD_WITNESSES = f"""
INSERT INTO node_witness (workspace_id, key, due_at, failures)
SELECT '{NODE_LOG}', key, now(), 0 FROM unnest(%(keys)s::text[]) AS named (key) ON CONFLICT DO NOTHING
"""
"""Adds the witnesses that are new."""

_OF_KEYS = f"workspace_id = '{NODE_LOG}' AND key = ANY(%(keys)s::text[])"

LIST_WITNESSES = f"SELECT key, size, failures, due_at <= now(), problem, alarm FROM node_witness WHERE {_OF_KEYS}"
"""How the witnesses with these keys stand."""

LIST_ALARMS = f"SELECT alarm FROM node_witness WHERE {_OF_KEYS} AND alarm IS NOT NULL ORDER BY key"
"""The alarms of the witnesses with these keys."""

_OF_KEY = f"workspace_id = '{NODE_LOG}' AND key = %(key)s"

RECORD_COSIGNED = f"""
UPDATE node_witness SET size = %(size)s, cosigned_at = now(), due_at = now(), failures = 0, problem = NULL
WHERE {_OF_KEY}
"""
"""Records that a witness cosigned a size."""

END_ALARM = f"UPDATE node_witness SET alarm = NULL WHERE {_OF_KEY} AND alarm IS NOT NULL RETURNING key"
"""Ends the alarm of a witness that vouches for the log again."""

RECORD_FAILURE = f"""
UPDATE node_witness SET failures = failures + 1, problem = %(problem)s,
    due_at = now() + make_interval(secs => %(seconds)s::float8)
WHERE {_OF_KEY}
"""
"""Records that a witness did not cosign, and is asked again after some seconds."""

RAISE_ALARM = f"UPDATE node_witness SET alarm = %(problem)s WHERE {_OF_KEY} AND alarm IS NULL RETURNING key"
"""Raises an alarm, unless there is one."""

ADD_COSIGNATURE = f"""
INSERT INTO cosignature (workspace_id, size, key, root, line)
VALUES ('{NODE_LOG}', %(size)s, %(key)s, %(root)s, %(line)s)
ON CONFLICT (workspace_id, size, key) DO UPDATE SET root = excluded.root, line = excluded.line
"""
"""Stores a cosignature. A later one of the same checkpoint replaces it."""

LIST_COSIGNERS = f"SELECT key FROM cosignature WHERE workspace_id = '{NODE_LOG}' AND size = %(size)s"
"""The keys that cosigned a size."""

RECORD_QUORUM = """
UPDATE install SET cosigned_size = %(size)s WHERE cosigned_size IS NULL OR cosigned_size < %(size)s
"""
"""Records that a quorum cosigned a size."""

FORGET_COSIGNATURES = f"""
DELETE FROM cosignature WHERE workspace_id = '{NODE_LOG}' AND size < (SELECT cosigned_size FROM install)
"""
"""Deletes the cosignatures of checkpoints that a newer one with a quorum replaces."""

GET_COSIGNED = f"""
SELECT size, root, string_agg(line, '' ORDER BY key) FROM cosignature
WHERE workspace_id = '{NODE_LOG}' AND size = (SELECT cosigned_size FROM install)
    AND size <= (SELECT seq + 1 FROM event_tip WHERE workspace_id = '{NODE_LOG}')
GROUP BY size, root
"""
"""The newest checkpoint that a quorum cosigned: its size, its root, and the lines of its cosignatures. A log that has
become shorter has none."""


class Standing(Struct, frozen=True):
    """How a witness stands. It is `due` if it may be asked now."""

    size: int | None = None
    failures: int = 0
    due: bool = True
    problem: str | None = None
    alarm: str | None = None


class CosignedCheckpoint(Struct, frozen=True):
    """A checkpoint of `_node` that a quorum cosigned, and the signature lines of the witnesses."""

    size: int
    root: bytes
    lines: str


class NodeWitnesses:
    """The stored state of witnesses, for one process. Every method may raise Unavailable."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def standing(self, keys: Sequence[str]) -> dict[str, Standing]:
        """How each witness stands, by its verifier key. Empty if the schema has no witnesses yet."""
        if not await self._database.holds(HAS_WITNESSES):
            return {}
        _, rows = await self._database.atomic([(ADD_WITNESSES, {"keys": keys}), (LIST_WITNESSES, {"keys": keys})])
        return {key: Standing(*row) for key, *row in rows}

    async def alarms(self, keys: Sequence[str]) -> list[str]:
        """The alarms of these witnesses."""
        if not await self._database.holds(HAS_WITNESSES):
            return []
        return [alarm for (alarm,) in await self._database.rows(LIST_ALARMS, {"keys": keys})]

    async def cosigned(self, key: str, size: int, root: bytes, line: str, act: Act) -> None:
        """Record a cosignature, and with `act` the end of an alarm."""
        of = {"key": key, "size": size}
        recorded: list[Call] = [(ADD_COSIGNATURE, of | {"root": root, "line": line}), (RECORD_COSIGNED, of)]
        await acted(self._database, act, (END_ALARM, of), first=recorded)

    async def cosigners(self, size: int) -> list[str]:
        """The keys that cosigned a size."""
        return [key for (key,) in await self._database.rows(LIST_COSIGNERS, {"size": size})]

    async def met(self, size: int) -> None:
        """Record that a quorum cosigned a size."""
        await self._database.atomic([(RECORD_QUORUM, {"size": size}), (FORGET_COSIGNATURES, {})])

    async def failed(self, key: str, problem: str, seconds: float, *, alarm: Act | None = None) -> bool:
        """Record a failure; the witness is due again after `seconds`. Returns whether it raised the `alarm`."""
        failure: Call = RECORD_FAILURE, {"key": key, "problem": problem, "seconds": seconds}
        if alarm is None:
            await self._database.atomic([failure])
            return False
        raised, _ = await acted(self._database, alarm, (RAISE_ALARM, {"key": key, "problem": problem}), first=[failure])
        return bool(raised)

    async def newest(self) -> CosignedCheckpoint | None:
        """The newest checkpoint that a quorum cosigned."""
        if not await self._database.holds(HAS_WITNESSES):
            return None
        rows = await self._database.rows(GET_COSIGNED, {})
        return CosignedCheckpoint(*rows[0]) if rows else None
