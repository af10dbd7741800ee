"""Which authors may sign the events of a key, and whether one must.

A schema before 0016 cannot store that. Then no key is bound to authors, and none can be.
"""

from msgspec import Struct
from msgspec.structs import asdict

KEY_AUTHORS = """ARRAY(SELECT jsonb_array_elements_text(coalesce(to_jsonb(api_key) -> 'authors', '[]'))),
    coalesce((to_jsonb(api_key) ->> 'author_required')::boolean, false)"""
"""Which authors may sign the events of a key, and whether one must. A schema before 0016 has neither column."""

HAS_AUTHORS = """
SELECT EXISTS (SELECT FROM pg_attribute WHERE attrelid = to_regclass('api_key') AND attname = 'author_required')
"""
"""Whether the schema can bind keys to authors."""

BIND_KEY = """
UPDATE api_key SET authors = %(authors)s, author_required = %(author_required)s WHERE token_sha256 = %(token_sha256)s
"""
"""Binds the key that was just issued to authors."""

COPY_AUTHORS = """
UPDATE api_key SET authors = held.authors, author_required = held.author_required
FROM api_key AS held WHERE held.id = %(id)s AND api_key.token_sha256 = %(token_sha256)s
"""
"""Binds the key that was just issued as the key before it is bound."""

TOO_OLD = "This database cannot bind keys to authors yet; an administrator must run: synap migrate"


class Binding(Struct, frozen=True):
    """The dids that alone may sign the events of a key (empty: any), and whether one must sign them."""

    authors: list[str]
    author_required: bool

    def __bool__(self) -> bool:
        """Whether it says anything."""
        return bool(self.authors) or self.author_required

    def of(self, token_sha256: bytes) -> dict[str, object]:
        """What `BIND_KEY` stores for the key with this token."""
        return asdict(self) | {"token_sha256": token_sha256}


UNBOUND = Binding([], author_required=False)
