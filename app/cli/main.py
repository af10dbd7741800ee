"""The command `synap`. It reports a mistake of the operator in one sentence on standard error, with exit code 2."""

import errno
import os
import sys
from importlib.metadata import version

from cyclopts import App

from app.cli.administration import distribute, init, migrate
from app.cli.arguments import UsageError
from app.cli.console import console
from app.cli.contract import contract
from app.cli.cores import CoreError
from app.cli.doctor.command import doctor
from app.cli.export import export
from app.cli.importing.command import import_
from app.cli.importing.reader import ImportingError
from app.cli.keys import keys
from app.cli.node import node
from app.cli.output import OutputError
from app.cli.receipt import receipt
from app.cli.serve import serve
from app.cli.tail.command import tail
from app.cli.tail.follow import TailError
from app.cli.terminal import EXIT_UNREAD
from app.cli.verify.command import verify
from app.cli.verify.evidence import UnreadableError
from app.cli.witness import witness
from app.cli.workspaces import workspaces
from app.settings import SettingsError
from app.store.install.install import InstallError
from app.store.install.secret import SecretError
from app.store.install.witness import WitnessError
from app.store.install.workspaces import WorkspaceError
from app.store.postgres.data_directory import DataDirectoryError
from app.store.postgres.driver import DatabaseError, refusal
from app.telemetry.logs import configure_logs

cli = App(
    name="synap",
    help="An append-only event log. Settings come from the environment (SYNAP_…).",
    version=lambda: f"synap {version('synap-events')}",
    version_flags=["--version"],
)
cli.command(serve)
cli.command(init)
cli.command(migrate)
cli.command(distribute)
cli.command(contract)
cli.command(keys)
cli.command(console)
cli.command(workspaces)
cli.command(node)
cli.command(witness)
cli.command(import_, name="import")
cli.command(export)
cli.command(receipt)
cli.command(tail)
cli.command(doctor)
cli.command(verify)

REFUSALS = (
    SettingsError,
    DataDirectoryError,
    InstallError,
    SecretError,
    WorkspaceError,
    WitnessError,
    UnreadableError,
    CoreError,
    UsageError,
    ImportingError,
    OutputError,
    TailError,
)
"""The failures whose message tells the operator in one sentence why a command cannot be carried out."""

NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})
"""The errors for which standard output cannot be written. Failures to write another file are reported with its name."""


def main() -> None:
    """Run the command that was given, and end with its exit code."""
    configure_logs()
    try:
        try:
            cli()
        finally:
            if sys.stdout is not None:
                sys.stdout.flush()  # if Python does it at its end, a failure is reported as a traceback
    except REFUSALS as error:
        print(f"synap: {error}", file=sys.stderr)
        sys.exit(2)
    except DatabaseError as error:
        print(f"synap: {refusal(error)}", file=sys.stderr)
        sys.exit(2)
    except BrokenPipeError:
        _forget_output()  # the reader has gone, as `head` goes
        sys.exit(EXIT_UNREAD)
    except OSError as error:
        if error.errno not in NO_ROOM:
            raise
        _forget_output()
        print(f"synap: The output cannot be written: {error.strerror}.", file=sys.stderr)
        sys.exit(2)


def _forget_output() -> None:
    """Discard the buffer of standard output."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
