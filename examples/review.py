"""A metadata kind of your own: what a reviewer thought of the subject of an event.

Copy this file to the folder in which you start the server, and name it in the setting::

    SYNAP_EXTENSIONS=review synap serve

The server then validates `metadata.review` of every event like the built-in kinds, with the same errors
(`metadata.review.stars: must be a whole number of stars from 1 to 5`). `synap contract --typescript` prints its type.
One class and one line are enough.

- A field is required unless it has a default. Absent and null are equal. A default is never written into an event.
- Python's `snake_case` is `camelCase` on the wire: `would_recommend` is `metadata.review.wouldRecommend`.
- Members that the class does not declare are rejected.
- `Meta` limits a value, and `extra={"message": ...}` is the error that a caller gets for a wrong one.

A kind is permanent, because events with it stay in the log. Add optional fields rather than change existing ones.
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
