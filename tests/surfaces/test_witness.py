"""`synap witness serve` answers as C2SP tlog-witness says, and never cosigns two histories of a log."""

import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import httpx
import psycopg
import pytest

from app.ledger import notes
from app.ledger.checkpoint import parse_foreign
from app.ledger.cosignature import cosigned_at
from app.ledger.signer import Signer
from tests.kit import web
from tests.kit.command import synap
from tests.kit.servers import cloned, environment, until
from tests.kit.witness import StrangeLog, WitnessServer, asked, listed, make_witness, witnessing

NAME = "witness.example/w1"
LOG = StrangeLog("log.example/a", Signer(b"\x01" * 32))
FORK = StrangeLog("log.example/a", Signer(b"\x01" * 32), history="another ")
UNKNOWN = StrangeLog("log.example/unknown", Signer(b"\x02" * 32))
RACED = StrangeLog("log.example/raced", Signer(b"\x03" * 32))
EXTENDED = StrangeLog("log.example/extended", Signer(b"\x04" * 32))
LATER = StrangeLog("log.example/later", Signer(b"\x05" * 32))
KILLED = StrangeLog("log.example/killed", Signer(b"\x06" * 32))
LISTED = (LOG, RACED, EXTENDED, KILLED)


@pytest.fixture(scope="module")
def url(postgres_url: str, template: str) -> Iterator[str]:
    """The database of the witness."""
    with cloned(postgres_url, template, "test_witness") as url:
        yield url


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The list of logs that the witness accepts."""
    path = tmp_path_factory.mktemp("witness") / "logs.policy"
    path.write_text(listed(*LISTED))
    return path


@pytest.fixture(scope="module")
def witness(url: str, logs: Path) -> Iterator[WitnessServer]:
    """One witness for all tests of this module."""
    data_dir = logs.parent / "data"
    key = make_witness(data_dir, NAME, database_url=url)
    with witnessing(data_dir, key, logs, database_url=url) as server:
        yield server


def is_cosigned(witness: WitnessServer, note: str, answer: httpx.Response) -> bool:
    """Whether an answer is a cosignature of a note, of this hour."""
    assert answer.status_code == 200, answer.text
    at = cosigned_at(parse_foreign(note + answer.text), witness.key)
    return at is not None and abs(at - time.time()) < 3600


def test_a_log_is_cosigned_as_it_grows(witness: WitnessServer) -> None:
    for old, new in pairwise([0, 1, 2, 2, 5, 64, 100]):
        answer = witness.add(LOG.request(old, new))
        assert is_cosigned(witness, LOG.note(new), answer)
        assert answer.headers["content-type"] == "text/plain; charset=utf-8"

    served = witness.checkpoint(LOG.origin)
    assert served.text == LOG.note(100) + answer.text
    refused = {
        "malformed": (witness.add(b"old 100\n\nnothing"), 400),
        "an old size above the checkpoint's": (witness.add(asked(101, [], LOG.note(100))), 400),
        "an unknown log": (witness.add(UNKNOWN.request(0, 1)), 404),
        "a wrong signature": (witness.add(LOG.request(100, 120).replace(b"\n120\n", b"\n121\n")), 403),
        "another history": (witness.add(FORK.request(100, 120)), 422),
        "another history of the same size": (witness.add(FORK.request(100, 100)), 422),
        "no proof": (witness.add(asked(100, [], LOG.note(120))), 422),
    }
    assert {name: answer.status_code for name, (answer, _) in refused.items()} == {
        name: status for name, (_, status) in refused.items()
    }
    moved = witness.add(LOG.request(64, 120))
    assert (moved.status_code, moved.text, moved.headers["content-type"]) == (409, "100\n", "text/x.tlog.size")
    assert witness.add(LOG.request(0, 7)).text == "100\n"
    assert witness.checkpoint(LOG.origin).text == served.text


def test_a_lost_answer_is_had_again(witness: WitnessServer) -> None:
    log = EXTENDED
    text, signatures = log.note(3).split("\n\n")
    extended = f"{text}\nan extension\n\n{signatures}"
    signed = log.signer.sign(f"{text}\nan extension\n".encode())
    key_id = parse_foreign(log.note(3)).signatures[0][1][:4]
    note = extended.split("—", maxsplit=1)[0] + notes.signature_line(log.origin, key_id + signed)

    first = witness.add(asked(0, [], note))
    again = witness.add(asked(0, [], note))
    settled = witness.add(asked(3, [], note))

    assert is_cosigned(witness, note, first)
    assert (again.status_code, again.text) == (409, "3\n")
    assert is_cosigned(witness, note, settled)


def test_of_requests_that_race_one_history_is_cosigned(witness: WitnessServer) -> None:
    fork = StrangeLog(RACED.origin, RACED.signer, history="another ")
    with ThreadPoolExecutor(8) as pool:
        bodies = [log.request(0, size) for size in (4, 5) for log in (RACED, fork)] * 3
        answers = list(pool.map(witness.add, bodies))

    won = {body for body, answer in zip(bodies, answers, strict=True) if answer.status_code == 200}
    assert len(won) == 1
    assert {answer.status_code for answer in answers} == {200, 409}


def test_a_log_that_was_never_cosigned_has_no_checkpoint(witness: WitnessServer) -> None:
    paths = ("/" + "0" * 64 + "/checkpoint", "/" + "A" * 64 + "/checkpoint", "/1/checkpoint")
    answers = [web.get(f"{witness.url}{path}", timeout=60) for path in paths]

    assert [answer.status_code for answer in answers] == [404, 404, 404]
    assert witness.checkpoint(UNKNOWN.origin).status_code == 404
    assert web.get(f"{witness.url}/healthz", timeout=60).status_code == 200
    assert web.get(f"{witness.url}/add-checkpoint", timeout=60).status_code == 405


def test_a_long_body_is_not_read(witness: WitnessServer) -> None:
    def parts() -> Iterator[bytes]:
        for _ in range(40):
            yield b"old 0\n" * 1000

    declared = witness.add(b"x" * 200_000)
    chunked = web.post(f"{witness.url}/add-checkpoint", content=parts(), timeout=60)
    decoded = witness.add(b"x", **{"content-encoding": "br"})

    assert [answer.status_code for answer in (declared, chunked, decoded)] == [413, 413, 415]
    assert declared.headers["content-type"] == "text/plain; charset=utf-8"


def test_the_list_of_logs_may_change(witness: WitnessServer, logs: Path) -> None:
    assert witness.add(LATER.request(0, 1)).status_code == 404

    logs.write_text(listed(*LISTED, LATER))
    until(lambda: witness.add(LATER.request(0, 1)).status_code != 404)
    logs.write_text("log nothing\n")
    still = witness.add(LATER.request(1, 2))
    logs.write_text(listed(*LISTED))

    assert is_cosigned(witness, LATER.note(2), still)
    until(lambda: witness.add(LATER.request(2, 3)).status_code == 404)
    assert "the list of logs cannot be read" in witness.log.read_text()


def test_calls_of_one_network_are_limited(url: str, logs: Path, witness: WitnessServer) -> None:
    with witnessing(logs.parent / "data", witness.key, logs, "--rate", 3, database_url=url) as limited:
        answers = [limited.add(b"nothing") for _ in range(4)]

    assert [answer.status_code for answer in answers] == [400, 400, 400, 429]
    assert 0 < int(answers[-1].headers["retry-after"]) <= 60


def test_a_witness_that_is_killed_goes_on_where_it_was(url: str, logs: Path, witness: WitnessServer) -> None:
    data_dir, log, fork = logs.parent / "data", KILLED, StrangeLog(KILLED.origin, KILLED.signer, history="another ")
    with witnessing(data_dir, witness.key, logs, database_url=url) as second:
        assert is_cosigned(second, log.note(30), second.add(log.request(0, 30)))
        os.killpg(second.process.pid, signal.SIGKILL)
        second.process.wait(timeout=60)
    with witnessing(data_dir, witness.key, logs, database_url=url) as third:
        assert third.add(fork.request(0, 32)).text == "30\n"
        assert third.add(fork.request(30, 32)).status_code == 422
        assert is_cosigned(third, log.note(32), third.add(log.request(30, 32)))
        third.process.terminate()
        assert third.process.wait(timeout=60) == 0
    assert witness.checkpoint(log.origin).text.startswith(log.note(32))


def run(data_dir: Path, *arguments: object, **settings: object) -> str:
    """What a command that fails says."""
    ran = synap("witness", *arguments, env=environment(data_dir, **settings), cwd=data_dir)
    assert ran.returncode == 2
    assert ran.stderr.count("\n") == 1
    return ran.stderr


def test_the_identity_of_a_witness_stays(url: str, logs: Path, witness: WitnessServer, tmp_path: Path) -> None:
    data_dir = logs.parent / "data"
    serve = ("serve", "--logs", logs)

    assert make_witness(data_dir, NAME, database_url=url) == witness.key
    assert "never changes its name" in run(data_dir, "init", "witness.example/w2", database_url=url)
    assert "There is no key" in run(tmp_path, *serve, database_url=url)
    Signer.create(tmp_path / "witness.key")
    assert "restore its key file" in run(tmp_path, *serve, database_url=url)
    assert "restore its key file" in run(tmp_path, "init", NAME, database_url=url)


def test_a_witness_that_lost_its_database_does_not_begin_anew(
    database_url: str, logs: Path, witness: WitnessServer
) -> None:
    data_dir = logs.parent / "data"

    assert "run: synap witness init" in run(data_dir, "serve", "--logs", logs, database_url=database_url)
    assert "two histories" in run(data_dir, "init", NAME, database_url=database_url)
    assert synap(
        "witness", "init", NAME, "--yes", env=environment(data_dir, database_url=database_url)
    ).stdout.strip() == (witness.key.spelled())


def test_the_signing_key_of_an_install_is_not_a_witness(database_url: str, tmp_path: Path) -> None:
    signer = Signer.create(tmp_path / "witness.key")
    with psycopg.connect(database_url) as connection:
        connection.execute("UPDATE install SET kid = %s", (signer.kid,))
        connection.execute(
            "INSERT INTO install (id, node, kid, origin, created_at) VALUES (1, 'n', %s, 'o', now()) "
            "ON CONFLICT DO NOTHING",
            (signer.kid,),
        )

    assert "a key of its own" in run(tmp_path, "init", NAME, "--yes", database_url=database_url)


BAD = {
    "a name with a space": (("init", "a b"), "without spaces or plus signs"),
    "no name": (("init", ""), "1 to 200"),
    "a list that is not there": (("serve", "--logs", "nowhere"), "cannot be read: No such file"),
    "a list that is no policy": (("serve", "--logs", "bad.policy"), "Line 1 of the policy: it begins with"),
    "a list without logs": (("serve", "--logs", "none.policy"), "has no log line"),
}


@pytest.mark.parametrize(("arguments", "said"), BAD.values(), ids=list(BAD))
def test_a_wrong_argument_is_one_sentence(tmp_path: Path, arguments: tuple[str, ...], said: str) -> None:
    Signer.create(tmp_path / "witness.key")
    (tmp_path / "bad.policy").write_text("logs\n")
    (tmp_path / "none.policy").write_text("quorum none\n")

    assert said in run(tmp_path, *arguments, database_url="postgresql://nobody@127.0.0.1:1/none")
