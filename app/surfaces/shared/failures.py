"""The last handler for unexpected failures: it logs each one and turns it into an error.

`procedures/call.py` handles the failures of procedures. This module handles those before a procedure, when a door reads
the request, and after it, when a door writes the answer.
"""

from litestar.types import Scope

from app.telemetry.metrics import FAILURES
from procedures.call import log_defect
from schemas.errors import Internal, ProcedureError


def told(failed: BaseException, door: str, request_id: str) -> ProcedureError:
    """The error that the caller gets: the failure itself if it is ours, otherwise Internal, which is logged here."""
    if isinstance(failed, ProcedureError):
        return failed
    FAILURES.add(door)
    log_defect(f"({door})", request_id, failed)
    error = Internal()
    error.logged = True
    return error


def door_of(scope: Scope) -> str:
    """The name of the door that serves a request, from its route."""
    handler = scope.get("route_handler")
    return "service" if handler is None else str(handler.opt.get("door", "service"))
