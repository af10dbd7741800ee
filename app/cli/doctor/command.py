"""`synap doctor`: the command."""

import sys
from pathlib import Path

from app.cli.arguments import Flag, UsageError
from app.cli.doctor.checkpoints import prove
from app.cli.doctor.examine import examine
from app.cli.doctor.intents import rebuild
from app.cli.doctor.sizes import report
from app.cli.verify.evidence import read_note
from app.server.install import observed
from app.settings import Settings
from app.store.install.install import connect, require_schema


def doctor(*, checkpoint: Path | None = None, sizes: Flag = False, rebuild_intents: Flag = False) -> None:
    """Check the install without changing it. Exit code 1 if something is wrong.

    Parameters
    ----------
    checkpoint
        A file with a checkpoint that you kept elsewhere. Check only whether its log still extends it.
    sizes
        Print only the sizes of tables and indexes, the growth of a day, and for how many days the disk suffices.
    rebuild_intents
        Compare the state of intents with the logs, and make it again from them where it differs. Appends to a
        workspace wait meanwhile.
    """
    if rebuild_intents and checkpoint is not None:
        raise UsageError("--rebuild-intents and --checkpoint do not go together.")
    settings = Settings.from_environment()
    if sizes:
        with connect(observed(settings)) as connection:
            require_schema(connection)
            print(*report(settings, connection), sep="\n")
        return
    if rebuild_intents:
        with connect(observed(settings)) as connection:
            findings = list(rebuild(settings, connection))
    elif checkpoint is None:
        findings = list(examine(settings))
    else:
        note = read_note(checkpoint)
        with connect(observed(settings)) as connection:
            findings = [prove(connection, note)]
    for finding in findings:
        print(finding)
    if not all(finding.is_right for finding in findings):
        sys.exit(1)
