"""Who calls, over whatever transport."""

from collections.abc import Mapping

from app.auth import Authenticator
from app.surfaces.requests import bearer_token
from procedures.context import Context, Services


async def find_context(
    services: Services,
    authenticator: Authenticator,
    headers: dict[bytes, bytes],
    params: Mapping[str, str],
    request_id: str,
) -> Context:
    """Who calls, and in which workspace: by headers, else by `connectionParams`.

    Raises Unauthorized, Forbidden, NotFound, Unavailable.
    """
    token = bearer_token(headers) or params.get("token")
    principal = await authenticator.principal(token)
    named = headers.get(b"x-workspace-id")
    workspace = named.decode("latin-1") if named is not None else params.get("workspaceId")
    return Context(services, principal, await authenticator.workspace(principal, workspace or None), request_id)
