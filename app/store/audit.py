"""The audit: every administrative act, in a chain of its own for each workspace and for the install (`docs/evlog1.md`).

An act and its entry are one statement, or one transaction: neither is there without the other.
"""

from collections.abc import Iterable, Mapping
from uuid import UUID

import msgspec
import uuid_utils
from msgspec import Struct

from app.ledger.canonical import canonical
from app.store.pipe import Call
from app.store.workspaces import NODE_LOG
from schemas.principal import EVERY

AUDITED = "audit_append(%(audit_logs)s::text[], %(audit_id)s, %(audit_action)s, %(audit_actor)s, %(audit_detail)s)"
"""Enters an act, with its `parameters`. In the RETURNING clause of the statement that does it: then no row, no entry."""


class Act(Struct, frozen=True):
    """An administrative act, for one entry in the audit of each of `logs`. Entered twice, it is there once."""

    id: UUID
    action: str
    actor: str
    detail: str
    logs: list[str]

    @classmethod
    def of(cls, action: str, actor: str, detail: Mapping[str, object], workspaces: Iterable[str]) -> "Act":
        """`action` such as `key.created`, by `actor` (a key id, or the node), in `workspaces` (`*`: in the install's).

        Nothing in `detail` may be personal data or a secret: no entry is ever changed.
        """
        return cls(
            id=UUID(bytes=uuid_utils.uuid7().bytes),
            action=action,
            actor=actor,
            detail=canonical(msgspec.json.encode(detail), "detail").decode(),
            logs=sorted({NODE_LOG if workspace == EVERY else workspace for workspace in workspaces}),
        )

    @property
    def parameters(self) -> dict[str, object]:
        """Of `AUDITED`."""
        return {
            "audit_id": self.id,
            "audit_action": self.action,
            "audit_actor": self.actor,
            "audit_detail": self.detail,
            "audit_logs": self.logs,
        }

    @property
    def call(self) -> Call:
        """A statement of its own, for an act that is none, or that is several."""
        return f"SELECT {AUDITED}", self.parameters
