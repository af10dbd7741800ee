"""The verdicts of `clients/verify` on many texts. All tests of a pytest process share one node process."""

import base64
import json
import os
import subprocess
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cache
from itertools import takewhile
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

from tests.kit import checks
from tests.kit.bundles import LONG, SMALL, Record, whole, write

VERDICTS = Path(__file__).with_name("verdicts.mjs")


def verdicts(texts: Iterable[bytes]) -> list[Record]:
    """The verdict on each text. The process judges them while the next texts are made."""
    if _judge().process.poll() is not None:
        _judge.cache_clear()  # it crashed in another test
    return _judge().verdicts(texts)


def end() -> None:
    """End the process, if there is one."""
    if _judge.cache_info().currsize:
        _judge().end()
        _judge.cache_clear()


class Judge:
    """A node process that judges texts, one after another. It starts from the whole texts, and keeps no other text."""

    def __init__(self) -> None:
        self._failed = TemporaryFile("w+b")  # noqa: SIM115 # it is open as long as the process
        command = [checks.node() or "node", str(VERDICTS)]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._failed, text=True
        )
        self._lines, self._answers = _pipes(self.process)
        self._wholes = [write(whole(events)) for events in {LONG, SMALL}]
        """The texts from which most others differ little."""
        self._lines.writelines(f"{json.dumps({'whole': _base64(text)})}\n" for text in self._wholes)

    def verdicts(self, texts: Iterable[bytes]) -> list[Record]:
        """The verdict on each text."""
        with ThreadPoolExecutor(1) as reader:
            answers = reader.submit(lambda: list(takewhile(str.strip, self._answers)))
            try:
                self._write(f"{json.dumps(_edit(self._wholes, text))}\n" for text in texts)
            finally:
                self._write("\n")  # it is answered by an empty line, after all verdicts
        said = os.pread(self._failed.fileno(), 100_000, 0).decode()
        assert (self.process.poll(), said) == (None, "")
        return [json.loads(line) for line in answers.result()]

    def end(self) -> None:
        """Let the process end, as it does at the end of its input."""
        with self._failed, self.process:
            pass

    def _write(self, lines: Iterable[str]) -> None:
        with suppress(BrokenPipeError):  # what the process said is reported
            self._lines.writelines(lines)
            self._lines.flush()


@cache
def _judge() -> Judge:
    return Judge()


def _pipes(process: subprocess.Popen[str]) -> tuple[IO[str], IO[str]]:
    assert process.stdin is not None
    assert process.stdout is not None
    return process.stdin, process.stdout


def _edit(wholes: Sequence[bytes], text: bytes) -> Record:
    """The text as the shortest edit of one of the whole texts."""
    edits = []
    for number, known in enumerate(wholes):
        start = _common(known, text)
        behind = _common(known[start:][::-1], text[start:][::-1])
        new = text[start : len(text) - behind]
        edits.append((len(new), {"of": number, "start": start, "end": len(known) - behind, "new": _base64(new)}))
    return min(edits, key=lambda edit: edit[0])[1]


def _common(one: bytes, other: bytes) -> int:
    """The number of bytes with which both begin."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if one[low:middle] == other[low:middle] else (low, middle - 1)
    return low


def _base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()
