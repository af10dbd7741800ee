"""What our doors refuse and the official server takes, and how: the differences that are meant."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """The error that ours answers: its JSON-RPC code, its name, its HTTP status, and what its message names."""

    error: tuple[int, str, int]
    names: str


def repeated(parameter: str) -> Refusal:
    """Of two values of one parameter the reference reads the first; ours does not guess which one was meant."""
    return Refusal(error=(-32600, "BAD_REQUEST", 400), names=f"The parameter {parameter} is given more than once")


OTHER_CHARSET = Refusal(error=(-32015, "UNSUPPORTED_MEDIA_TYPE", 415), names="Content-Type")
"""JSON is UTF-8: a body that claims to be in another charset would be stored garbled."""

WRONG_TRANSFORMER = Refusal(error=(-32600, "BAD_REQUEST", 400), names="set the client's transformer to superjson")
"""No client with superjson sends `{}`; one without it does, and could not read the answers."""
