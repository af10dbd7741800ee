"""`synap verify`: where it reads a bundle, what it prints, its exit codes, and which server gets the token."""

import http.server
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from app.cli.arguments import UsageError
from app.cli.main import cli
from app.cli.verify.evidence import SILENCE_SECONDS, UnreadableError, export_url, read_bundle
from app.cli.verify.report import NOT_PINNED
from tests.kit import web
from tests.kit.bundles import Record, build, write
from tests.kit.command import synap
from tests.kit.servers import Server

NODE_KEY = build(1)["kid"]
NODE = f"node did:key:{NODE_KEY}"
NOT_PINNED_LINE = f"synap: {NOT_PINNED}\n"

VERDICTS: dict[str, tuple[Record, int, list[str]]] = {
    "whole": ({"events": 12, "rotations": [4]}, 0, [f"12 events of the log default verify: seq 0 to 11, {NODE}"]),
    "one": ({"events": 1}, 0, [f"1 event of the log default verifies: seq 0, {NODE}"]),
    "none": ({"events": 0}, 0, [f"0 events of the log default verify, {NODE}"]),
    "a part": (
        {"events": 9, "first_seq": 3, "last_seq": 7},
        0,
        [f"5 events of the log default verify: seq 3 to 7, {NODE}"],
    ),
    "erased": (
        {"events": 9, "erased": [2]},
        0,
        [
            f"9 events of the log default verify: seq 0 to 8, {NODE}",
            "1 event is erased: if its author had signed it, that signature is gone",
        ],
    ),
    "erased, perhaps": (
        {"events": 9, "erased": [2, 4], "last_seq": 5},
        3,
        [
            f"6 events of the log default verify: seq 0 to 5, {NODE}",
            "2 events are erased: if their authors had signed them, those signatures are gone",
            "seq 2: its body is missing; its erasure may be recorded after this part",
            "seq 4: its body is missing; its erasure may be recorded after this part",
        ],
    ),
    "a lost key": (
        {"events": 9, "rotations": [4], "lost": [0]},
        3,
        [
            f"9 events of the log default verify: seq 0 to 8, {NODE}",
            f"break: the key {NODE_KEY} did not sign the rotation to ",
        ],
    ),
}


def _verify(*arguments: str) -> int:
    with pytest.raises(SystemExit) as exited:
        cli(["verify", *arguments])
    assert isinstance(exited.value.code, int)
    return exited.value.code


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A file with a good bundle of six events."""
    path = tmp_path / "bundle.json"
    path.write_bytes(write(build(6)))
    return path


@pytest.mark.parametrize(("log", "code", "lines"), VERDICTS.values(), ids=list(VERDICTS))
def test_a_file_is_judged_line_by_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], log: Record, code: int, lines: list[str]
) -> None:
    path = tmp_path / "bundle.json"
    path.write_bytes(write(build(**log)))

    assert _verify(str(path)) == code

    captured = capsys.readouterr()
    printed = captured.out.splitlines()
    assert len(printed) == len(lines)
    assert all(line.startswith(start) for line, start in zip(printed, lines, strict=True))
    assert captured.err == NOT_PINNED_LINE


def test_the_first_broken_seq_is_named(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    altered = json.loads(bundle.read_bytes())
    altered["events"][3]["payload"]["x"] = 1
    bundle.write_bytes(write(altered))

    assert _verify(str(bundle)) == 1

    captured = capsys.readouterr()
    (line,) = captured.out.splitlines()
    assert line.startswith("seq 3: ")
    assert captured.err == ""


@pytest.mark.parametrize("text", [b"", b"{}", b"[" * 100_000, b"\xff", b'{"\x1b[2J\\u001b[31m\\n":1}', None])
def test_what_is_no_bundle_is_one_sentence_and_not_broken(bundle: Path, text: bytes | None) -> None:
    bundle.write_bytes(bundle.read_bytes()[:-20] if text is None else text)

    with pytest.raises(UnreadableError) as refused:
        cli(["verify", str(bundle)])

    assert str(refused.value).startswith(f"{bundle} cannot be read: it ")
    assert str(refused.value).isprintable()


def test_it_needs_no_settings_and_no_data(bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    variables = {"SYNAP_PORT": "nosuch", "SYNAP_DATABASE_URL": "nosuch"}

    for source, text in ((str(bundle), b""), ("-", bundle.read_bytes())):
        done = synap("verify", source, env=variables, cwd=tmp_path / "empty", sent=text)
        assert (done.returncode, done.stderr) == (0, NOT_PINNED_LINE)
        assert done.stdout == f"6 events of the log default verify: seq 0 to 5, {NODE}\n"

    assert list((tmp_path / "empty").iterdir()) == []


# Servers.


def test_a_live_server_is_verified(server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert server.mutate("events.log", {"type": "note.created", "data": {}}).status_code == 200
    token = tmp_path / "token"
    token.write_text(f"{server.token}\n")

    ledger = f"{server.url}/ledger/v1"
    for source in (ledger, f"{ledger}/", f"{ledger}/events/export"):
        assert _verify(source, "--token-file", str(token)) == 0
    assert _verify(ledger, "--token-file", str(token), "--log", "_node") == 0

    lines = [line for line in capsys.readouterr().out.splitlines() if " of the log " in line]
    assert all("of the log default verif" in line for line in lines[:3])
    assert "of the log _node verif" in lines[3]


def test_the_token_comes_from_the_environment_and_is_required(
    server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("SYNAP_TOKEN", raising=False)
    with pytest.raises(UnreadableError, match="answered 401; give it a token: --token-file or SYNAP_TOKEN"):
        cli(["verify", f"{server.url}/ledger/v1"], result_action="return_none")
    monkeypatch.setenv("SYNAP_TOKEN", server.token)
    assert _verify(f"{server.url}/ledger/v1") == 0
    with pytest.raises(UnreadableError, match=r"answered 40[34]\.$"):
        cli(["verify", f"{server.url}/ledger/v1", "--log", "nosuch"], result_action="return_none")
    (tmp_path / "empty").write_text("")
    with pytest.raises(UnreadableError, match="answered 401"):
        cli(["verify", f"{server.url}/ledger/v1", "--token-file", str(tmp_path / "empty")], result_action="return_none")


class _Hop(http.server.BaseHTTPRequestHandler):
    """Answers with a bundle at `/end/...`, else with a redirect to `target`. It records the requests."""

    target = ""
    seen: list[tuple[str, str | None]]
    text: bytes
    length: int

    def do_GET(self) -> None:
        self.seen.append((self.path, self.headers["authorization"]))
        at_end = self.path.startswith("/end")
        self.send_response(200 if at_end else 302)
        self.send_header("content-length", str(self.length if at_end else 0))
        if not at_end:
            self.send_header("location", self.target)
        self.end_headers()
        if at_end:
            self.wfile.write(self.text)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def _hopping(**members: object) -> Iterator[tuple[str, type[_Hop]]]:
    hop = type("Hop", (_Hop,), {"seen": [], "text": write(build(2)), "length": len(write(build(2))), **members})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), hop) as listener:
        serving = threading.Thread(target=listener.serve_forever)
        serving.start()
        yield f"http://127.0.0.1:{listener.server_port}", hop
        listener.shutdown()
        serving.join()


def test_a_redirect_is_followed_without_the_token() -> None:
    with _hopping() as (there, other), _hopping(target=f"{there}/end/events/export") as (here, hop):
        text = read_bundle(f"{here}/v1", log="acme", token="t0ken")

    assert bytes(text[:]) == write(build(2))
    assert hop.seen == [("/v1/events/export?log=acme", "Bearer t0ken")]
    assert other.seen == [("/end/events/export", None)]


def test_a_redirect_to_a_file_is_not_followed(bundle: Path) -> None:
    with _hopping(target=f"file://{bundle}") as (here, _), pytest.raises(UnreadableError):
        read_bundle(here)


def test_an_answer_that_breaks_off_is_not_read() -> None:
    with _hopping(length=10**6) as (here, _), pytest.raises(UnreadableError, match=r"cannot be read: [^\n]+\.$"):
        read_bundle(f"{here}/end")


def test_a_silent_server_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    assert SILENCE_SECONDS <= 60
    monkeypatch.setattr("app.cli.verify.evidence.SILENCE_SECONDS", 0.3)
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        pytest.raises(UnreadableError, match=r"cannot be read: timed out\.$"),
    ):
        read_bundle(f"http://127.0.0.1:{silent.getsockname()[1]}")


UNREADABLE = [
    "nosuch",
    ".",
    "http://127.0.0.1:1/v1",
    "http://[::1/v1",
    "http://127.0.0.1:nosuch/v1",
    "http:///v1",
    "\0",
]


@pytest.mark.parametrize("source", UNREADABLE)
def test_what_is_not_there_is_one_sentence(source: str) -> None:
    with pytest.raises(UnreadableError) as refused:
        read_bundle(source, token="t0ken")

    assert "cannot be read: " in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("token", ["t0ken\nx: y", "t0ken x", "t0kén"])
def test_an_invalid_token_is_neither_sent_nor_shown(token: str) -> None:
    with _hopping() as (here, hop), pytest.raises(UsageError, match=r"^The token is not valid"):
        read_bundle(f"{here}/end", token=token)

    assert hop.seen == []


URLS = {
    "http://h:7777/v1": "http://h:7777/v1/events/export",
    "https://h/ledger/v1/": "https://h/ledger/v1/events/export",
    "http://h": "http://h/events/export",
    "http://h/v1/events/export?from_seq=5#x": "http://h/v1/events/export?from_seq=5",
}


@pytest.mark.parametrize(("given", "url"), URLS.items())
def test_the_export_of_a_ledger_is_found(given: str, url: str) -> None:
    assert export_url(given, None) == url
    assert export_url(f"{url}{'&' if '?' in url else '?'}log=a", "b-1") == f"{url}{'&' if '?' in url else '?'}log=b-1"


def test_the_log_of_another_node_is_rejected(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _verify(str(bundle), "--node", f"did:key:{NODE_KEY}") == 0
    assert capsys.readouterr().err == ""
    assert _verify(str(bundle), "--node", "did:key:z6MkiaMbhXHNA4eJVCCj8dbzKzTgYDKf6crKgHVHid1F1WCT") == 1
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == (f"bundle: it is of the {NODE}\n", "")


def test_the_proof_of_one_event_is_reported(server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    logged = server.mutate("events.log", {"type": "note.created", "data": {}}).json()["result"]["data"]
    url = f"{server.url}/ledger/v1/events/{logged['id']}/proof"
    answer = web.get(url, headers=server.headers)
    file = tmp_path / "proof.json"
    file.write_bytes(answer.content)

    assert _verify(str(file)) == 0

    size = answer.json()["checkpoint"]["size"]
    said = capsys.readouterr().out
    assert said.startswith("1 event of the log default is in its tree of ")
    assert f" {size} event" in said
    assert f": seq {logged['seq']}, node " in said


def test_a_log_is_compared_with_a_stored_checkpoint(
    bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own, longer, none = (tmp_path / name for name in ("own", "longer", "none"))
    own.write_text(build(6)["checkpoint"])
    longer.write_text(build(7)["checkpoint"])
    none.write_text("no note")

    assert _verify(str(bundle), "--checkpoint", str(own)) == 0
    assert _verify(str(bundle), "--checkpoint", str(longer)) == 1
    assert capsys.readouterr().out.endswith(
        "bundle: it ends before the checkpoint that was kept, which covers 7 events\n"
    )
    with pytest.raises(UnreadableError, match="cannot be read"):
        cli(["verify", str(bundle), "--checkpoint", str(none)])
