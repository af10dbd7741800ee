"""An extension: an event type with data of its own, which has every sort of member that a form shows."""

from typing import Literal

from schemas.base import Section, ShortText
from schemas.event_data import event_data


class Place(Section, frozen=True, kw_only=True):
    """Where something was measured."""

    room: ShortText
    floor: int | None = None


class Reading(Section, frozen=True, kw_only=True):
    """What a sensor measured."""

    sensor: ShortText
    celsius: float
    medium: Literal["air", "water"]
    calibrated: bool | None = None
    tags: list[ShortText] | None = None
    place: Place | None = None
    raw: dict[str, int] | None = None


event_data({"reading.taken": Reading})
