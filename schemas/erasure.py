"""Erasure: which events lose their bodies, and the result (`docs/reference/evlog1.md`, Erasure)."""

from typing import Annotated, ClassVar
from uuid import UUID

from msgspec import Meta

from schemas.base import Input, Output, ShortText
from schemas.reference import EventName

MAX_IDS = 1000


class EraseEvents(Input, frozen=True, kw_only=True):
    """Which events to erase: by exactly one of `ids`, `userId` (all of that user) and `subjectId` (all about it)."""

    ids: (
        Annotated[list[EventName], Meta(min_length=1, max_length=MAX_IDS, extra={"message": "must have 1 to 1000 ids"})]
        | None
    ) = None
    user_id: ShortText | None = None
    subject_id: ShortText | None = None

    __one_of__: ClassVar[tuple[tuple[str, ...], ...]] = (("ids",), ("user_id",), ("subject_id",))


class Erased(Output, frozen=True, kw_only=True):
    """How many events this call erased, and the ids of the `synap.event.erased` events that record it in the log."""

    erased: int
    events: list[UUID]
