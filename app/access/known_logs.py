"""The logs whose checkpoints a witness accepts: the log lines of a policy file, which may change while it runs."""

from pathlib import Path

import structlog

from app.ledger import policy
from app.ledger.policy import MalformedPolicyError, Policy
from app.ledger.vkeys import VerifierKey

logger = structlog.get_logger("synap.cosigner")


class KnownLogs:
    """Reads the file again whenever it has changed. If it then cannot be read, the logs from before stay known."""

    def __init__(self, path: Path) -> None:
        """Read the file. Raises OSError, MalformedPolicyError."""
        self._path = path
        self._version = self._look()
        self._policy = policy.parse(path.read_bytes())

    def keys_of(self, origin: str) -> list[VerifierKey]:
        """The keys of the log with this origin; none if it is not known."""
        self._refresh()
        return self._policy.keys_of(origin)

    @property
    def policy(self) -> Policy:
        """The policy as it was last read."""
        return self._policy

    def _refresh(self) -> None:
        version = self._look()
        if version == self._version:
            return
        self._version = version
        try:
            self._policy = policy.parse(self._path.read_bytes())
        except (OSError, MalformedPolicyError) as error:
            reason = str(error) if isinstance(error, MalformedPolicyError) else error.strerror
            logger.error("the list of logs cannot be read; the one from before stays in use", reason=reason)
        else:
            logger.info("the list of logs has changed", logs=len(self._policy.logs))

    def _look(self) -> tuple[int, int, int] | None:
        """What changes when the file does; None if it cannot be looked at."""
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino
