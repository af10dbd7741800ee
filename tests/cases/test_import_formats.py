"""Files that users gave to `synap import`: some contain events in another format, others are not JSON."""

import bz2
import gzip
import io
import json
import lzma
import sqlite3
import tracemalloc
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.cli.first_bytes import unpacked
from app.cli.importing.json_values import SplitError, splitter
from tests.cases.importing import Importer, notes
from tests.kit.checks import check_log
from tests.kit.examples import ALL
from tests.kit.servers import cloned

NOTES = list(notes(5))
LINES = "".join(json.dumps(each) + "\n" for each in NOTES).encode()
SECOND = LINES.index(b"\n") + 1
"""The place of the second line."""
ARRAY = json.dumps(NOTES).encode()
INDENTED = json.dumps(NOTES, indent=2, ensure_ascii=False).encode()
BOM = b"\xef\xbb\xbf"


@pytest.fixture
def importer(tmp_path: Path, database_url: str) -> Importer:
    return Importer(tmp_path, database_url)


@pytest.fixture(scope="module")
def refusing(postgres_url: str, template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Importer]:
    """One importer for all files that are rejected."""
    with cloned(postgres_url, template, "test_refusing") as url:
        yield Importer(tmp_path_factory.mktemp("refusing"), url)


IMPORTED = {
    "gzip": gzip.compress(LINES),
    "two parts of gzip, one behind the other": gzip.compress(LINES[:100]) + gzip.compress(LINES[100:]),
    "an array": ARRAY,
    "an array over many lines": INDENTED,
    "an array in gzip": gzip.compress(INDENTED),
    "an array behind a mark and white space": BOM + b"\r\n " + ARRAY + b"\r\n",
    "a mark": BOM + LINES,
    "a mark in gzip": gzip.compress(BOM + LINES),
    "two files with marks, one behind the other": BOM + LINES[:SECOND] + BOM + LINES[SECOND:],
    "lines behind a long line of white space": b" " * 2**21 + b"\n" + LINES,
    "lines that end in CRLF": LINES.replace(b"\n", b"\r\n"),
    "objects over many lines": "\n".join(json.dumps(each, indent=2) for each in NOTES).encode(),
    "no line end at the end": LINES.removesuffix(b"\n"),
}


THREE_TIMES = IMPORTED if ALL else ("gzip", "an array over many lines", "no line end at the end")
"""The files that are imported as a file again; `make soak` does that with all. Each is imported by a pipe again."""


@pytest.mark.parametrize("name", IMPORTED)
def test_events_in_another_format_are_imported_once(importer: Importer, name: str) -> None:
    file = importer.folder / "notes.data"
    file.write_bytes(IMPORTED[name])

    first = importer.run(file)
    by_pipe = importer.run("-", "--name", "notes.data", sent=IMPORTED[name])
    again = importer.run(file) if name in THREE_TIMES else by_pipe

    assert (first.returncode, first.stderr) == (0, "")
    assert "5 stored, 0 there already, 0 rejected" in first.stdout
    assert "0 stored, 5 there already, 0 rejected" in again.stdout
    assert "0 stored, 5 there already, 0 rejected" in by_pipe.stdout
    assert importer.numbers() == [0, 1, 2, 3, 4]
    check_log(importer.url)


def zipped() -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("notes.ndjson", LINES)
    return content.getvalue()


def sqlite() -> bytes:
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE TABLE note (n INTEGER)")
    return connection.serialize()


NAMED = {
    "UTF-16": (LINES.decode().encode("utf-16"), "is text in UTF-16; save it as UTF-8"),
    "UTF-16, the other way": (b"\xfe\xff" + LINES.decode().encode("utf-16-be"), "is text in UTF-16; save it as UTF-8"),
    "UTF-16 without a mark": (LINES.decode().encode("utf-16-le"), "is text in UTF-16 or binary data"),
    "UTF-32": (LINES.decode().encode("utf-32"), "is text in UTF-32; save it as UTF-8"),
    "CSV": (b"type,data.n\r\nnote.created,1\r\n", "is CSV; write its rows as JSON"),
    "CSV with quotes": (b'"type";"data n"\n"note.created";1\n', "is CSV; write its rows as JSON"),
    "zip": (zipped(), "is a zip archive; unpack it"),
    "zip in gzip": (gzip.compress(zipped()), "is a zip archive; unpack it"),
    "gzip in gzip": (gzip.compress(gzip.compress(LINES)), "is compressed by gzip twice"),
    "zstd": (b"\x28\xb5\x2f\xfd\x04\x00", "is compressed by zstd; decompress it"),
    "xz": (lzma.compress(LINES), "is compressed by xz; decompress it"),
    "bzip2": (bz2.compress(LINES), "is compressed by bzip2; decompress it"),
    "parquet": (b"PAR1\x15\x04PAR1", "is a Parquet file; write its rows as JSON"),
    "sqlite": (sqlite(), "is an SQLite database; write its rows as JSON"),
    "HTML": (b"\n<!DOCTYPE html><html><title>Sign in</title>", "is a page in HTML; fetch the data itself"),
    "XML": (b'<?xml version="1.0"?><events/>', "is XML; write it as JSON"),
    "an array that is cut off": (ARRAY[:-30], "ends within its JSON array"),
    "more than an array": (ARRAY + b"\n" + ARRAY, "has more text after its JSON array"),
    "gzip that is cut off": (gzip.compress(LINES)[:-10], "is gzip that ends too early"),
    "gzip that is damaged": (gzip.compress(LINES)[:-8] + bytes(8), "is gzip that is damaged"),
}


@pytest.mark.parametrize("by_pipe", [False, True], ids=["file", "pipe"])
@pytest.mark.parametrize(("content", "said"), NAMED.values(), ids=list(NAMED))
def test_a_file_that_is_no_json_is_named_by_its_type(
    refusing: Importer, content: bytes, said: str, *, by_pipe: bool
) -> None:
    file = refusing.folder / "notes.data"
    file.write_bytes(content)

    done = refusing.run("-", "--name", "x", sent=content) if by_pipe else refusing.run(file)

    [sentence] = done.stderr.splitlines()
    assert done.returncode == 2
    assert f" cannot be read: it {said}" in sentence


def test_a_bad_element_is_named_by_its_place_and_can_be_fixed(importer: Importer) -> None:
    file = importer.folder / "notes.json"
    file.write_text(json.dumps([*NOTES[:2], {"type": "note"}, *NOTES[3:]], indent=1))

    refused = importer.run(file)
    file.write_text(json.dumps(NOTES, indent=1))
    mended = importer.run(file)

    assert refused.returncode == 1
    assert "notes.json, event 3: type: " in refused.stderr
    assert "correct that event and run the same command again" in refused.stderr
    assert (mended.returncode, mended.stderr) == (0, "")
    assert importer.numbers() == [0, 1, 2, 3, 4]


def test_a_large_array_is_read_in_memory_that_is_bounded() -> None:
    count, event = 20_000, json.dumps(next(notes(1))).encode()
    content = gzip.compress(b"[%b]" % b",\n".join([event] * count), compresslevel=1)
    text = unpacked(io.BytesIO(content))
    found = 0

    tracemalloc.start()
    values = splitter(b"[", 10**6)
    while chunk := text.read(2**16):
        found += len(values.feed(chunk))
    found += len(values.end())
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert found == count
    assert most < 2**20, "all values together are larger"


def test_an_element_that_is_too_large_costs_no_more_than_the_limit(importer: Importer) -> None:
    large = {"type": "note.created", "data": {"n": 9, "text": "x" * 3_000_000}}
    file = importer.folder / "notes.json"
    file.write_text(json.dumps([NOTES[0], large, NOTES[1]]))

    done = importer.run(file, "--skip-bad", importer.folder / "bad")

    assert "2 stored, 0 there already, 1 rejected" in done.stdout
    assert importer.numbers() == [0, 1]
    assert json.loads((importer.folder / "bad").read_bytes())["issues"][0]["message"].startswith("is larger than")


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
@pytest.mark.parametrize("indent", [None, 2])
def test_a_splitter_gives_the_same_however_the_text_comes(size: int, indent: int | None) -> None:
    hard = [{"a": '\\"]}'}, [1, [2, {}]], "\\", '"', "[,]", -1.5e3, None, {"": [{"x": "\\\\"}]}, "é\U0001f600"]
    text = json.dumps(hard, indent=indent, ensure_ascii=False).encode() + b" \n"
    values = splitter(text, 1000)

    found = [each for at in range(0, len(text), size) for each in values.feed(text[at : at + size])]

    assert [json.loads(each) for each in [*found, *values.end()]] == hard


@pytest.mark.parametrize("text", [b"[1", b'["', b"[[]", b"[1] 2", b"[1][2]", b"[]x"])
def test_a_splitter_rejects_what_is_no_array(text: bytes) -> None:
    values = splitter(text, 1000)

    with pytest.raises(SplitError):
        [*values.feed(text), *values.end()]
