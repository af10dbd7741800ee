"""A metadata kind of your own: what a reviewer thought of the thing that an event is about.

Copy this file to the folder in which you start the server, name it, and start::

    SYNAP_EXTENSIONS=review synap serve

From then on `metadata.review` of every event is validated like the built-in kinds, with the same errors
(`metadata.review.stars: must be a whole number of stars from 1 to 5`), and `synap contract --typescript` types it.
Nothing else has to be registered: one class, one line.

- A field is required unless it has a default. Absent and null are the same; a default is never written into an event.
- Python's `snake_case` is `camelCase` on the wire: `would_recommend` is `metadata.review.wouldRecommend`.
- Fields that the class does not name are refused.
- `Meta` bounds a value, and `extra={"message": ...}` is what a caller reads when it does not fit.

A kind stays: events that carry it are in the log for good. Add optional fields to it rather than change what is there.
"""

from typing import Annotated, Literal

from msgspec import Meta

from schemas.base import Section, Text
from schemas.metadata import metadata_type

Stars = Annotated[int, Meta(ge=1, le=5, extra={"message": "must be a whole number of stars from 1 to 5"})]


class Review(Section, frozen=True, kw_only=True):
    """What a reviewer thought."""

    stars: Stars
    verdict: Literal["approved", "changes_requested", "rejected"]
    comment: Text | None = None
    would_recommend: bool = False


metadata_type(review=Review)
