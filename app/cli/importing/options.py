"""What `synap import` imports, and the result."""

from pathlib import Path

from msgspec import Struct

from app.cli.importing.drafting import RefusedLine
from app.cli.terminal import escaped


class ImportOptions(Struct, frozen=True, kw_only=True):
    """What `synap import` imports, and how."""

    path: Path | None
    """The file. None means standard input."""
    name: str
    """The name under which lines without an id are recognised if they are imported again."""
    workspace: str
    user: str
    from_line: int = 1
    skip_bad: Path | None = None
    """The file for rejected lines. None means that the first one ends the import."""


class ImportResult(Struct, kw_only=True):
    """What an import has done so far."""

    stored: int = 0
    already: int = 0
    refused: int = 0
    last_line: int = 0
    """The last line up to which everything is stored or rejected."""
    seconds: float = 0.0
    again: int = 0
    """Lines without an id that were stored already, after lines that were not."""
    unit: str = "line"
    """What the file consists of: lines, or events of a JSON array."""
    bad: RefusedLine | None = None
    """The line that ended the import."""
    is_interrupted: bool = False
    failure: str | None = None
    """Why the import could not continue: one sentence."""


def called(options: ImportOptions) -> str:
    """The name of the file in messages."""
    return "standard input" if options.path is None else escaped(options.path.name)
