"""The tokens that commands send to a server."""

import os
import re
from pathlib import Path

from app.cli.arguments import UsageError

_TOKEN = re.compile(r"[!-~]+")


class MissingTokenFile(UsageError):
    """There is no such file."""


def token_in(file: Path, *, called: str = "token file") -> str:
    """The token in a file. Errors name the file with `called`. Raises UsageError: MissingTokenFile for no such file."""
    try:
        return file.read_text(encoding="ascii").strip()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "a token is text in ASCII"
        failure = MissingTokenFile if isinstance(error, FileNotFoundError) else UsageError
        raise failure(f"The {called} {file} cannot be read: {reason}.") from None


def read_token(file: Path | None) -> str:
    """Read the token from `file` or, without a file, from the environment variable SYNAP_TOKEN.

    Returns an empty text if that variable is not set. Raises UsageError.
    """
    return os.environ.get("SYNAP_TOKEN", "").strip() if file is None else token_in(file)


def bearer(token: str) -> str:
    """The value of the header `Authorization`. Raises UsageError for what cannot be a token."""
    if not _TOKEN.fullmatch(token):
        raise UsageError("The token is not valid: it must be printable ASCII without spaces.")
    return f"Bearer {token}"
