"""Outputs that the store has already written as JSON."""

from typing import Any, Generic, TypeVar

import msgspec

T = TypeVar("T")


class Written(Generic[T]):
    """The JSON of a `T`, as the store wrote it. A door that speaks plain JSON sends it unchanged.

    It is in parts, so that a large value is not copied before it is sent.
    """

    __slots__ = ("parts",)

    def __init__(self, *parts: bytes) -> None:
        self.parts = parts

    @property
    def json(self) -> bytes:
        """The whole JSON. This copies it if there are several parts."""
        return b"".join(self.parts)

    def read(self, kind: Any) -> T:
        """The value, for a door that needs its members. `kind` is `T`, which Python does not know at run time."""
        value: T = msgspec.json.decode(self.json, type=kind)
        return value


class Tracked(Written[T]):
    """A value of a stream, and the id after which to resume. All readers of the same stream share one instance."""

    __slots__ = ("id", "over_socket", "over_sse")

    def __init__(self, id: str, json: bytes) -> None:
        super().__init__(json)
        self.id = id
        self.over_sse: bytes | None = None
        """The frame for event streams, which the door makes once for all readers."""
        self.over_socket: bytes | None = None
