"""Calls a procedure for a door with other member names: errors then use the names that the caller sent."""

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
    """Run `call` for a door. `names` maps the procedure's member names to the door's; `workspace` is its parameter.

    Only the procedure's errors are renamed. The door's own errors already use its names.
    """
    try:
        return await call(procedure, context, read, arrive=arrive)
    except ProcedureError as error:
        error.rename({**names, "workspace": workspace})
        raise
