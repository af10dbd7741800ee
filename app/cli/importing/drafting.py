"""Turns the lines of a file into drafts of events, in a process beside the one that appends them.

A line without an `id` gets one. It is made from the workspace, the name of the file, the number of the line and its
text. So a line keeps its id when a file that has grown is read again, and two equal lines have two ids.
"""

from collections.abc import Sequence
from contextlib import suppress
from hashlib import sha1
from multiprocessing.connection import Connection
from uuid import UUID

import msgspec
from msgspec import Struct

from app.capacity.garbage import collect_rarely
from app.cli.first_bytes import BOM
from app.ledger.draft import Draft, Drafting
from schemas.errors import InvalidInput, Issue
from schemas.event import LogEvent
from schemas.issues import decoded
from schemas.principal import EVERY, Principal

NAMESPACE = UUID("0f6c2c2e-5d0a-5f5b-9c56-2f6f0a4c1d7b")
"""The namespace of the ids for lines without an `id` (UUIDv5: RFC 9562, section 5.5)."""

LINE_ID_VERSION = 5

SERVER_MADE = frozenset({"version", "timestamp", "seq", "hash", "erased"})
"""The members that the server sets: readers get them, but nobody may send them."""


class LinePiece(Struct, frozen=True, array_like=True):
    """Some lines in a row, without their ends. `first` is the number of the first one, from 1."""

    first: int
    lines: list[bytes]


class RefusedLine(Struct, frozen=True, array_like=True):
    """A rejected line, and why."""

    number: int
    issues: list[Issue]


class Drafted(Struct, frozen=True, array_like=True):
    """The result for a piece: the drafts, the numbers of their lines, and the rejected lines.

    Empty lines are skipped.
    """

    numbers: list[int]
    drafts: list[Draft]
    refused: list[RefusedLine]


class Origin(Struct, frozen=True):
    """Where lines come from, and the log that gets them."""

    workspace: str
    name: str
    user: str
    max_event_bytes: int


class LineDrafts:
    """Makes drafts of lines."""

    def __init__(self, origin: Origin, node: str) -> None:
        """`node` is the id of the install that gets the lines."""
        self._prefix = NAMESPACE.bytes + f"{origin.workspace}\0{origin.name}\0".encode(errors="surrogateescape")
        self._workspace = origin.workspace
        self._max_event_bytes = origin.max_event_bytes
        # An operator at the machine may do everything.
        self._owner = Principal(
            key_id="import", user_id=origin.user, scopes=frozenset({EVERY}), workspaces=(origin.workspace,)
        )
        self._drafting = Drafting(node)
        self._decoder = msgspec.json.Decoder(LogEvent)

    def drafted(self, piece: LinePiece) -> Drafted:
        """The drafts and the rejected lines of `piece`."""
        made = Drafted([], [], [])
        for number, line in enumerate(piece.lines, piece.first):
            if not line.strip():
                continue
            try:
                draft = self._draft(number, line)
            except InvalidInput as error:
                made.refused.append(RefusedLine(number, [_told(issue) for issue in error.issues]))
            else:
                made.numbers.append(number)
                made.drafts.append(draft)
        return made

    def _draft(self, number: int, line: bytes) -> Draft:
        if len(line) > self._max_event_bytes:
            raise InvalidInput([Issue("", f"is larger than {self._max_event_bytes} bytes")])
        event = decoded(line.removeprefix(BOM), self._decoder, self._drafting.metadata)
        made_id = self._id(number, line) if event.id is None else None
        return self._drafting.draft(event, self._owner, self._workspace, default_id=made_id)

    def _id(self, number: int, line: bytes) -> UUID:
        # Without a CR at its end: the last line may get one only when the file grows.
        text = line.removesuffix(b"\r")
        digest = sha1(self._prefix + b"%d\0" % number + text, usedforsecurity=False).digest()
        return UUID(bytes=digest[:16], version=LINE_ID_VERSION)


def work(pieces: Connection, origin: Origin, extensions: Sequence[str]) -> None:
    """Send back the `Drafted` of each `LinePiece`. The first message is the node's id, and nothing is sent back for it.

    The empty message is the end, and is sent back too.
    """
    if extensions:
        # Only if needed: it loads the whole API, which takes longer than the import of a short file.
        from app.server.extensions import load_extensions  # noqa: PLC0415 - as above

        load_extensions(extensions)
    decoder = msgspec.msgpack.Decoder(LinePiece)
    with suppress(EOFError, OSError):  # nobody waits any longer
        lines = LineDrafts(origin, pieces.recv_bytes().decode())
        collect_rarely()
        while sent := pieces.recv_bytes():
            pieces.send_bytes(msgspec.msgpack.encode(lines.drafted(decoder.decode(sent))))
        pieces.send_bytes(b"")


def _told(issue: Issue) -> Issue:
    if issue.path in SERVER_MADE:
        return Issue(issue.path, "is set by the server; a line may only have the members that events.log accepts")
    return issue
