"""`synap doctor --rebuild-intents`: the state of intents is made again from the logs."""

from collections.abc import Iterator

from app.cli.doctor.finding import Finding, wrong
from app.sealing.intent_ids import IntentIds
from app.settings import Settings
from app.store.audit.log import enter
from app.store.events.intents import HAS_INTENTS
from app.store.install.secret import read_secret, require_secret
from app.store.install.workspaces import list_workspaces
from app.store.intents.rebuild import rebuild_intents
from app.store.postgres.driver import Connection, DatabaseError, refusal


def rebuild(settings: Settings, connection: Connection) -> Iterator[Finding]:
    """Compare the state of every intent with the logs, and make it again where it differs. Raises SecretError."""
    require_secret(connection, settings.secret_path)
    ids = IntentIds(read_secret(settings.secret_path))
    try:
        if connection.execute(HAS_INTENTS).fetchone() != (True,):
            yield wrong("The schema does not know intents yet; synap migrate brings it to its newest version.")
            return
        yield from _rebuilt(connection, ids)
    except DatabaseError as error:
        yield wrong(refusal(error))


def _rebuilt(connection: Connection, ids: IntentIds) -> Iterator[Finding]:
    intents, is_right = 0, True
    for workspace, _ in list_workspaces(connection):
        rebuilt = rebuild_intents(connection, workspace, ids)
        intents += rebuilt.intents
        if rebuilt.differed:
            is_right = False
            detail = {"intents": rebuilt.intents, "differed": rebuilt.differed}
            enter(connection, "intents.rebuilt", detail, [workspace])
            yield wrong(
                f"The state of {rebuilt.differed} intents of {workspace} was not what its log says; it was made again."
            )
    if is_right:
        yield Finding(is_right=True, sentence=f"The state of every intent ({intents}) is what its log says.")
