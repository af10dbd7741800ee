"""`synap receipt`: an event of this install with all that belongs to it, as one file that anyone can verify."""

import asyncio
from pathlib import Path
from typing import Annotated
from uuid import UUID

from cyclopts import Parameter

from app.cli.arguments import Flag, UsageError, check_workspace
from app.cli.output import OutputError, written
from app.ledger.keyring import Keyring
from app.sealing.intent_ids import IntentIds
from app.server.install import ReadyInstall, ready
from app.settings import Settings
from app.store.install.secret import read_secret
from app.store.install.workspaces import DEFAULT_WORKSPACE, no_workspace
from app.store.ledger.ledger import Ledger
from app.store.ledger.receipts import Receipts
from app.store.ledger.trees import Trees
from app.store.postgres.database import Database
from schemas.errors import NotFound, ProcedureError
from schemas.reference import named_event


def receipt(
    event_id: Annotated[str, Parameter(allow_leading_hyphen=True)],
    /,
    *,
    workspace: str = DEFAULT_WORKSPACE,
    output: Annotated[Path | None, Parameter(name=["--output", "-o"])] = None,
    force: Flag = False,
) -> None:
    """Write the receipt of an event of this install, which `synap verify` explains without the server.

    If the event belongs to an intent, the receipt has who asked, for what, who decided, what started and how it ended.
    Any other event comes alone. Both come with up to 64 causes.

    Parameters
    ----------
    event_id
        The id of the event, or its `evt_<hash>`.
    workspace
        The workspace.
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
    with written(output, force=force) as file, ready(settings, serving=False) as install:
        try:
            file.write(asyncio.run(_made(settings, install, workspace, reference)) + b"\n")
        except NotFound as error:
            if error.field == "workspace":
                raise no_workspace(workspace) from None
            raise OutputError(f"There is no event {event_id} in the workspace {workspace}.") from None
        except ProcedureError as error:
            raise OutputError(f"The receipt cannot be made: {error.message}.") from None


async def _made(settings: Settings, install: ReadyInstall, workspace: str, reference: UUID | bytes) -> bytes:
    database = Database(install.database_url)
    await database.open()
    trees = Trees(database)
    try:
        ledger = Ledger(database, trees, Keyring(settings.node_key_path), install.origin)
        receipts = Receipts(database, ledger, trees, IntentIds(read_secret(settings.secret_path)))
        await ledger.tip(workspace)  # tells a workspace that does not exist from an event
        return (await receipts.make(workspace, reference, None)).json
    finally:
        await trees.close()
        await database.close()
