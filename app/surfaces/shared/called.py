"""Calling a procedure for a door whose words differ from the procedure's: failures name the caller's own fields."""

from collections.abc import Callable, Mapping
from typing import Any

from procedures.call import Arrive, call
from procedures.context import Context
from procedures.procedure import Procedure
from schemas.errors import ProcedureError


async def called(
    procedure: Procedure,
    context: Context,
    read: Callable[[], Any],
    names: Mapping[str, str],
    workspace: str,
    *,
    arrive: Arrive | None = None,
) -> Any:
    """As `call`. `names` are what the door calls the procedure's fields; `workspace` is where the workspace was named.

    Only what the procedure refuses is renamed: what the door itself refuses is in its own words already.
    """
    try:
        return await call(procedure, context, read, arrive=arrive)
    except ProcedureError as error:
        error.rename({**names, "workspace": workspace})
        raise
