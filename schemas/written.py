"""Outputs that are JSON already."""

from typing import Any, Generic, TypeVar

import msgspec

T = TypeVar("T")


class Written(Generic[T]):
    """The JSON of a `T`, as the store wrote it: a door that speaks plain JSON sends it as it is.

    It is there in parts, so that a large one need not be copied to be written.
    """

    __slots__ = ("parts",)

    def __init__(self, *parts: bytes) -> None:
        self.parts = parts

    @property
    def json(self) -> bytes:
        """All of it. A copy, unless it is one part."""
        return b"".join(self.parts)

    def read(self, kind: Any) -> T:
        """The value, for a door that needs to look into it. `kind` is `T`, which Python does not keep."""
        value: T = msgspec.json.decode(self.json, type=kind)
        return value


class Tracked(Written[T]):
    """A value of a stream, and the id to resume behind. One is shared by all who read the same stream."""

    __slots__ = ("id", "over_socket", "over_sse")

    def __init__(self, id: str, json: bytes) -> None:
        super().__init__(json)
        self.id = id
        self.over_sse: bytes | None = None
        """What a door made of it, so that it is made once and not for each reader."""
        self.over_socket: bytes | None = None
