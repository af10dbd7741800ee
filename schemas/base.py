"""Bases of every Struct on the wire, and the constrained types that they share.

Structs validate, they do not rewrite: what a caller sent is what is stored, hashed and returned.
"""

from datetime import datetime
from typing import Annotated, Any, Literal

from msgspec import Meta, Raw, Struct

NO_NUL = r"\A[^\x00]*\Z"
"""PostgreSQL cannot hold U+0000 in text; only free records (kept as escaped JSON) may carry it."""

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
"""A point in time; a naive one is refused."""

InstantText = Annotated[str, Meta(extra={"shape": "instant"})]
"""A point in time as we print it: UTC, six digits, `Z`. As text: msgspec leaves out zero fractions."""

Count = Annotated[int, Meta(ge=0, le=2**53 - 1, extra={"message": "must be a whole number from 0 to 2^53-1"})]
"""A count that JavaScript can hold."""

Record = dict[str, Any]
"""A free JSON object."""

RawRecord = Annotated[Raw, Meta(extra={"shape": "record", "message": "must be a JSON object"})]
"""A free JSON object, kept as its bytes until it is written canonically."""

RawMetadata = Annotated[Raw, Meta(extra={"shape": "metadata", "message": "must be a JSON object"})]
"""Typed metadata as bytes; the kinds are registered after Python fixed our types, so `MetadataKinds` checks them."""


Way = Literal["forward", "backward"]
"""Which way a page lies from a cursor. `@trpc/tanstack-react-query` sends it with every page of an infinite query."""


class Input(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """What a procedure takes. Unknown fields are refused by name; null means absent."""

    @classmethod
    def oversized(cls, sent: bytes, max_event_bytes: int) -> str | None:  # noqa: ARG003 - most inputs have no events
        """The path of the first event that is larger, as it was sent, than an event may be; None for none."""
        return None


class Output(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """What a procedure answers. Unset fields are absent, not null."""


class Marker(Output, frozen=True, kw_only=True):
    """What a stream says of itself, between its values. A reader that has seen it may resume behind its `cursor`."""

    cursor: str


class Section(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """A kind of metadata, or a part of one: typed, camelCase on the wire, unknown fields refused."""
