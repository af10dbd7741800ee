"""Reads the events of a file: a thread reads the lines, and a process (`drafting.py`) turns them into drafts."""

import asyncio
import os
import select
import stat
import sys
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from io import BufferedReader
from multiprocessing.connection import Connection
from pathlib import Path
from typing import IO, cast

import msgspec

from app.cli.first_bytes import GZIP, ByteReader, NotReadableError, unpacked
from app.cli.importing.drafting import Drafted, LinePiece
from app.cli.importing.json_values import SplitError, Splitter, splitter
from app.store.events.groups import MAX_GROUP_EVENTS

PIECE_BYTES = 2**22
"""The size of a transaction's lines, unless it reaches `MAX_GROUP_EVENTS` first, or no more lines come for now."""

READ_BYTES = 2**20

FILL_SECONDS = 0.05
"""How long a piece waits for more lines of a pipe."""


class ImportingError(Exception):
    """The import cannot begin or continue. The message is one sentence for the operator."""


@contextmanager
def opened(path: Path | None) -> Iterator[IO[bytes]]:
    """The file, or standard input, without a buffer."""
    if path is None:
        yield cast(IO[bytes], cast(BufferedReader, sys.stdin.buffer).raw)
        return
    try:
        file = path.open("rb", buffering=0)
    except OSError as error:
        raise ImportingError(f"{path} cannot be read: {error.strerror}.") from None
    with file:
        yield file


def text_of(file: IO[bytes], name: str) -> ByteReader:
    """The text of the file. Raises ImportingError if it is not JSON."""
    try:
        return unpacked(file)
    except NotReadableError as error:
        raise ImportingError(f"{name} cannot be read: it {error}.") from None
    except OSError as error:
        raise ImportingError(f"{name} cannot be read: {error.strerror}.") from None


class DraftedLines:
    """The drafts of a file's lines, or of its array's elements: piece by piece, in order."""

    def __init__(
        self, file: IO[bytes], text: ByteReader, drafting: Connection, first: int, max_event_bytes: int
    ) -> None:
        """`text` is the text of `file`, `first` the number of the first line to import."""
        self._file = file
        self._text = text
        self._drafting = drafting
        self._first = first
        self._max_line_bytes = max_event_bytes + 1  # enough to see that a line is too large
        self._splitter: Splitter | None = None
        self._sent: deque[LinePiece] = deque()
        self._failure: str | None = None
        self.skipped_bytes = 0
        """The size of the lines before the first one to import."""
        status = os.fstat(file.fileno())
        is_plain = stat.S_ISREG(status.st_mode) and os.pread(file.fileno(), len(GZIP), 0) != GZIP
        self.bytes = status.st_size if is_plain else None

    @property
    def unit(self) -> str:
        """What the file consists of."""
        return "line" if self._splitter is None else self._splitter.unit

    def open(self) -> None:
        """Begin to read. The thread is a daemon: it may wait for a pipe for ever."""
        threading.Thread(target=self._read, daemon=True).start()

    async def next(self) -> tuple[LinePiece, Drafted] | None:
        """The next lines and their drafts; None at the end. Raises ImportingError."""
        loop, arrived = asyncio.get_running_loop(), asyncio.Event()
        loop.add_reader(self._drafting.fileno(), arrived.set)
        try:
            await arrived.wait()
        finally:
            loop.remove_reader(self._drafting.fileno())
        try:
            received = self._drafting.recv_bytes()
        except (EOFError, OSError):
            raise ImportingError("The process that parses the lines has ended early.") from None
        if received:
            return self._sent.popleft(), _decoder.decode(received)
        if self._failure is not None:
            raise ImportingError(self._failure)
        return None

    def _read(self) -> None:
        with suppress(OSError):  # nobody waits any longer
            for piece in self._pieces():
                self._sent.append(piece)
                self._drafting.send_bytes(msgspec.msgpack.encode(piece))
            self._drafting.send_bytes(b"")

    def _pieces(self) -> Iterator[LinePiece]:
        number = 1
        for lines in self._portions():
            skipped = max(self._first - number, 0)
            self.skipped_bytes += size_of(lines[:skipped])
            if skipped < len(lines):
                yield LinePiece(number + skipped, lines[skipped:])
            number += len(lines)

    def _portions(self) -> Iterator[list[bytes]]:
        """All lines, in portions: as many as are available and fit into one transaction."""
        waiting, size = list[bytes](), 0
        for lines in self._split():
            for line in lines:
                waiting.append(line)
                size += len(line)
                if len(waiting) == MAX_GROUP_EVENTS or size > PIECE_BYTES:
                    yield waiting
                    waiting, size = [], 0
            if waiting and not select.select([self._file], [], [], FILL_SECONDS)[0]:
                yield waiting
                waiting, size = [], 0
        if waiting:
            yield waiting

    def _split(self) -> Iterator[list[bytes]]:
        """The lines that end in each chunk, until the file cannot be read any further."""
        try:
            head = b""
            while chunk := self._text.read(READ_BYTES):
                head += chunk if self._splitter is None else b""
                if self._splitter is None and (len(head) > self._max_line_bytes or head.strip()):
                    self._splitter, chunk = splitter(head, self._max_line_bytes), head
                if self._splitter is not None:
                    yield self._splitter.feed(chunk)
            if self._splitter is not None:
                yield self._splitter.end()
        except OSError as error:
            self._failure = f"The file cannot be read: {error.strerror}"
        except (NotReadableError, SplitError) as error:
            self._failure = f"The file cannot be read: it {error}"


def size_of(lines: Sequence[bytes]) -> int:
    """The size of lines in bytes, with their line ends."""
    return sum(map(len, lines)) + len(lines)


_decoder = msgspec.msgpack.Decoder(Drafted)
