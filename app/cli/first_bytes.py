"""Recognises files by their first bytes, for commands that read JSON. It names other kinds, with the remedy."""

import codecs
import gzip
import io
import re
import zlib
from typing import Protocol

HEAD_BYTES = 4096
GZIP = b"\x1f\x8b"
BOM = codecs.BOM_UTF8

_ENOUGH = 16
"""Enough bytes to recognise a file that does not begin like JSON."""

_AS_UTF8 = "save it as UTF-8 (iconv -f {} -t UTF-8)"
_AS_JSON = "write its rows as JSON, one object a line"

_KINDS: list[tuple[bytes, str, str]] = [
    (codecs.BOM_UTF32_LE, "text in UTF-32", _AS_UTF8.format("UTF-32")),
    (codecs.BOM_UTF32_BE, "text in UTF-32", _AS_UTF8.format("UTF-32")),
    (codecs.BOM_UTF16_LE, "text in UTF-16", _AS_UTF8.format("UTF-16")),
    (codecs.BOM_UTF16_BE, "text in UTF-16", _AS_UTF8.format("UTF-16")),
    (GZIP, "compressed by gzip twice", "decompress it (gzip -d)"),
    (b"PK\x03\x04", "a zip archive", "unpack it (unzip)"),
    (b"PK\x05\x06", "a zip archive without a file", "name another file"),
    (b"\x28\xb5\x2f\xfd", "compressed by zstd", "decompress it (zstd -d)"),
    (b"\xfd7zXZ\x00", "compressed by xz", "decompress it (xz -d)"),
    (b"BZh", "compressed by bzip2", "decompress it (bzip2 -d)"),
    (b"\x04\x22\x4d\x18", "compressed by lz4", "decompress it (lz4 -d)"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", "unpack it (7z x)"),
    (b"PAR1", "a Parquet file", _AS_JSON),
    (b"ORC", "an ORC file", _AS_JSON),
    (b"Obj\x01", "an Avro file", _AS_JSON),
    (b"SQLite format 3\x00", "an SQLite database", _AS_JSON),
    (b"PGDMP", "a dump of a PostgreSQL database", "restore it with pg_restore"),
    (b"%PDF-", "a PDF", "name a file of JSON"),
]
"""How other kinds of files begin, what they are, and the remedy."""

_HTML = re.compile(rb"<(!doctype html|html|head|body)\b", re.IGNORECASE)
_FIELD = rb'(?:"[^"{}\r\n]*"|[\w .-]+)'
_CSV = re.compile(rb"%b(?:[,;\t]%b)+\r?\n" % (_FIELD, _FIELD))


class NotReadableError(ValueError):
    """A file is not JSON. The message follows the word `it`: `is a zip archive; unpack it (unzip)`."""


class ByteReader(Protocol):
    """A file without a buffer: `read` returns the bytes that are available, and nothing at the end."""

    def read(self, size: int, /) -> bytes | None:
        """At most `size` bytes."""


def unpacked(file: ByteReader) -> io.RawIOBase:
    """The text of a file from its current position: decompressed if it is gzip, without a byte order mark.

    Raises NotReadableError if the file is not JSON; reading raises it if compressed data is damaged.
    """
    source, head = file, _head(file)
    if head.startswith(GZIP):
        source = _Gunzipped(_Chained(head, file))
        head = _head(source)
    refuse_other_kinds(head)
    return _Chained(head.removeprefix(BOM), source)


def refuse_other_kinds(head: bytes) -> None:
    """Raise NotReadableError if a file with this beginning is not JSON in UTF-8."""
    for start, kind, remedy in _KINDS:
        if head.startswith(start):
            raise NotReadableError(f"is {kind}; {remedy}")
    if head[257:262] == b"ustar":
        raise NotReadableError("is a tar archive; unpack it (tar -x)")
    if b"\x00" in head[:4]:  # a bracket or a quote in two or four bytes
        width = 32 if head[:4].count(b"\x00") == 3 else 16
        raise NotReadableError(f"is text in UTF-{width} or binary data; {_AS_UTF8.format(f'UTF-{width}')}")
    text = head.removeprefix(BOM).lstrip()
    if _HTML.match(text):
        raise NotReadableError("is a page in HTML; fetch the data itself, with the token that it needs")
    if text.startswith(b"<"):
        raise NotReadableError("is XML; write it as JSON")
    if _CSV.match(text):
        raise NotReadableError(f"is CSV; {_AS_JSON}")


def _head(source: ByteReader) -> bytes:
    """The first bytes. It reads only enough of a pipe to see whether the text begins like JSON."""
    head = b""
    while len(head) < _ENOUGH and head.lstrip()[:1] not in {b"{", b"["} and (more := source.read(HEAD_BYTES)):
        head += more
    return head


class _Chained(io.RawIOBase):
    """Bytes that were read already, then the rest."""

    def __init__(self, head: bytes, rest: ByteReader) -> None:
        super().__init__()
        self._head = head
        self._rest = rest

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview, /) -> int:  # type: ignore[override]
        data, self._head = self._head[: len(buffer)], self._head[len(buffer) :]
        data = data or self._rest.read(len(buffer)) or b""
        buffer[: len(data)] = data
        return len(data)


class _Gunzipped:
    """The decompressed content of a file."""

    def __init__(self, file: io.RawIOBase) -> None:
        self._file = gzip.GzipFile(fileobj=file)

    def read(self, size: int, /) -> bytes:
        try:
            return self._file.read1(size)
        except EOFError:
            raise NotReadableError("is gzip that ends too early; fetch it again") from None
        except (gzip.BadGzipFile, zlib.error):
            raise NotReadableError("is gzip that is damaged; fetch it again") from None
