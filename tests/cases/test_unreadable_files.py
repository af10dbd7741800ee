"""A file that a command cannot read is one sentence with the reason, in words, and no name of an exception."""

from collections.abc import Callable
from pathlib import Path

import pytest

from app.cli.arguments import UsageError
from app.cli.tokens import read_token
from app.store.install.secret import REMEDY, SecretError, read_secret

NO_SECRET = f"{{}} does not hold an install secret (32 bytes in base64); {REMEDY}."

Read = Callable[[Path], object]

CONTENTS: dict[str, tuple[Read, bytes, str]] = {
    "a secret of raw bytes": (read_secret, bytes(range(200, 232)), NO_SECRET),
    "a secret in hex": (read_secret, b"00" * 31, NO_SECRET),
    "a secret that is no base64": (read_secret, b"x", NO_SECRET),
    "a secret with a byte order mark": (read_secret, b"\xef\xbb\xbf" + b"A" * 43 + b"=", NO_SECRET),
    "a secret that is cut off": (read_secret, b"A" * 40, NO_SECRET),
    "an empty secret": (read_secret, b"", NO_SECRET),
    "a token that is no ASCII": (
        read_token,
        "sk_é".encode(),
        "The token file {} cannot be read: a token is text in ASCII.",
    ),
}


@pytest.mark.parametrize(("read", "content", "told"), CONTENTS.values(), ids=list(CONTENTS))
def test_a_file_with_other_content_says_what_it_must_hold(
    tmp_path: Path, read: Read, content: bytes, told: str
) -> None:
    file = tmp_path / "file"
    file.write_bytes(content)

    with pytest.raises((SecretError, UsageError)) as refused:
        read(file)

    assert str(refused.value) == told.format(file)


FOLDERS: dict[str, tuple[Read, str]] = {
    "a secret": (read_secret, "The install secret {} cannot be read: Is a directory."),
    "a token": (read_token, "The token file {} cannot be read: Is a directory."),
}


@pytest.mark.parametrize(("read", "told"), FOLDERS.values(), ids=list(FOLDERS))
def test_a_folder_in_place_of_a_file_is_told_as_the_system_says_it(tmp_path: Path, read: Read, told: str) -> None:
    with pytest.raises((SecretError, UsageError)) as refused:
        read(tmp_path)

    assert str(refused.value) == told.format(tmp_path)
