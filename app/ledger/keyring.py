"""The install's signing keys, in files: the one in force, and beside it those that were in force before.

The file `node.key` has the key in force; `node.key.<kid>` any other, retired or about to be in force. A change of keys
writes the new key beside the old one first, so that whoever learns from the log which key is in force finds it.
"""

import os
from pathlib import Path

from app.ledger.signer import Signer


class Keyring:
    """Finds keys by their kid, in memory and then in the files. For the threads of one process."""

    def __init__(self, path: Path) -> None:
        """`path` is where the key in force is."""
        self.path = path
        self._signers: dict[str, Signer] = {}

    def signer(self, kid: str) -> Signer | None:
        """The key that `kid` names, or None where no file has it. Raises ValueError and OSError for unreadable ones."""
        known = self._signers.get(kid)
        if known is None:
            found = [Signer.load(self.path), Signer.load(self.beside(kid))]
            self._signers |= {signer.kid: signer for signer in found if signer is not None}
            known = self._signers.get(kid)
        return known

    def beside(self, kid: str) -> Path:
        """The file of a key that is not the one in force."""
        return self.path.with_name(f"{self.path.name}.{kid}")

    def put_in_force(self, kid: str) -> None:
        """Make `path` hold the key that `kid` names, which is in its file beside; the one before keeps a file as well.

        Done again it changes nothing: it may have been interrupted anywhere.
        """
        before = Signer.load(self.path)
        if before is not None and before.kid != kid and not self.beside(before.kid).exists():
            os.link(self.path, self.beside(before.kid))
        if before is None or before.kid != kid:
            self.beside(kid).replace(self.path)
