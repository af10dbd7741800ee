"""The caller, as intents know it."""

from app.store.intents.reader import Viewer
from app.store.intents.standing import Caller
from procedures.context import Context
from schemas.principal import Scope


def viewer_of(context: Context) -> Viewer:
    """The caller as a reader of intents."""
    principal = context.principal
    return Viewer(
        principal.user_id,
        only_own=principal.reads_only is not None,
        decides_own=principal.allows(Scope.INTENTS_DECIDE_OWN),
    )


def caller_of(context: Context) -> Caller:
    """The caller as one who acts on intents."""
    principal = context.principal
    return Caller(
        principal.user_id,
        decides_own=principal.allows(Scope.INTENTS_DECIDE_OWN),
        sees_erased=principal.reads_only is None,
    )
