"""`synap doctor`: the command."""

import sys
from pathlib import Path

from app.cli.doctor.checkpoints import prove
from app.cli.doctor.examine import examine
from app.cli.verify.evidence import read_note
from app.server.install import observed
from app.settings import Settings
from app.store.install.install import connect


def doctor(*, checkpoint: Path | None = None) -> None:
    """Check the install without changing it. Exit code 1 if something is wrong.

    Parameters
    ----------
    checkpoint
        A file with a checkpoint that you kept elsewhere. Check only whether its log still extends it.
    """
    settings = Settings.from_environment()
    if checkpoint is None:
        findings = list(examine(settings))
    else:
        note = read_note(checkpoint)
        with connect(observed(settings)) as connection:
            findings = [prove(connection, note)]
    for finding in findings:
        print(finding)
    if not all(finding.is_right for finding in findings):
        sys.exit(1)
