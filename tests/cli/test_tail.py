"""`synap tail` prints a line for each event, once and in order, whatever happens to the server."""

import json
import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from app.cli.arguments import UsageError
from app.cli.tail.command import is_local
from app.cli.tail.follow import TailError, TailOptions, follow
from app.cli.tail.line import line
from app.cli.terminal import escaped
from benchmarks.process import free_port
from tests.kit.command import SYNAP
from tests.kit.servers import Server, environment, serving, until

EVENT: dict[str, Any] = {
    "id": "01a1ffc8-686a-7523-a674-bb278b2555c9",
    "version": "v1",
    "type": "note.created",
    "seq": 7,
    "timestamp": "2026-01-02T03:04:05.678901Z",
    "userId": "ann",
    "source": "api",
    "hash": "sha256:00",
    "data": {"title": "Hello"},
}


def _line(width: int = 200, *, colours: bool = False, **members: object) -> str:
    return line(msgspec.json.encode(EVENT | members), width=width, colours=colours)


def test_a_line_has_time_seq_type_user_and_data() -> None:
    assert _line() == '2026-01-02 03:04:05.678 #7 note.created ann {"title":"Hello"}'


def test_a_line_names_the_agent_and_how_sure_it_was() -> None:
    ai = {"agent": "orchestrator", "confidence": {"score": 0.918}}

    assert " ann orchestrator 0.92 {" in _line(metadata={"ai": ai})
    assert " ann orchestrator {" in _line(metadata={"ai": {"agent": "orchestrator"}})
    assert " ann {" in _line(metadata={"import": {"row": 1}})


def test_a_line_is_as_wide_as_the_terminal() -> None:
    long = _line(100, data={"title": "x" * 200})

    assert len(long) == 100
    assert long.endswith("x…")
    assert _line(10, data={"title": "x" * 200}).endswith('ann {"title":"xxxxxxxxx…')
    assert _line(data={}, erased=True).endswith(" ann (erased)")


def test_only_our_own_colours_are_printed() -> None:
    plain, coloured = _line(), _line(colours=True)

    assert "\x1b[1mnote.created\x1b[0m" in coloured
    assert "\x1b" not in plain


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain é 漢 😀", "plain é 漢 😀"),
        ("\x1b[31m", "\\u001b[31m"),
        ("a\nb\r\x07", "a\\u000ab\\u000d\\u0007"),
        ("\x9b2J", "\\u009b2J"),
        ("\u202eabc\u2028", "\\u202eabc\\u2028"),
        ("\U000e0001", "\\udb40\\udc01"),
        ("\ud800", "\\ud800"),
    ],
)
def test_control_characters_are_escaped_as_in_json(text: str, expected: str) -> None:
    assert escaped(text) == expected
    assert json.loads(f'"{escaped(text)}"') == text


def test_text_of_strangers_cannot_control_a_terminal() -> None:
    shown = _line(userId="\x1b]0;x\x07", type="a.b", data={"x": "\u009b\u202e"}, metadata={"ai": {"agent": "\x1b"}})

    assert shown.isprintable()


def test_a_token_is_sent_only_to_this_machine_unless_given() -> None:
    urls = [
        "http://127.0.0.1:8000",
        "http://localhost",
        "http://[::1]:1/x",
        "http://127.0.0.1.example",
        "http://10.0.0.1",
        "http://0.0.0.0:8000",
        "http://[::]:8000",
        "http://[::1",
    ]

    assert [is_local(url) for url in urls] == [True, True, True, False, False, True, True, False]


# With a server.


def _log(server: Server, *numbers: int, **members: object) -> None:
    for number in numbers:
        event = {"type": "note.created", "data": {"number": number}} | members
        until(lambda: server.mutate("events.log", event).status_code == 200)  # noqa: B023


@contextmanager
def _tailing(data_dir: Path, port: int, *arguments: str, **settings: object) -> Iterator[tuple[Any, list[str]]]:
    """Run the command during the block. Yields the process, and the lines that it has written."""
    process = subprocess.Popen(
        [SYNAP, "tail", *arguments],
        env=environment(data_dir, port=port, **settings),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    lines: list[str] = []
    assert process.stdout is not None
    reader = threading.Thread(target=lambda: lines.extend(iter(process.stdout.readline, "")))  # type: ignore[union-attr]
    reader.start()
    try:
        yield process, lines
    finally:
        process.kill()
        process.wait()
        reader.join()


def test_each_event_is_shown_once_though_the_server_starts_anew(tmp_path: Path, database_url: str) -> None:
    data, port = tmp_path / "data", free_port()
    settings = {"port": port, "database_url": database_url}
    with serving(data, **settings) as server:
        _log(server, 0, 1)
        with _tailing(data, port, "--start", "1", "--json") as (process, lines):
            until(lambda: len(lines) == 1)
            _log(server, 2)
            until(lambda: len(lines) == 2)
            os.killpg(server.process.pid, signal.SIGKILL)
            server.process.wait()
            with serving(data, **settings) as again:
                _log(again, 3, 4)
                until(lambda: len(lines) >= 4)
                process.send_signal(signal.SIGINT)
                process.wait(timeout=60)
                said = process.stderr.read().splitlines()

    assert [json.loads(each)["data"]["number"] for each in lines] == [1, 2, 3, 4]
    assert process.returncode == 0
    assert [each.partition(" (")[0] for each in said] == [
        "synap: The connection was lost",
        "synap: Connected again.",
    ]


def test_a_server_that_speaks_superjson_is_followed(tmp_path: Path, database_url: str) -> None:
    data, port = tmp_path / "data", free_port()
    with serving(data, port=port, database_url=database_url, transformer="superjson") as server:
        for number in range(3):
            server.mutate("events.log", {"json": {"type": "note.created", "data": {"number": number}}})
        with _tailing(data, port, "--start", "1", transformer="superjson") as (_, lines):
            until(lambda: len(lines) == 2)

    assert [each.split(" ")[2:] for each in lines] == [
        ["#1", "note.created", "control", '{"number":1}\n'],
        ["#2", "note.created", "control", '{"number":2}\n'],
    ]


def test_a_server_with_another_format_is_reported(server: Server, tmp_path: Path, database_url: str) -> None:
    otherwise = "uses another transformer; set SYNAP_TRANSFORMER={}."
    for start in ("beginning", "1"):
        with pytest.raises(TailError, match=otherwise.format("none")):
            next(follow(TailOptions(url=server.url, token=server.token, start=start, superjson=True)))
    with serving(tmp_path / "data", database_url=database_url, transformer="superjson") as other:
        for start in ("now", "1"):
            with pytest.raises(TailError, match=otherwise.format("superjson")):
                next(follow(TailOptions(url=other.url, token=other.token, start=start)))


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "no token": ({"token": ""}, "rejected the call: .*; give it a token: --token-file or SYNAP_TOKEN"),
    "no such workspace": ({"workspace": "nosuch"}, "rejected the call: .*workspace"),
    "no start": ({"start": "nonsense"}, "rejected the call: start: "),
    "a seq that is still to come": ({"start": "99999999"}, "no event with the seq 99999998"),
    "no filter": ({"filter": "{"}, "--filter must be JSON"),
    "a filter of a field that is none": ({"filter": '{"nosuch":1}'}, "rejected the call: filter.nosuch"),
    "a type that is none": ({"type": "a b"}, "rejected the call: type: "),
    "nobody there": ({"url": "http://127.0.0.1:1"}, "cannot be followed: Connection refused"),
    "nobody there for a seq": ({"url": "http://127.0.0.1:1", "start": "5"}, "cannot be followed: Connection refused"),
    "another server's door": ({"url": "http://127.0.0.1:{port}/nosuch"}, "cannot be followed: "),
    "no url": ({"url": "ftp://x"}, "is not the URL of a server"),
    "a token that is none": ({"token": "a b"}, "The token is not valid"),
}


@pytest.mark.parametrize(("members", "expected"), REFUSED.values(), ids=list(REFUSED))
def test_what_cannot_be_followed_is_one_sentence(server: Server, members: dict[str, Any], expected: str) -> None:
    given = {"url": server.url, "token": server.token} | members
    given["url"] = given["url"].replace("{port}", server.url.rsplit(":", 1)[1])

    with pytest.raises((TailError, UsageError), match=rf"{expected}[^\n]*\.$"):
        next(follow(TailOptions(**given)))
