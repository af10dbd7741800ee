"""`synap receipt`: an event of this install with all that belongs to it, as one file that anyone can verify."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated
from uuid import UUID

from cyclopts import Parameter

from app.cli.arguments import Flag, UsageError, check_workspace
from app.cli.output import OutputError, written
from app.cli.reading import Reading, reading
from app.sealing.intent_ids import IntentIds
from app.server.install import ReadyInstall, ready
from app.settings import Settings
from app.store.install.secret import read_secret
from app.store.install.workspaces import DEFAULT_WORKSPACE, no_workspace
from app.store.ledger.heads import Heads
from app.store.ledger.receipts import Receipts
from app.store.ledger.travelling import NOT_YET, Travelling
from schemas.errors import NotFound, ProcedureError
from schemas.reference import named_event


def receipt(
    event_id: Annotated[str, Parameter(allow_leading_hyphen=True)],
    /,
    *,
    workspace: str = DEFAULT_WORKSPACE,
    tlog_proof: Flag = False,
    output: Annotated[Path | None, Parameter(name=["--output", "-o"])] = None,
    force: Flag = False,
) -> None:
    """Write the receipt of an event of this install, which `synap verify` explains without the server.

    If the event belongs to an intent, the receipt has who asked, for what, who decided, what started and how it ended.
    For any other event, the receipt has that event only. In both cases it has up to 64 causes as well.

    Parameters
    ----------
    event_id
        The id of the event, or its `evt_<hash>`.
    workspace
        The workspace.
    tlog_proof
        Write the proof of the event alone that leads to the witnesses of _node (C2SP tlog-proof).
    output
        The file to write. It appears only when it is complete. Default: standard output.
    force
        Replace the file if it exists.
    """
    check_workspace(workspace)
    reference = named_event(event_id)
    if reference is None:
        raise UsageError("EVENT_ID must be the UUID of an event, or its evt_<hash>.")
    settings = Settings.from_environment()
    make = _travelling if tlog_proof else _receipt
    with written(output, force=force) as file, ready(settings, serving=False) as install:
        try:
            file.write(asyncio.run(_made(settings, install, make, workspace, reference)))
        except NotFound as error:
            if error.field == "workspace":
                raise no_workspace(workspace) from None
            if error.message == NOT_YET:
                raise OutputError(f"{NOT_YET}.") from None
            raise OutputError(f"There is no event {event_id} in the workspace {workspace}.") from None
        except ProcedureError as error:
            raise OutputError(f"The receipt cannot be made: {error.message}.") from None


async def _made(
    settings: Settings,
    install: ReadyInstall,
    make: Callable[[Settings, Reading, str, UUID | bytes], Awaitable[bytes]],
    workspace: str,
    reference: UUID | bytes,
) -> bytes:
    async with reading(settings, install) as read:
        await read.ledger.tip(workspace)  # tells a workspace that does not exist from an event
        return await make(settings, read, workspace, reference)


async def _receipt(settings: Settings, read: Reading, workspace: str, reference: UUID | bytes) -> bytes:
    ids = IntentIds(read_secret(settings.secret_path))
    receipts = Receipts(read.database, read.ledger, read.trees, ids)
    return (await receipts.make(workspace, reference, None)).json + b"\n"


async def _travelling(_settings: Settings, read: Reading, workspace: str, reference: UUID | bytes) -> bytes:
    found = await read.ledger.find(workspace, reference)
    if found is None:
        raise NotFound("Event not found", field="eventId")
    heads = Heads(read.database, read.trees)
    return (await Travelling(read.trees, read.ledger, heads).proof(workspace, found)).encode()
