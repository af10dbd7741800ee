"""The nodes of a distributed database (Citus), and statements that span workspaces.

A statement over all workspaces fails if one node is down. So each node is asked apart, for the workspaces that it has:
what the others answer is used, and the node that does not answer is named.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Generic, TypeVar

import structlog
from msgspec import Struct

from app.store.postgres.database import Database
from app.store.postgres.pipe import Call, Row
from schemas.errors import Unavailable

T = TypeVar("T")

LIST_ALL_WORKSPACES = "SELECT id FROM workspace"
"""Every workspace, also the deleted ones, whose audits stay."""

LIST_NODES_OF_WORKSPACES = """
SELECT concat(node.nodename, ':', node.nodeport), array_agg(given.id)
FROM unnest(%(workspaces)s::text[]) AS given (id)
JOIN pg_dist_placement AS placed ON placed.shardid = get_shard_id_for_distribution_column('event_tip', given.id)
JOIN pg_dist_node AS node ON node.groupid = placed.groupid AND node.noderole = 'primary' GROUP BY 1 ORDER BY 1
"""
"""The nodes of a distributed database that have rows of these workspaces, each with its workspaces."""

OWN = "workspace_id = ANY(%(workspaces)s::text[])"
"""True of the rows of a part's workspaces."""

_PART = re.compile(r"\{part(?::(\w+))?\}")

logger = structlog.get_logger("synap.nodes")


class Spanning(Struct, frozen=True):
    """A statement over all workspaces: for a database that is one, and for the `workspaces` of a node."""

    whole: str
    part: str


def spanning(sql: str) -> Spanning:
    """A statement in which `{part:a}` stands for the condition that `a.workspace_id` is a workspace of the part.

    `{part}` stands for the same of `workspace_id`. Every table needs the condition, also in a subquery: a table without
    it would be read on all nodes.
    """
    return Spanning(_PART.sub("true", sql), limited(sql, "= ANY(%(workspaces)s::text[])"))


def limited(sql: str, to: str) -> str:
    """A statement such as `spanning` takes, in which the condition is `workspace_id` and `to`."""
    return _PART.sub(lambda found: f"{found[1] + '.' if found[1] else ''}workspace_id {to}", sql)


class Part(Struct, frozen=True):
    """What is asked apart: the whole database, or a node and its workspaces."""

    node: str = ""
    workspaces: Sequence[str] | None = None

    def call(self, asked: Spanning, parameters: Mapping[str, object] | None = None) -> Call:
        """The call of a statement for this part."""
        if self.workspaces is None:
            return asked.whole, parameters or {}
        return asked.part, {**(parameters or {}), "workspaces": self.workspaces}


WHOLE = Part()
"""The whole database, in one statement."""


class Answers(Struct, Generic[T]):
    """What the parts answered, and the parts that did not."""

    found: list[T]
    missing: list[Part]
    nodes: dict[str, bool]
    """Whether each node answered; empty if the database is not distributed."""

    @property
    def unknown(self) -> set[str]:
        """The workspaces of the missing nodes."""
        return workspaces_of(self.missing)


def workspaces_of(parts: Iterable[Part]) -> set[str]:
    """The workspaces of some nodes."""
    return {workspace for part in parts for workspace in part.workspaces or ()}


async def each(
    database: Database, ask: Callable[[Part], Awaitable[T]], *, among: Sequence[str] | None = None
) -> Answers[T]:
    """Ask all parts at once; `among` limits them to some workspaces. Raises Unavailable if none answers."""
    parts = await _parts(database, among)
    outcomes = await asyncio.gather(*map(ask, parts), return_exceptions=True)
    answers: Answers[T] = Answers([], [], {})
    for part, outcome in zip(parts, outcomes, strict=True):
        if isinstance(outcome, Unavailable) and part.node:
            logger.warning("a node of the database does not answer", node=part.node)
            answers.missing.append(part)
        elif isinstance(outcome, BaseException):
            raise outcome
        else:
            answers.found.append(outcome)
    answers.nodes.update({part.node: part not in answers.missing for part in parts if part.node})
    if parts and not answers.found:
        raise Unavailable("No node of the database answers; retry")
    return answers


async def rows(database: Database, asked: Spanning, parameters: Mapping[str, object] | None = None) -> list[Row]:
    """The rows of a statement from all parts that answer. Raises Unavailable if none does."""
    answers = await each(database, lambda part: database.rows_alone(*part.call(asked, parameters)))
    return [row for found in answers.found for row in found]


async def _parts(database: Database, among: Sequence[str] | None) -> list[Part]:
    if not await database.is_distributed():
        return [Part(workspaces=among)]
    workspaces = among
    if workspaces is None:
        workspaces = [id_ for (id_,) in await database.rows(LIST_ALL_WORKSPACES, {})]
    return [Part(*row) for row in await database.rows(LIST_NODES_OF_WORKSPACES, {"workspaces": list(workspaces)})]
