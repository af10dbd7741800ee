"""The tokens that commands send to a server."""

import os
import re
from pathlib import Path

from app.cli.arguments import UsageError

_TOKEN = re.compile(r"[!-~]+")


def token_in(file: Path) -> str:
    """The token in a file. Raises OSError, ValueError."""
    return file.read_text(encoding="ascii").strip()


def read_token(file: Path | None) -> str:
    """The token in a file, or else in the environment variable SYNAP_TOKEN. Empty if there is none."""
    if file is None:
        return os.environ.get("SYNAP_TOKEN", "").strip()
    try:
        return token_in(file)
    except OSError as error:
        raise UsageError(f"The token file {file} cannot be read: {error.strerror}.") from None
    except ValueError:
        raise UsageError(f"The token file {file} cannot be read: a token is text in ASCII.") from None


def bearer(token: str) -> str:
    """The value of the header `Authorization`. Raises UsageError for what cannot be a token."""
    if not _TOKEN.fullmatch(token):
        raise UsageError("The token is not valid: it must be printable ASCII without spaces.")
    return f"Bearer {token}"
