"""Opaque places in an order, authenticated with the install secret so that nobody can invent one."""

import base64
import hmac
from hashlib import sha256

import msgspec
from msgspec import Struct

from schemas.errors import InvalidInput, Issue

_MAC_BYTES = 16


class Cursor(Struct, frozen=True, array_like=True):
    """The last row of a page. `total` was counted for the filter whose digest is `filter`.

    `values` are the row's values of the keys that the order compares before seq, as text. So the place stays the same
    when the row changes.
    """

    order: str
    workspace: str
    seq: int
    filter: bytes
    total: int
    values: tuple[str | None, ...] = ()


class Cursors:
    """Writes and opens cursors. All machines of one database share the secret."""

    def __init__(self, secret: bytes) -> None:
        self._secret = sha256(b"synap/cursor/v1\n" + secret).digest()

    def seal(self, cursor: Cursor) -> str:
        """`cursor` as URL-safe text."""
        content = msgspec.msgpack.encode(cursor)
        return base64.urlsafe_b64encode(self._mac(content) + content).decode().rstrip("=")

    def open(
        self, text: str, *, order: str, workspace: str, filter: bytes | None = None, field: str = "cursor"
    ) -> Cursor:
        """The cursor in `text`. Raises InvalidInput if it was not made here for this order and workspace.

        With `filter` it must also have been made for that filter.
        """
        try:
            raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
            mac, content = raw[:_MAC_BYTES], raw[_MAC_BYTES:]
            cursor = (
                msgspec.msgpack.decode(content, type=Cursor) if hmac.compare_digest(mac, self._mac(content)) else None
            )
        except (ValueError, msgspec.MsgspecError):
            cursor = None
        if (
            cursor is None
            or (cursor.order, cursor.workspace) != (order, workspace)
            or filter not in {None, cursor.filter}
        ):
            raise InvalidInput(
                [
                    Issue(
                        field,
                        "is not a cursor of this list; send one from an earlier page, unchanged",
                        "invalid_cursor",
                    )
                ]
            )
        return cursor

    def _mac(self, content: bytes) -> bytes:
        return hmac.digest(self._secret, content, "sha256")[:_MAC_BYTES]
