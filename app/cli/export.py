"""`synap export`: a log of this install, or a part of it, as a signed bundle."""

import asyncio
from pathlib import Path
from typing import IO, Annotated

from cyclopts import Parameter
from msgspec import Struct

from app.cli.arguments import Flag, UsageError, check_workspace
from app.cli.output import OutputError, written
from app.cli.reading import reading
from app.cli.terminal import Bar
from app.server.install import ReadyInstall, ready
from app.settings import Settings
from app.store.audit.log import enter
from app.store.install.install import connect
from app.store.install.workspaces import DEFAULT_WORKSPACE, no_workspace
from app.store.ledger.export import Export, Exports
from schemas.errors import InvalidInput, NotFound, ProcedureError

OPTIONS = {"fromSeq": "--from-seq", "toSeq": "--to-seq"}
"""The options, by the ledger's names for them."""


class Part(Struct, frozen=True):
    """What is exported: a workspace's log from seq to seq, both included. None means the first, or the last event."""

    workspace: str
    from_seq: int | None = None
    to_seq: int | None = None


def export_log(settings: Settings, part: Part, path: Path | None, *, force: bool = False) -> int:
    """Write the bundle to the file at `path` (None: standard output), and enter the export in the audit.

    Returns how many events it has. The file appears only when it is complete, with mode 0600. An existing file is
    replaced only with `force`. Raises OutputError, DataDirectoryError, InstallError.
    """
    with written(path, force=force) as file, ready(settings, serving=False) as install:
        try:
            return asyncio.run(_export(settings, install, part, file))
        except InvalidInput as error:
            issue = error.issues[0]
            raise OutputError(f"{OPTIONS.get(issue.path, issue.path)} {issue.message}.") from None
        except NotFound:
            raise no_workspace(part.workspace) from None
        except ProcedureError as error:
            raise OutputError(f"The export broke off: {error.message}.") from None


async def _export(settings: Settings, install: ReadyInstall, part: Part, file: IO[bytes]) -> int:
    async with reading(settings, install) as read:
        exports = Exports(read.database, read.ledger, read.trees)
        export = await exports.open(part.workspace, part.from_seq, part.to_seq)
        detail = {"exportId": export.id, "fromSeq": export.first, "toSeq": export.last}
        with connect(install.database_url) as connection:
            enter(connection, "log.exported", detail, [part.workspace])
        return await _write(export, file)


async def _write(export: Export, file: IO[bytes]) -> int:
    total, events = export.last - export.first + 1, 0
    with Bar("events", total) as bar:
        async for text in export:
            file.write(text)
            events += text.count(b"\n{")  # each event begins a line, and no other line does so
            bar.show(events, events)
    return total


def export(
    *,
    workspace: str = DEFAULT_WORKSPACE,
    from_seq: int | None = None,
    to_seq: int | None = None,
    output: Annotated[Path | None, Parameter(name=["--output", "-o"])] = None,
    force: Flag = False,
) -> None:
    """Write a log of this install, or a part of it, as a signed bundle that `synap verify` can check.

    Parameters
    ----------
    workspace
        The workspace.
    from_seq
        The seq of the first event. Default: the first of the log.
    to_seq
        The seq of the last event. Default: the last of the log now.
    output
        The file to write. It appears only when it is complete. Default: standard output.
    force
        Replace the file if it exists.
    """
    check_workspace(workspace)
    for option, seq in (("--from-seq", from_seq), ("--to-seq", to_seq)):
        if seq is not None and not 0 <= seq < 2**53:
            raise UsageError(f"{option} must be from 0 to 2^53-1.")
    events = export_log(Settings.from_environment(), Part(workspace, from_seq, to_seq), output, force=force)
    if output is not None:
        print(f"{events} events of the log {workspace} are in {output}.")
