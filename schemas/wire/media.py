"""Media types with their parameters (RFC 9110, section 8.3), and text in the charset that they name."""

import codecs
import re

from schemas.errors import UnsupportedMedia

_PARAMETER = re.compile(r';\s*([^=;\s]+)\s*=\s*("(?:[^"\\]|\\.)*"|[^;]*)')

_IS_UTF8 = frozenset({"utf-8", "ascii"})
"""Python's names of the charsets whose bytes are UTF-8."""

_CHARSETS = re.compile(
    r"utf-8|ascii|utf-(16|32)(-[bl]e)?|iso8859-\d+|cp125\d|koi8-[ru]|shift_jis|euc_(jp|kr)|gb(2312|k|18030)|big5"
)
"""Python's names of the charsets that the server reads: those of pages and mail, not Python's stranger codecs."""


def charset_of(content_type: str) -> str | None:
    """The charset that a media type names, in Python's spelling; None if it names no charset.

    Raises UnsupportedMedia if the charset is unknown, or if there are two.
    """
    if ";" not in content_type:
        return None
    named = {value.strip().strip('"') for name, value in _PARAMETER.findall(content_type) if name.lower() == "charset"}
    if not named:
        return None
    try:
        [name] = named
        charset = codecs.lookup(name).name
    except (LookupError, ValueError):  # also if there are two charsets, or the name is not valid text
        charset = ""
    if not _CHARSETS.fullmatch(charset):
        raise UnsupportedMedia("The charset in Content-Type is unknown; send UTF-8", field="Content-Type")
    return charset


def refuse_other_charset(content_type: str) -> None:
    """Raise UnsupportedMedia if a media type of JSON names a charset other than UTF-8 (RFC 8259, section 8.1)."""
    if charset_of(content_type) not in {None, *_IS_UTF8}:
        raise UnsupportedMedia(
            "JSON must be in UTF-8; send UTF-8, and name no other charset in Content-Type", field="Content-Type"
        )


def without_utf8(content_type: str) -> str:
    """A media type without its charset if that is UTF-8, which is the charset of JSON anyway."""
    is_utf8 = charset_of(content_type) in _IS_UTF8
    kind, *_ = content_type.split(";", 1)
    kept = [
        f"{name}={value.strip()}"
        for name, value in _PARAMETER.findall(content_type)
        if not (is_utf8 and name.lower() == "charset")
    ]
    return "; ".join([kind.strip(), *kept])
