"""The last handler: it takes the failures that nobody expected, and makes of each a line in the log and a number.

A procedure's own are `procedures/call.py`'s. What is left are those before a procedure, where a door reads, and behind
it, where a door writes.
"""

from litestar.types import Scope

from app.telemetry.metrics import FAILURES
from procedures.call import log_defect
from schemas.errors import Internal, ProcedureError


def told(failed: BaseException, door: str, request_id: str) -> ProcedureError:
    """What the caller is told of a failure: itself where it is one of ours, else Internal, which is logged here."""
    if isinstance(failed, ProcedureError):
        return failed
    FAILURES.add(door)
    log_defect(f"({door})", request_id, failed)
    error = Internal()
    error.logged = True
    return error


def door_of(scope: Scope) -> str:
    """The name of the door that a request came by, as its route has it."""
    handler = scope.get("route_handler")
    return "service" if handler is None else str(handler.opt.get("door", "service"))
