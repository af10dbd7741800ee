"""Finds the caller, over any transport."""

from collections.abc import Mapping

from app.access.authenticator import Authenticator
from app.surfaces.shared.failures import told
from app.surfaces.shared.requests import bearer_token, token_of
from procedures.context import Context, Services
from schemas.errors import Unauthorized


async def find_context(
    services: Services,
    authenticator: Authenticator,
    headers: dict[bytes, bytes],
    params: Mapping[str, str],
    request_id: str,
    traceparent: str | None = None,
) -> Context:
    """The caller and the workspace, from the headers or else from `connectionParams`; and the trace from the headers.

    Raises Unauthorized, Forbidden, NotFound, Unavailable; Internal if the lookup fails unexpectedly.
    """
    try:
        token = token_of(headers, params)
        principal = await authenticator.principal(token)
        named = headers.get(b"x-workspace-id")
        workspace = named.decode("latin-1") if named is not None else params.get("workspaceId")
        named_workspace = await authenticator.workspace(principal, workspace or None)
        return Context(services, principal, named_workspace, request_id, traceparent)
    except Exception as failed:  # noqa: BLE001 - whatever it is, each call is answered
        error = told(failed, "trpc", request_id)
        raise error from None if error is failed else failed


def without_token(params: Mapping[str, str], headers: Mapping[bytes, bytes]) -> Mapping[str, str]:
    """`connectionParams` of a call that is not a stream. A token in them is ignored, because proxies log URLs.

    Raises Unauthorized if there is no other token.
    """
    if "token" not in params:
        return params
    if bearer_token(headers) is None:
        raise Unauthorized(
            "A token in the URL works only for event streams and WebSockets; send it as 'Authorization: Bearer <token>'"
        )
    return {name: value for name, value in params.items() if name != "token"}
