"""The calls of an attacker: prepared bytes, many at once, and a word for each outcome."""

import http.client
import socket
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit

from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

Outcomes = Counter[str]
Job = Callable[[], str]

PATIENCE_SECONDS = 30
"""How long an attacker waits for an answer."""

SILENCE_SECONDS = 2
"""A socket that is silent for so long is expected to send nothing more."""

FRAGMENT_BYTES = 2**22
"""The size of the parts of a socket's message, because servers limit frames more than messages."""


def at_once(jobs: Sequence[Job]) -> Outcomes:
    """Run all the jobs at the same time."""
    with ThreadPoolExecutor(max(len(jobs), 1)) as pool:
        return Counter(pool.map(lambda job: job(), jobs))


def in_turns(jobs: Sequence[Job]) -> Outcomes:
    """Run one job after the other."""
    return Counter(job() for job in jobs)


def request(
    url: str, method: str, target: str, *, token: str | None = None, body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
) -> str:  # fmt: skip
    """Make one request on its own connection. Returns its status, or how it was lost."""
    given = {"content-type": "application/json", **(headers or {})}
    if token is not None:
        given["authorization"] = f"Bearer {token}"
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=PATIENCE_SECONDS)
    try:
        with suppress(ConnectionError):  # rejected before the body was read: the answer can still be read
            connection.request(method, target, body, given)
        response = connection.getresponse()
        while response.read(2**16):
            pass
    except (OSError, http.client.HTTPException) as lost:
        return type(lost).__name__
    else:
        return str(response.status)
    finally:
        connection.close()


def raw(url: str, content: bytes) -> socket.socket:
    """Open a connection, send `content`, and read nothing."""
    parts = urlsplit(url)
    connection = socket.create_connection((parts.hostname, parts.port), timeout=PATIENCE_SECONDS)
    with suppress(OSError):
        connection.sendall(content)
    return connection


@contextmanager
def open_connections(url: str, contents: Sequence[bytes]) -> Iterator[list[socket.socket]]:
    """Open connections during the block, and send one of the `contents` on each."""
    opened: list[socket.socket] = []
    try:
        with ThreadPoolExecutor(32) as pool:
            opened += pool.map(lambda content: raw(url, content), contents)
        yield opened
    finally:
        for connection in opened:
            connection.close()


def is_open(connection: socket.socket) -> bool:
    """Whether the server still waits for more on a connection, and has sent no answer."""
    connection.settimeout(0.01)
    try:
        connection.recv(1)
    except TimeoutError:
        return True
    except OSError:
        return False
    return False


def message(url: str, target: str, contents: Sequence[bytes], *, token: str | None = None) -> str:
    """Send messages on a socket, and read until it is closed or silent.

    Returns the close code and the count of answers.
    """
    answers = 0
    headers = {} if token is None else {"authorization": f"Bearer {token}"}
    try:
        with connect(
            url.replace("http", "ws", 1) + target,
            additional_headers=headers,
            max_size=None,
            compression=None,
            open_timeout=PATIENCE_SECONDS,
            close_timeout=1,
        ) as connection:
            for content in contents:
                parts = range(0, len(content), FRAGMENT_BYTES)
                connection.send((content[at : at + FRAGMENT_BYTES].decode("latin-1") for at in parts), text=True)
            while True:
                connection.recv(timeout=SILENCE_SECONDS)
                answers += 1
    except ConnectionClosed as closed:
        code = closed.rcvd.code if closed.rcvd else "cut"
        return f"closed {code} after {answers}"
    except TimeoutError:
        return f"open after {answers}"
    except InvalidStatus as refused:
        return str(refused.response.status_code)
    except OSError as lost:
        return type(lost).__name__


def status(connection: socket.socket) -> str:
    """The status of the answer on a connection, or why there is none."""
    try:
        return connection.recv(12)[9:].decode("latin-1") or "closed"
    except OSError as lost:
        return type(lost).__name__
