"""The tokens that commands send to a server."""

import os
from pathlib import Path

from app.cli.arguments import UsageError


def read_token(file: Path | None) -> str:
    """The token in a file, or else in the environment variable SYNAP_TOKEN. Empty if there is none."""
    if file is None:
        return os.environ.get("SYNAP_TOKEN", "").strip()
    try:
        return file.read_text(encoding="ascii").strip()
    except (OSError, ValueError) as error:
        raise UsageError(f"The token file {file} cannot be read ({type(error).__name__}).") from None
