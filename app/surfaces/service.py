"""The service door: is the process alive, can it serve."""

from litestar import Response, get

from app.store.readiness import Readiness


@get("/healthz", sync_to_thread=False)
def healthz() -> dict[str, str]:
    """The process answers."""
    return {"status": "ok"}


@get("/readyz")
async def readyz(readiness: Readiness) -> Response[dict[str, str]]:
    """The database is reachable and migrated; else 503 and what is missing."""
    problem = await readiness.problem()
    if problem is None:
        return Response({"status": "ready"})
    return Response({"status": "unready", "reason": problem}, status_code=503)
