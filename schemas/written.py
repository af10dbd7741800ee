"""Outputs that are JSON already."""

from typing import Any, Generic, TypeVar

import msgspec

T = TypeVar("T")


class Written(Generic[T]):
    """The JSON of a `T`, as the store wrote it: a door that speaks plain JSON sends it as it is."""

    __slots__ = ("json",)

    def __init__(self, json: bytes) -> None:
        self.json = json

    def read(self, kind: Any) -> T:
        """The value, for a door that needs to look into it. `kind` is `T`, which Python does not keep."""
        value: T = msgspec.json.decode(self.json, type=kind)
        return value
