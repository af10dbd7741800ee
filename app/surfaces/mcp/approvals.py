"""Where a person decides on an intent: a link to the console, for the model and for the client.

A client of version 2026-07-28 may declare that it can show a URL to its user (elicitation, mode `url`). Then the first
`intents_wait` for an open intent asks the client to show the link, and the client repeats the call. All others find the
link in a text of the result. Does not use the protocol's library.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import quote

from msgspec import Struct, convert

from app.surfaces.mcp.tools import ToolSpec

WAIT = "intents.wait"

MAX_OFFERED = 1000
"""How many offers a process remembers, so that it makes each one once."""


class Approval(Struct, frozen=True):
    """An open intent, and the page of the console on which a person decides."""

    intent_id: str
    type: str
    url: str

    @property
    def text(self) -> str:
        """What a model reads."""
        return (
            f"A person decides on this intent at {self.url} - show them this link. It must be another user than the "
            "one who asked. Then call `intents_wait`, `intents_start` before you act, and `intents_finish` after it."
        )

    @property
    def message(self) -> str:
        """What the client's user reads beside the link."""
        return f"The intent {self.type} waits for approval. Open the console to see exactly what would run, and decide."


def approval_of(spec: ToolSpec, answer: Mapping[str, Any], address: str, workspace: str) -> Approval | None:
    """The intent that an answer shows, if a person may decide on it now. None if the server's address is unknown."""
    event: Mapping[str, Any] = answer
    match spec.procedure.name:
        case "events.log":
            terms = answer.get("metadata", {}).get("synap", {}).get("intent")
            is_open = terms is not None and not _is_late(answer["timestamp"], terms.get("expiresAt"))
        case "intents.get" | "intents.wait":
            event, is_open = answer["event"], answer["state"] == "open"
        case _:
            return None
    if not is_open or not address:
        return None
    return Approval(event["id"], event["type"], f"{address}/console#/{quote(workspace)}/inbox/{event['id']}")


def _is_late(timestamp: str, expires_at: str | None) -> bool:
    """Whether an intent had expired before it was logged: the server stores it, but nobody can decide on it."""
    return expires_at is not None and convert(timestamp, datetime) >= convert(expires_at, datetime)


class Offers:
    """Which intents each key has been offered a link to. For one process."""

    def __init__(self) -> None:
        self._made: dict[tuple[str, str], None] = {}

    def is_new(self, key_id: str, intent_id: str) -> bool:
        """Note an offer. True if it is the first one."""
        if (key_id, intent_id) in self._made:
            return False
        self._made[key_id, intent_id] = None
        if len(self._made) > MAX_OFFERED:
            del self._made[next(iter(self._made))]
        return True
