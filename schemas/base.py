"""Bases of every Struct on the wire, and the constrained types that they share.

Structs validate but do not rewrite: the server stores, hashes and returns what the caller sent.
"""

from datetime import datetime
from typing import Annotated, Any, ClassVar, Literal

from msgspec import Meta, Raw, Struct

NO_NUL = r"\A[^\x00]*\Z"
"""PostgreSQL cannot store U+0000 in text. Only free records, stored as escaped JSON, may contain it."""

Text = Annotated[str, Meta(pattern=NO_NUL, extra={"message": "must not contain U+0000"})]
"""Text of any length."""

ShortText = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=256,
        pattern=NO_NUL,
        extra={"message": "must have 1 to 256 characters, none of them U+0000"},
    ),
]
"""An id, a name, an agent: 1 to 256 characters, so that PostgreSQL can index it."""

Fraction = Annotated[float, Meta(ge=0, le=1, extra={"message": "must be a number from 0 to 1"})]
"""A score or confidence."""

Instant = Annotated[datetime, Meta(tz=True, extra={"message": "must be an RFC 3339 time with a UTC offset"})]
"""A point in time. A time without a UTC offset is rejected."""

InstantText = Annotated[str, Meta(extra={"shape": "instant"})]
"""A point in time as the server prints it: UTC, six digits, `Z`. It is text because msgspec omits zero fractions."""

Count = Annotated[int, Meta(ge=0, le=2**53 - 1, extra={"message": "must be a whole number from 0 to 2^53-1"})]
"""A count that JavaScript can hold."""

EventTypeName = Annotated[str, Meta(extra={"named": "EventType"})]
"""The type of a stored event: at least two segments with a dot between them. TypeScript has it as `EventType`."""

ErrorCode = Annotated[str, Meta(extra={"named": "ErrorCode"})]
"""A published error code. TypeScript has it as the union of all codes."""

Record = dict[str, Any]
"""A free JSON object."""

RawRecord = Annotated[Raw, Meta(extra={"shape": "record", "message": "must be a JSON object"})]
"""A free JSON object, held as the bytes that were sent until it is written canonically."""

RawMetadata = Annotated[Raw, Meta(extra={"shape": "metadata", "message": "must be a JSON object"})]
"""Typed metadata as bytes. Kinds are registered after Python has fixed this type, so `Drafting` checks them."""


Way = Literal["forward", "backward"]
"""The side of the cursor on which a page lies. `@trpc/tanstack-react-query` sends it with each infinite query page."""


class Input(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """The base of procedures' inputs. Unknown members are rejected by name; null means absent."""

    __one_of__: ClassVar[tuple[tuple[str, ...], ...]] = ()
    """Groups of fields: a caller sends the fields of exactly one group. The contract for TypeScript enforces it."""

    @classmethod
    def oversized(cls, sent: bytes, max_event_bytes: int) -> str | None:  # noqa: ARG003 - most inputs have no events
        """The path of the first event that exceeds `max_event_bytes` as it was sent; None if no event does."""
        return None


class Output(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """The base of procedures' outputs. Unset members are absent, not null."""


class Marker(Output, frozen=True, kw_only=True):
    """The base of what a stream sends between its values. A reader may resume after the marker's `cursor`."""

    cursor: str


class Section(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """The base of metadata kinds and their parts: typed, camelCase on the wire. Unknown members are rejected."""
