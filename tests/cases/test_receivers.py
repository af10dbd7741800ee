"""Webhook receivers whose answers break a rule of HTTP: only their status line counts."""

import socket
import time

import pytest

from app.delivery.guard import Guard
from app.delivery.post import MAX_BODY_BYTES, PostResult, post
from app.settings import networks
from tests.delivery.conftest import Run
from tests.delivery.names import Names
from tests.delivery.peers import Behaviour, peer

LINE = b"HTTP/1.1 200 OK\r\n"


def _answered(run: Run, behaviour: bytes | Behaviour, *, timeout_seconds: float = 10) -> PostResult:
    """Post to a receiver with this behaviour, and return the result."""
    guard = Guard(allow_http=True, allow_networks=networks(["127.0.0.0/8"]), resolve=Names(["127.0.0.1"]))
    with peer(behaviour) as receiver:
        url = f"http://hooks.example.test:{receiver.port}/"
        outcome: PostResult = run(post(url, b"{}", {}, guard=guard, timeout_seconds=timeout_seconds))
        return outcome


SINS = {
    "a header with a space in its name": LINE + b"Bad Header: x\r\n\r\nok",
    "a header without a colon": LINE + b"nonsense\r\n\r\nok",
    "a header without a name": LINE + b": x\r\n\r\nok",
    "a space before the colon": LINE + b"Server : x\r\n\r\nok",
    "a control character in a header": LINE + b"X: a\x01b\r\n\r\nok",
    "a zero in a header": LINE + b"X: a\x00b\r\n\r\nok",
    "a continued first header": LINE + b" folded\r\n\r\nok",
    "a bare carriage return": LINE + b"X: a\rb\r\n\r\nok",
    "transfer-encoding: identity": LINE + b"Transfer-Encoding: identity\r\n\r\nok",
    "transfer-encoding: gzip, chunked": LINE + b"Transfer-Encoding: gzip, chunked\r\n\r\nok",
    "two transfer-encodings": LINE + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\nok",
    "two lengths": LINE + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nok",
    "a negative length": LINE + b"Content-Length: -1\r\n\r\nok",
    "a length that is no number": LINE + b"Content-Length: many\r\n\r\nok",
    "a length of 5,000 digits": LINE + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\nok",
    "line ends without carriage returns": b"HTTP/1.1 200 OK\nBad Header: x\n\nok",
    "a status line without a reason": b"HTTP/1.1 200\r\nBad Header: x\r\n\r\nok",
    "an older HTTP": b"HTTP/1.0 200 OK\r\nBad Header: x\r\n\r\nok",
    "interim answers before it": b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
    + LINE
    + b"Bad Header: x\r\n\r\nok",
}


@pytest.mark.parametrize("answer", SINS.values(), ids=list(SINS))
def test_a_head_that_breaks_a_rule_is_an_answer(run: Run, answer: bytes) -> None:
    outcome = _answered(run, answer)

    assert (outcome.status, outcome.error, outcome.body) == (200, None, b"ok")


CUT = {
    "behind the status line": LINE,
    "within the status line": b"HTTP/1.1 200 OK",
    "within a header": LINE + b"Content-Le",
    "before the blank line": LINE + b"Content-Length: 5\r\n",
    "before the body": LINE + b"Content-Length: 5\r\n\r\n",
    "within the body": LINE + b"Content-Length: 5\r\n\r\nab",
    "within a body that is no chunk": LINE + b"Transfer-Encoding: chunked\r\n\r\nthis is no chunk",
    "within a header of 60,000 bytes": LINE + b"X: " + b"x" * 60_000,
}


@pytest.mark.parametrize("answer", CUT.values(), ids=list(CUT))
def test_an_answer_that_breaks_off_counts(run: Run, answer: bytes) -> None:
    outcome = _answered(run, answer)

    assert (outcome.status, outcome.error) == (200, None)


@pytest.mark.parametrize(
    "answer", [b"HTTP/1.1 20", b"HTTP/1.1 ", b"HTTP/1.1 2000 OK\r\n\r\n", b"HTTP/1.1 2x0 OK\r\n\r\n"]
)
def test_a_line_without_a_status_is_no_answer(run: Run, answer: bytes) -> None:
    outcome = _answered(run, answer)

    assert (outcome.status, outcome.error) == (None, "The answer is not HTTP/1.1")


def test_a_failure_is_one_whatever_its_head_is(run: Run) -> None:
    outcome = _answered(run, b"HTTP/1.1 503 Busy\r\nBad Header: x\r\nRETRY-AFTER: 7\r\n\r\n")

    assert (outcome.status, outcome.error, outcome.retry_after_seconds) == (503, "Answered 503", 7)


def test_a_head_that_never_ends_costs_seconds_and_counts(run: Run) -> None:
    def drip(connection: socket.socket) -> None:
        connection.sendall(LINE)
        for _ in range(200):
            connection.sendall(b"X: y\r\n")
            time.sleep(0.1)

    outcome = _answered(run, drip, timeout_seconds=18)

    assert (outcome.status, outcome.error) == (200, None)
    assert outcome.elapsed_seconds < 15


def test_the_stored_part_of_a_broken_answer_is_bounded(run: Run) -> None:
    outcome = _answered(run, LINE + b"Bad Header: x\r\n\r\n" + b"y" * 1_000_000)

    assert outcome.status == 200
    assert len(outcome.body) <= MAX_BODY_BYTES
