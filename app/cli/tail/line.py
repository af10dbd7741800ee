"""How `synap tail` prints an event."""

import os
import shutil
import sys
from collections.abc import Callable

import msgspec
from msgspec import Raw, Struct

from app.cli.terminal import escaped
from schemas.base import RawRecord

WIDTH = 240
"""Characters of a line if the output is not a terminal. On a terminal its width counts."""

MIN_DATA_WIDTH = 20
"""Characters that an event's data gets at least, even on a narrow terminal."""

DIM, BOLD, CYAN, GREEN, RESET = "\x1b[2m", "\x1b[1m", "\x1b[36m", "\x1b[32m", "\x1b[0m"


class Shown(Struct, frozen=True, kw_only=True, rename="camel"):
    """The members of an event that a line shows."""

    id: str
    type: str
    seq: int
    timestamp: str
    user_id: str
    data: RawRecord
    metadata: Raw = Raw(b"null")
    erased: bool = False


def line(event: bytes, *, width: int, colours: bool) -> str:
    """One event for a person: time, seq, type, user, agent and confidence if there are any, and its data, shortened.

    `width` is in characters. Control characters of the event are escaped; only `colours` control the terminal.
    """
    shown = _decoder.decode(event)
    parts = [
        (DIM, shown.timestamp[:23].replace("T", " ")),
        (DIM, f"#{shown.seq}"),
        (BOLD, shown.type),
        (CYAN, shown.user_id),
        *((GREEN, part) for part in _agent(bytes(shown.metadata))),
    ]
    texts = [(colour, escaped(part)) for colour, part in parts]
    used = sum(len(text) + 1 for _, text in texts)
    data = "(erased)" if shown.erased else escaped(bytes(shown.data).decode())
    room = max(width - used, MIN_DATA_WIDTH)
    data = data if len(data) <= room else f"{data[: room - 1]}…"
    return " ".join([*(f"{colour}{text}{RESET}" if colours else text for colour, text in texts), data])


def printer(*, json: bool) -> Callable[[bytes], str]:
    """Return the function that writes an event as a line for standard output; with `json` as one JSON object."""
    if json:
        return lambda event: escaped(event.decode())
    if not sys.stdout.isatty():
        return lambda event: line(event, width=WIDTH, colours=False)
    colours = not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"  # no-color.org
    return lambda event: line(event, width=shutil.get_terminal_size().columns, colours=colours)


def _agent(metadata: bytes) -> list[str]:
    """The AI agent that logged the event, and its confidence."""
    try:
        ai = msgspec.json.decode(metadata)["ai"]
        confidence = ai.get("confidence") or {}
        return [str(ai["agent"]), *([f"{confidence['score']:.2f}"] if "score" in confidence else [])]
    except (TypeError, KeyError, ValueError, AttributeError):
        return []  # other metadata, or none


_decoder = msgspec.json.Decoder(Shown)
