"""The intended differences: requests that our doors reject and the official server accepts."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """The error of our server: its JSON-RPC code, name and HTTP status, and a text that its message contains."""

    error: tuple[int, str, int]
    names: str


def repeated(parameter: str) -> Refusal:
    """The refusal of a repeated parameter. The reference reads the first value; our server does not guess."""
    return Refusal(error=(-32600, "BAD_REQUEST", 400), names=f"The parameter {parameter} is given more than once")


OTHER_CHARSET = Refusal(error=(-32015, "UNSUPPORTED_MEDIA_TYPE", 415), names="Content-Type")
"""JSON is UTF-8: a body that claims to be in another charset would be stored garbled."""

WRONG_TRANSFORMER = Refusal(error=(-32600, "BAD_REQUEST", 400), names="set the client's transformer to superjson")
"""No client with superjson sends `{}`. A client without it does, but could not read the answers."""
