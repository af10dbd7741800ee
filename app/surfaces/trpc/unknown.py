"""The error for a path without a procedure, over HTTP and over WebSocket alike."""

from collections.abc import Mapping

from app.contract.operation import Kind
from procedures.procedure import Procedure
from schemas.errors import NotFound
from schemas.jsontext import MAX_ECHO


def unknown(path: str, procedures: Mapping[str, Procedure], kind: Kind | None = None) -> NotFound:
    """It begins as tRPC's own, and names the procedures of the same namespace (and `kind`, if that is required)."""
    namespace = path.replace("/", ".").partition(".")[0]
    known = sorted(
        name
        for name, procedure in procedures.items()
        if name.partition(".")[0] == namespace and kind in {None, procedure.kind}
    )
    hint = f"known are: {', '.join(known)}" if known else "procedures.list returns the procedures"
    wanted = "procedure" if kind is None else f"{kind} procedure"
    return NotFound(f'No {wanted} found on path "{path[:MAX_ECHO]}"; {hint}')
