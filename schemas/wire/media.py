"""Media types with their parameters (RFC 9110, section 8.3), and text in the charset that they name."""

import codecs
import re

from schemas.errors import UnsupportedMedia

_PARAMETER = re.compile(r';\s*([^=;\s]+)\s*=\s*("(?:[^"\\]|\\.)*"|[^;]*)')

_IS_UTF8 = frozenset({"utf-8", "ascii"})
"""Names of Python's for charsets whose bytes are UTF-8."""

_CHARSETS = re.compile(
    r"utf-8|ascii|utf-(16|32)(-[bl]e)?|iso8859-\d+|cp125\d|koi8-[ru]|shift_jis|euc_(jp|kr)|gb(2312|k|18030)|big5"
)
"""Names of Python's for the charsets that are read: what pages and mail are written in. Python has odder codecs."""


def charset_of(content_type: str) -> str | None:
    """The charset that a media type names, by Python's name for it; None where it names none.

    Raises UnsupportedMedia for one that is not known, or two.
    """
    named = {value.strip().strip('"') for name, value in _PARAMETER.findall(content_type) if name.lower() == "charset"}
    if not named:
        return None
    try:
        [name] = named
        charset = codecs.lookup(name).name
    except (LookupError, ValueError):  # also: there are two, or a name is no text
        charset = ""
    if not _CHARSETS.fullmatch(charset):
        raise UnsupportedMedia("The charset of Content-Type is not known here; send UTF-8", field="Content-Type")
    return charset


def refuse_other_charset(content_type: str) -> None:
    """Refuse JSON in another charset than UTF-8 (RFC 8259, section 8.1). Raises UnsupportedMedia."""
    if charset_of(content_type) not in {None, *_IS_UTF8}:
        raise UnsupportedMedia(
            "JSON is read as UTF-8: send it so, and no other charset in Content-Type", field="Content-Type"
        )


def without_utf8(content_type: str) -> str:
    """A media type without a charset that says UTF-8: that is what JSON is in."""
    is_utf8 = charset_of(content_type) in _IS_UTF8
    kind, *_ = content_type.split(";", 1)
    kept = [
        f"{name}={value.strip()}"
        for name, value in _PARAMETER.findall(content_type)
        if not (is_utf8 and name.lower() == "charset")
    ]
    return "; ".join([kind.strip(), *kept])
