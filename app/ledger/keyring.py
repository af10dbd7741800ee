"""The install's signing keys in files: the current one, and beside it the others.

The file `node.key` has the current key; `node.key.<kid>` has any other, whether retired or about to become current. A
rotation writes the new key's file first, so that every server that learns of the rotation from the log finds it.
"""

import base64
import os
from contextlib import suppress
from pathlib import Path

from app.ledger.signer import Signer, write_secret


class Keyring:
    """Finds keys by kid, in memory and then in the files. For the threads of one process."""

    def __init__(self, path: Path) -> None:
        """`path` is the file of the current key."""
        self.path = path
        self._signers: dict[str, Signer] = {}

    def signer(self, kid: str) -> Signer | None:
        """The key that `kid` names, or None if no file has it. Raises ValueError and OSError for unreadable files."""
        known = self._signers.get(kid)
        if known is None:
            beside = self.beside(kid)
            # Beside, twice: between the first two looks another process may have put one of the two keys in force.
            found = [Signer.load(path) for path in (beside, self.path, beside)]
            self._signers |= {signer.kid: signer for signer in found if signer is not None}
            known = self._signers.get(kid)
        return known

    def beside(self, kid: str) -> Path:
        """The file of a key that is not the current one."""
        return self.path.with_name(f"{self.path.name}.{kid}")

    def make(self) -> Signer:
        """A new key, written durably to its own file. Raises OSError."""
        seed = os.urandom(32)
        signer = Signer(seed)
        write_secret(self.beside(signer.kid), base64.b64encode(seed).decode())
        self._make_durable()
        return signer

    def put_in_force(self, kid: str) -> None:
        """Make the key that `kid` names current: move it from its own file to `path`. The key before keeps a file too.

        It may be repeated after an interruption at any point, and several processes may run it at once. Raises OSError,
        and ValueError for a file without a key.
        """
        before = Signer.load(self.path)
        if before is not None and before.kid == kid:
            return
        if before is not None:
            with suppress(FileExistsError):
                os.link(self.path, self.beside(before.kid))
        try:
            self.beside(kid).replace(self.path)
        except FileNotFoundError:
            now = Signer.load(self.path)
            if now is None or now.kid != kid:  # otherwise another process was faster
                raise
        self._make_durable()

    def _make_durable(self) -> None:
        """Flush the folder's entries to the disk."""
        folder = os.open(self.path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
