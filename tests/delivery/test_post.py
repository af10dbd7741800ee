"""One call of a webhook, to well-behaved and to hostile receivers."""

import asyncio
import gzip
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from itertools import repeat

import pytest

from app.delivery.guard import Guard
from app.delivery.post import BODY_SECONDS, MAX_BODY_BYTES, MAX_PIECES, PostResult, post
from app.settings import networks
from benchmarks.process import free_port
from tests.delivery.conftest import Run
from tests.delivery.names import Names
from tests.delivery.peers import OK, Authority, Peer, peer, until_closed
from tests.kit.servers import until

HOST = "hooks.example.test"
"""A name that no real resolver knows, so a second lookup would fail."""

LOOPBACK = networks(["127.0.0.0/8", "::1/128"])

LIMIT_SECONDS = 15
"""How long a call may take on a busy machine. A call that hangs takes 20 s or more, or its timeout of 60 s."""


def _guard(*answers: list[str] | Exception, allow_http: bool = True) -> Guard:
    return Guard(allow_http=allow_http, allow_networks=LOOPBACK, resolve=Names(*(answers or (["127.0.0.1"],))))


def _url(receiver: Peer, scheme: str = "http") -> str:
    return f"{scheme}://{HOST}:{receiver.port}/secret-path?token=secret-token"


async def _post(receiver: Peer, guard: Guard | None = None, *, timeout_seconds: float = 60) -> PostResult:
    return _discreet(await post(_url(receiver), b"{}", {}, guard=guard or _guard(), timeout_seconds=timeout_seconds))


def _discreet(outcome: PostResult) -> PostResult:
    for secret in ("secret", "127.0.0.1", "::1", "10.0.0.1"):
        assert secret not in (outcome.error or "")
    return outcome


def test_a_delivery_arrives_as_it_was_sent(run: Run) -> None:
    body = '{"title":"Grüße"}'.encode()
    headers = {"content-type": "application/json", "x-signature": "sha256=00"}

    with peer(b"HTTP/1.1 201 Created\r\nContent-Length: 5\r\nRetry-After: 7\r\n\r\nfine!") as receiver:
        outcome = run(post(_url(receiver), body, headers, guard=_guard()))

    assert (outcome.status, outcome.error, outcome.body, outcome.retry_after_seconds) == (201, None, b"fine!", 7)
    assert 0 < outcome.elapsed_seconds < 20
    assert receiver.body() == body
    assert receiver.head() == {
        "": "POST /secret-path?token=secret-token HTTP/1.1",
        "host": f"{HOST}:{receiver.port}",
        "connection": "close",
        "accept-encoding": "identity",
        "content-length": str(len(body)),
        **headers,
    }


@pytest.mark.parametrize("size", [0, 1_100_000])
def test_a_body_of_any_size_arrives(run: Run, size: int) -> None:
    body = b"x" * size

    with peer() as receiver:
        outcome = run(post(_url(receiver), body, {}, guard=_guard()))

    assert (outcome.status, receiver.body()) == (200, body)


@pytest.mark.parametrize("name", ["Host", "content-length", "Transfer-Encoding", "CONNECTION", "accept-encoding"])
def test_headers_that_are_set_here_are_rejected(run: Run, name: str) -> None:
    with pytest.raises(ValueError, match="sets these headers"):
        run(post("https://example.com/", b"", {name: "x"}, guard=_guard()))


@pytest.mark.parametrize(("name", "value"), [("x-a", "b\r\nHost: c"), ("x-a", "b\nc"), ("x a", "b"), ("x-a", "\x00")])
def test_headers_that_http_does_not_allow_are_rejected(run: Run, name: str, value: str) -> None:
    with peer() as receiver, pytest.raises(ValueError, match="Illegal header"):
        run(post(_url(receiver), b"", {name: value}, guard=_guard()))

    assert receiver.connections == 0


STATUSES = {
    "200": (200, None),
    "204": (204, None),
    "299": (299, None),
    "300": (300, "Answered 300; redirects are not followed"),
    "304": (304, "Answered 304; redirects are not followed"),
    "400": (400, "Answered 400"),
    "410": (410, "Answered 410"),
    "503": (503, "Answered 503"),
    "999": (999, "Answered 999"),
}


@pytest.mark.parametrize(("status", "error"), STATUSES.values(), ids=list(STATUSES))
def test_a_status_from_200_to_299_is_a_delivery(run: Run, status: int, error: str | None) -> None:
    with peer(b"HTTP/1.1 %d secret\r\n\r\n" % status) as receiver:
        outcome = run(_post(receiver))

    assert (outcome.status, outcome.error) == (status, error)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(run: Run, status: int) -> None:
    with peer() as other:
        redirect = b"HTTP/1.1 %d Moved\r\nLocation: http://127.0.0.1:%d/\r\nContent-Length: 0\r\n\r\n"
        with peer(redirect % (status, other.port)) as receiver:
            outcome = run(_post(receiver))

    assert (outcome.status, outcome.error) == (status, f"Answered {status}; redirects are not followed")
    assert other.connections == 0


def test_retry_after_may_be_a_date(run: Run) -> None:
    at = format_datetime(datetime.now(UTC) + timedelta(seconds=100), usegmt=True)

    with peer(f"HTTP/1.1 503 Busy\r\nRetry-After: {at}\r\nContent-Length: 0\r\n\r\n".encode()) as receiver:
        outcome = run(_post(receiver))

    assert outcome.retry_after_seconds is not None
    assert 90 <= outcome.retry_after_seconds <= 101


@pytest.mark.parametrize(("value", "seconds"), [(b"never", None), (b"\xff\xfe", None), (b"999999", 86400)])
def test_a_hostile_retry_after_is_bounded_or_dropped(run: Run, value: bytes, seconds: int | None) -> None:
    with peer(b"HTTP/1.1 503 Busy\r\nRetry-After: " + value + b"\r\nContent-Length: 0\r\n\r\n") as receiver:
        outcome = run(_post(receiver))

    assert (outcome.status, outcome.retry_after_seconds) == (503, seconds)


# Where it connects


def test_the_call_goes_to_the_address_that_was_checked(run: Run) -> None:
    names = Names(["127.0.0.1"], ["10.0.0.1"])
    guard = Guard(allow_http=True, allow_networks=LOOPBACK, resolve=names)

    with peer() as receiver:
        first = run(_post(receiver, guard))
        second = run(_post(receiver, guard))

    assert (first.status, receiver.connections) == (200, 1)
    assert names.asked == [(HOST, receiver.port)] * 2  # one lookup for each attempt: none between check and use
    assert (second.status, second.error) == (
        None,
        "The URL must not lead to an address that is not public, as its host now does",
    )


@pytest.mark.parametrize("answer", [["127.0.0.1", "10.0.0.1"], ["10.0.0.1", "127.0.0.1"], ["::ffff:10.0.0.1"]])
def test_one_rejected_address_stops_the_call(run: Run, answer: list[str]) -> None:
    with peer() as receiver:
        outcome = run(_post(receiver, _guard(answer)))

    assert outcome.status is None
    assert receiver.connections == 0


def test_an_address_that_no_setting_allows_is_not_called(run: Run) -> None:
    with peer() as receiver:
        url = f"http://127.0.0.1:{receiver.port}/"
        outcome = run(post(url, b"", {}, guard=Guard(allow_http=True)))

    assert outcome.error == "The URL must not lead to 127.0.0.1 (loopback, RFC 1122)"
    assert receiver.connections == 0


def test_http_is_not_called_unless_a_setting_allows_it(run: Run) -> None:
    with peer() as receiver:
        outcome = run(_post(receiver, _guard(allow_http=False)))

    assert outcome.error == "The URL must begin with https://"
    assert receiver.connections == 0


def test_a_name_that_resolves_to_nothing_is_an_outcome(run: Run) -> None:
    with peer() as receiver:
        outcome = run(_post(receiver, _guard(OSError("secret"))))

    assert (outcome.status, outcome.error) == (None, "The name of the host could not be resolved")


def test_the_next_address_is_tried_where_one_takes_no_connection(run: Run) -> None:
    with peer() as receiver:
        outcome = run(_post(receiver, _guard(["127.0.0.2", "127.0.0.1"])))

    assert outcome.status == 200


def test_a_call_is_made_once_however_many_addresses_there_are(run: Run) -> None:
    with peer(lambda _: None) as receiver:
        outcome = run(_post(receiver, _guard(["127.0.0.1"] * 2 + ["127.0.0.3"])))

    assert (outcome.status, receiver.connections) == (None, 1)


def test_an_ipv6_address_is_called(run: Run) -> None:
    try:
        with peer(address="::1") as receiver:
            url = f"http://[0::1]:{receiver.port}/"
            outcome = run(post(url, b"", {}, guard=_guard()))
    except OSError:
        pytest.skip("this machine has no IPv6")

    assert outcome.status == 200
    assert receiver.head()["host"] == f"[::1]:{receiver.port}"


def test_proxy_variables_are_ignored(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    with peer() as proxy, peer() as receiver:
        for name in ("http_proxy", "https_proxy", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
            monkeypatch.setenv(name.upper(), f"http://127.0.0.1:{proxy.port}")
        outcome = run(_post(receiver))

    assert outcome.status == 200
    assert (proxy.connections, receiver.connections) == (0, 1)


# Over TLS


def test_tls_is_to_the_name_though_the_connection_is_to_the_address(run: Run, authority: Authority) -> None:
    with peer(tls=authority.server(f"DNS:{HOST}")) as receiver:
        outcome = run(post(_url(receiver, "https"), b"{}", {}, guard=_guard(), tls=authority.trust()))

    assert (outcome.status, outcome.body) == (200, b"ok")
    assert receiver.names == [HOST]
    assert receiver.head()["host"] == f"{HOST}:{receiver.port}"


def test_a_large_body_arrives_over_tls(run: Run, authority: Authority) -> None:
    body = bytes(1_100_000)

    with peer(tls=authority.server(f"DNS:{HOST}")) as receiver:
        outcome = run(post(_url(receiver, "https"), body, {}, guard=_guard(), tls=authority.trust()))

    assert (outcome.status, receiver.body()) == (200, body)


@pytest.mark.parametrize("names", ["DNS:other.example.test", "DNS:example.test", "IP:127.0.0.1"])
def test_a_certificate_for_another_host_is_not_accepted(run: Run, authority: Authority, names: str) -> None:
    with peer(tls=authority.server(names)) as receiver:
        outcome = run(post(_url(receiver, "https"), b"{}", {}, guard=_guard(), tls=authority.trust()))

    assert outcome.status is None
    assert (outcome.error or "").startswith("The certificate was not accepted: Hostname mismatch")
    assert receiver.requests == []


def test_a_certificate_that_the_system_does_not_trust_is_not_accepted(run: Run, authority: Authority) -> None:
    with peer(tls=authority.server(f"DNS:{HOST}")) as receiver:
        outcome = _discreet(run(post(_url(receiver, "https"), b"{}", {}, guard=_guard())))

    assert outcome.status is None
    assert (outcome.error or "").startswith("The certificate was not accepted: ")
    assert receiver.requests == []


def test_a_certificate_may_be_for_an_address(run: Run, authority: Authority) -> None:
    with peer(tls=authority.server("IP:127.0.0.1")) as receiver:
        url = f"https://127.0.0.1:{receiver.port}/"
        outcome = run(post(url, b"{}", {}, guard=_guard(), tls=authority.trust()))

    assert outcome.status == 200
    assert receiver.names == [None]


def test_a_receiver_without_tls_is_reported(run: Run, authority: Authority) -> None:
    with peer(b"HTTP/1.1 400 Bad Request\r\n\r\n", reads=False) as receiver:
        outcome = run(post(_url(receiver, "https"), b"{}", {}, guard=_guard(), tls=authority.trust()))

    assert outcome.status is None
    assert (outcome.error or "").startswith("TLS failed (")


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
def test_old_tls_is_not_spoken(run: Run, authority: Authority) -> None:
    server = authority.server(f"DNS:{HOST}")
    server.set_ciphers("DEFAULT:@SECLEVEL=0")
    server.minimum_version, server.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1

    with peer(tls=server) as receiver:
        outcome = run(post(_url(receiver, "https"), b"{}", {}, guard=_guard(), tls=authority.trust()))

    assert outcome.status is None
    assert (outcome.error or "").startswith("TLS failed (")


def test_a_handshake_that_hangs_ends_in_time(run: Run) -> None:
    with peer(until_closed, reads=False) as receiver:
        outcome = _discreet(run(post(_url(receiver, "https"), b"{}", {}, guard=_guard(), timeout_seconds=0.5)))

        assert receiver.ended.wait(30)
    assert outcome.error == "No answer within 0.5 s, connecting"
    assert outcome.elapsed_seconds < LIMIT_SECONDS


def test_endless_bodies_over_tls_are_cut_off(run: Run, authority: Authority) -> None:
    with peer(_endless(b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 65536), tls=authority.server(f"DNS:{HOST}")) as receiver:
        outcome = run(post(_url(receiver, "https"), b"{}", {}, guard=_guard(), tls=authority.trust()))

        assert receiver.ended.wait(30)
    assert (outcome.status, outcome.body) == (200, b"x" * MAX_BODY_BYTES)


# Hostile answers


def _endless(first: bytes, then: bytes, *, pause: float = 0, sent: list[int] | None = None) -> Callable[..., None]:
    def behave(connection: socket.socket) -> None:
        connection.sendall(first)
        for data in repeat(then):
            connection.sendall(data)
            if sent is not None:
                sent.append(len(data))
            time.sleep(pause)

    return behave


def _ends(receiver: Peer, run: Run, *, timeout_seconds: float = 60) -> PostResult:
    """The result of a call. The receiver must see its connection end while the caller's loop still runs."""

    async def story() -> PostResult:
        outcome = await _post(receiver, timeout_seconds=timeout_seconds)
        assert await asyncio.to_thread(receiver.ended.wait, 30)
        return outcome

    ended: PostResult = run(story())
    return ended


def test_an_endless_body_is_cut_off(run: Run) -> None:
    sent: list[int] = []

    with peer(_endless(b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 65536, sent=sent)) as receiver:
        outcome = _ends(receiver, run)

    assert (outcome.status, outcome.error, outcome.body) == (200, None, b"x" * MAX_BODY_BYTES)
    assert outcome.elapsed_seconds < LIMIT_SECONDS
    assert sum(sent) < 20_000_000  # the buffers of the system take this much


def test_a_body_of_a_claimed_terabyte_is_cut_off(run: Run) -> None:
    with peer(_endless(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000000\r\n\r\n", b"x" * 4096)) as receiver:
        outcome = _ends(receiver, run)

    assert (outcome.status, len(outcome.body)) == (200, MAX_BODY_BYTES)


def test_a_compressed_bomb_is_kept_as_it_came(run: Run) -> None:
    bomb = gzip.compress(bytes(50_000_000))
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(bomb)

    with peer(head + bomb) as receiver:
        outcome = run(_post(receiver))

    assert (outcome.status, outcome.body) == (200, bomb[:MAX_BODY_BYTES])


def test_a_body_that_drips_does_not_hold_the_call(run: Run) -> None:
    with peer(_endless(b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n", b"x", pause=0.05)) as receiver:
        outcome = _ends(receiver, run, timeout_seconds=60)

    assert (outcome.status, outcome.error) == (200, None)
    assert 0 < len(outcome.body) < 200
    assert outcome.elapsed_seconds < BODY_SECONDS + LIMIT_SECONDS


def test_a_body_that_drips_ends_with_the_call(run: Run) -> None:
    with peer(_endless(b"HTTP/1.1 500 No\r\n\r\n", b"x", pause=0.05)) as receiver:
        outcome = _ends(receiver, run, timeout_seconds=3)

    assert (outcome.status, outcome.error) == (500, "Answered 500")
    assert outcome.elapsed_seconds < LIMIT_SECONDS


SLOW = {
    "nothing": until_closed,
    "a status line that drips": _endless(b"HTTP/1.1 200 ", b"x", pause=0.05),
    "interim answers that drip": _endless(b"", b"HTTP/1.1 103 Early Hints\r\n\r\n", pause=0.05),
}


@pytest.mark.parametrize("behaviour", SLOW.values(), ids=list(SLOW))
def test_a_receiver_that_does_not_answer_costs_the_timeout(run: Run, behaviour: Callable[..., None]) -> None:
    with peer(behaviour) as receiver:
        outcome = _ends(receiver, run, timeout_seconds=0.6)

    assert (outcome.status, outcome.error) == (None, "No answer within 0.6 s, waiting for the answer")
    assert 0.5 < outcome.elapsed_seconds < LIMIT_SECONDS


def test_a_receiver_that_never_reads_costs_the_timeout_and_gets_no_more(run: Run) -> None:
    body, given_up, got = bytes(30_000_000), threading.Event(), [0]

    def read_late(connection: socket.socket) -> None:
        given_up.wait(20)
        while data := connection.recv(65536):
            got[0] += len(data)

    async def story() -> PostResult:
        outcome = await post(_url(receiver), body, {}, guard=_guard(), timeout_seconds=0.6)
        given_up.set()
        assert await asyncio.to_thread(receiver.ended.wait, 30)
        return outcome

    with peer(read_late, reads=False) as receiver:
        outcome = run(story())

    assert (outcome.status, outcome.error) == (None, "No answer within 0.6 s, waiting for the answer")
    assert outcome.elapsed_seconds < LIMIT_SECONDS
    assert got[0] < len(body)


def test_a_lookup_that_hangs_costs_the_timeout(run: Run) -> None:
    async def hang(*_: object) -> list[str]:
        await asyncio.sleep(20)
        return []

    with peer() as receiver:
        guard = Guard(allow_http=True, allow_networks=LOOPBACK, resolve=hang)
        outcome = run(_post(receiver, guard, timeout_seconds=0.3))

    assert outcome.error == "No answer within 0.3 s, looking up its host"


OVERLONG = {
    "status line": (b"HTTP/1.1 200 ", b"x" * 4096),
    "no line at all": (b"", b"x" * 4096),
    "zeros": (b"", bytes(4096)),
    "blank lines": (b"", b"\r\n" * 1000),
    "interim answers": (b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 100),
}


@pytest.mark.parametrize(("first", "then"), OVERLONG.values(), ids=list(OVERLONG))
def test_a_head_without_end_is_no_answer(run: Run, first: bytes, then: bytes) -> None:
    with peer(_endless(first, then)) as receiver:
        outcome = _ends(receiver, run)

    assert (outcome.status, outcome.body) == (None, b"")
    assert (outcome.error or "").startswith("The answer ")
    assert outcome.elapsed_seconds < LIMIT_SECONDS


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
FRAMINGS = {
    "chunks of a byte": (CHUNKED, b"1\r\nx\r\n" * 1000),
    "a chunk's extension": (CHUNKED + b"1;", b"x" * 4096),
    "a chunk's length": (CHUNKED, b"0" * 4096),
    "a header": (b"HTTP/1.1 200 OK\r\nX: ", b"x" * 4096),
    "headers": (b"HTTP/1.1 200 OK\r\n", b"X: y\r\n" * 1000),
    "trailers": (CHUNKED + b"0\r\n", b"X: y\r\n" * 1000),
    "no chunk at all": (CHUNKED, b"zzzz\r\n" * 100),
}


@pytest.mark.parametrize(("first", "then"), FRAMINGS.values(), ids=list(FRAMINGS))
def test_framing_without_end_does_not_hold_the_call(run: Run, first: bytes, then: bytes) -> None:
    with peer(_endless(first, then)) as receiver:
        outcome = _ends(receiver, run)

    assert (outcome.status, outcome.error) == (200, None)
    assert len(outcome.body) <= MAX_BODY_BYTES
    assert outcome.elapsed_seconds < LIMIT_SECONDS


def test_an_answer_of_thousands_of_pieces_is_read_in_part(run: Run) -> None:
    with peer(CHUNKED + b"1\r\nx\r\n" * 10_000 + b"0\r\n\r\n") as receiver:
        outcome = run(_post(receiver))

    assert (outcome.status, outcome.error) == (200, None)
    assert outcome.body == b"x" * (MAX_PIECES + 1)


def _reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


NO_ANSWERS = {
    "closed": (b"", "The connection was closed without an answer"),
    "reset": (_reset, "The connection was closed without an answer"),
    "another protocol": (b"SSH-2.0-OpenSSH_9.6\r\n", "The answer is not HTTP/1.1"),
    "HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "The answer is not HTTP/1.1"),
    "HTTP/0.9": (b"<html>hello</html>\r\n\r\n", "The answer is not HTTP/1.1"),
    "another protocol, by 101": (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n",
        "The answer is not HTTP/1.1",
    ),
    "a status of two digits": (b"HTTP/1.1 20 OK\r\n\r\n", "The answer is not HTTP/1.1"),
}


@pytest.mark.parametrize(("behaviour", "error"), NO_ANSWERS.values(), ids=list(NO_ANSWERS))
def test_an_invalid_answer_is_reported(run: Run, behaviour: bytes | Callable[..., None], error: str) -> None:
    with peer(behaviour) as receiver:
        outcome = run(_post(receiver))

    assert (outcome.status, outcome.error) == (None, error)


def test_a_port_that_nobody_listens_on_is_reported(run: Run) -> None:
    outcome = run(_post(Peer(free_port())))

    assert (outcome.status, outcome.error) == (None, "The connection was refused")


BROKEN = {
    "closed within the body": b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nsome",
    "closed within a chunk": CHUNKED + b"ff\r\nsome",
    "a bad chunk": CHUNKED + b"4\r\nsome\r\nbad\r\n",
}


@pytest.mark.parametrize("answer", BROKEN.values(), ids=list(BROKEN))
def test_a_status_counts_though_its_body_breaks_off(run: Run, answer: bytes) -> None:
    with peer(answer) as receiver:
        outcome = run(_post(receiver))

    assert (outcome.status, outcome.error, outcome.body) == (200, None, b"some")


def test_interim_answers_are_passed_over(run: Run) -> None:
    with peer(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + OK) as receiver:
        outcome = run(_post(receiver))

    assert (outcome.status, outcome.body) == (200, b"ok")


def test_an_answer_that_comes_before_all_is_sent_counts(run: Run) -> None:
    def refuse(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")
        time.sleep(1)

    with peer(refuse, reads=False) as receiver:
        outcome = run(post(_url(receiver), bytes(8_000_000), {}, guard=_guard()))

    assert (outcome.status, outcome.error) == (413, "Answered 413")


def test_a_call_that_is_cancelled_leaves_no_connection(run: Run) -> None:
    async def story(receiver: Peer) -> None:
        calling = asyncio.create_task(_post(receiver))
        await asyncio.to_thread(until, lambda: receiver.requests)
        calling.cancel()
        with suppress(asyncio.CancelledError):
            await calling
        assert calling.cancelled()
        assert await asyncio.to_thread(receiver.ended.wait, 30)

    with peer(until_closed) as receiver:
        run(story(receiver))


def test_a_hundred_hostile_receivers_take_no_longer_than_one(run: Run) -> None:
    async def story(receivers: Iterator[Peer]) -> list[PostResult]:
        return await asyncio.gather(*(_post(receiver, timeout_seconds=1) for receiver in receivers))

    with peer(until_closed) as hanging, peer(_endless(b"HTTP/1.1 200 ", b"x", pause=0.05)) as dripping:
        started = time.monotonic()
        outcomes = run(story(iter([hanging, dripping] * 50)))

    assert {outcome.status for outcome in outcomes} == {None}
    assert time.monotonic() - started < 2 * LIMIT_SECONDS  # one after the other would take 100 s
