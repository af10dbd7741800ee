"""`synap import`: the command, and its messages."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated
from uuid import uuid4

from cyclopts import Parameter

from app.cli.arguments import UsageError, check_user, check_workspace
from app.cli.importing.importer import import_file
from app.cli.importing.options import ImportOptions, ImportResult, called
from app.cli.terminal import escaped
from app.settings import Settings
from app.signals import stop
from app.store.install.install import CONTROL_KEY_ID
from app.store.install.workspaces import DEFAULT_WORKSPACE


def import_(
    file: Annotated[str, Parameter(allow_leading_hyphen=True)],
    /,
    *,
    workspace: str = DEFAULT_WORKSPACE,
    user: str = CONTROL_KEY_ID,
    name: str | None = None,
    from_line: int = 1,
    skip_bad: Path | None = None,
) -> None:
    """Log the events of a file: one JSON object on each line, or a JSON array. Each is an input of `events.log`.

    The file may be compressed with gzip. Run the command again to store what is missing; it stores nothing twice. Exit
    code 0: everything is stored. 1: a line was rejected. 2: it cannot continue. 129, 130, 143: a signal stopped it.

    Parameters
    ----------
    file
        The file, or `-` for standard input.
    workspace
        The workspace whose log gets the events.
    user
        The user of events without a `userId`.
    name
        The name of the import. A line without an `id` is the same event if the name, the line's number and its text are
        the same. Default: the file's name. Without a name, every line of standard input is a new event.
    from_line
        The first line to import, or the first element of an array. The import skips everything before it.
    skip_bad
        A file for rejected lines, with the reasons: a new one, or that of an earlier run of this import. Without this
        option the first rejected line ends the import.
    """
    check_user(user)
    check_workspace(workspace)
    if from_line < 1:
        raise UsageError("--from-line must be 1 or more.")
    path = None if file == "-" else Path(file)
    known_as = name or (path.name if path else f"stdin-{uuid4()}")
    options = ImportOptions(
        path=path, name=known_as, workspace=workspace, user=user, from_line=from_line, skip_bad=skip_bad
    )
    result = import_file(Settings.from_environment(), options)
    for line in complaints(options, result):
        print(line, file=sys.stderr)
    print(summary(options, result))
    sys.exit(exit_code(result))


EXIT_REFUSED = 1

EXIT_FAILED = 2


def summary(options: ImportOptions, result: ImportResult) -> str:
    """What the import did, in one line."""
    events = result.stored + result.already
    name = f" Its name is {escaped(options.name)}." if options.path is None else ""
    return (
        f"{called(options)} into {options.workspace}: {result.stored} stored, {result.already} there already, "
        f"{result.refused} rejected, in {result.seconds:.1f} s "
        f"({events / max(result.seconds, 1e-6):,.0f} events/s).{name}"
    )


def complaints(options: ImportOptions, result: ImportResult) -> Iterator[str]:
    """What the operator must know if the import did not store everything, line by line."""
    name, unit = called(options), result.unit
    if result.again:
        yield (
            f"synap: {result.again} of the {unit}s were there already, although they follow new ones. An earlier "
            f"import named {escaped(options.name)} had the same text in the same place; if this is another file, give "
            "it a --name."
        )
    if result.bad is not None:
        for issue in result.bad.issues:
            where = f"{escaped(issue.path)}: " if issue.path else ""
            yield f"{name}, {unit} {result.bad.number}: {where}{escaped(issue.message)}"
        yield (
            f"synap: Everything before {unit} {result.bad.number} is stored; correct that {unit} and run the same "
            f"command again{_by_name(options)}, or add --skip-bad FILE."
        )
    elif result.failure is not None:
        yield f"synap: {result.failure}; {_goes_on(options, result)}"
    elif result.is_interrupted:
        yield f"synap: Interrupted; {_goes_on(options, result)}"


def exit_code(result: ImportResult) -> int:
    """0: all is stored. 1: a line was refused. 2: it could not continue. 130 or 143: SIGINT or SIGTERM stopped it."""
    if result.failure is not None:
        return EXIT_FAILED
    if result.is_interrupted:
        return stop.exit_code
    return EXIT_REFUSED if result.bad or result.refused else 0


def _by_name(options: ImportOptions) -> str:
    """The option that repeats the name of standard input, which may be random."""
    return f" with --name {escaped(options.name)}" if options.path is None else ""


def _goes_on(options: ImportOptions, result: ImportResult) -> str:
    return (
        f"run the same command{_by_name(options)} again to continue after {result.unit} {result.last_line} (sooner "
        f"with --from-line {result.last_line + 1})."
    )
