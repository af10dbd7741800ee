"""Well-behaved and hostile receivers of webhooks: real sockets, each in its own thread."""

import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

Behaviour = Callable[[socket.socket], object]

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@dataclass
class Peer:
    """A running receiver."""

    port: int
    connections: int = 0
    requests: list[bytes] = field(default_factory=list)
    """The bytes of each request, head and body."""
    names: list[str | None] = field(default_factory=list)
    """The name (SNI) of each TLS handshake."""
    ended: threading.Event = field(default_factory=threading.Event)
    """Set when either side has ended a connection."""

    def head(self, at: int = 0) -> dict[str, str]:
        """The headers of a request, names in lower case, the request line as ``."""
        line, *fields = self.requests[at].split(b"\r\n\r\n")[0].decode().split("\r\n")
        return {"": line} | {name.lower(): value for name, _, value in (field.partition(": ") for field in fields)}

    def body(self, at: int = 0) -> bytes:
        """The body of a request."""
        return self.requests[at].partition(b"\r\n\r\n")[2]


@contextmanager
def peer(
    behaviour: bytes | Behaviour = OK,
    *,
    tls: ssl.SSLContext | None = None,
    address: str = "127.0.0.1",
    reads: bool = True,
) -> Iterator[Peer]:
    """Run a receiver that reads a request (if `reads`), then sends these bytes or calls this function, and closes."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.create_server((address, 0), family=family) as listener:
        running = Peer(listener.getsockname()[1])
        if tls is not None:
            tls.sni_callback = lambda _, name, __: running.names.append(name)

        def serve(connection: socket.socket) -> None:
            with suppress(OSError), connection:
                connection.settimeout(20)
                spoken = connection if tls is None else tls.wrap_socket(connection, server_side=True)
                with spoken:
                    if reads:
                        running.requests.append(_request(spoken))
                    if isinstance(behaviour, bytes):
                        spoken.sendall(behaviour)
                    else:
                        behaviour(spoken)
            running.ended.set()

        def accept() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    running.connections += 1
                    threading.Thread(target=serve, args=(connection,), daemon=True).start()

        acceptor = threading.Thread(target=accept, daemon=True)
        acceptor.start()
        try:
            yield running
        finally:
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)


def until_closed(connection: socket.socket) -> None:
    """Do nothing until the other side closes the connection."""
    while connection.recv(65536):
        pass


def _request(connection: socket.socket) -> bytes:
    received = b""
    while b"\r\n\r\n" not in received:
        data = connection.recv(65536)
        if not data:
            return received
        received += data
    head, _, body = received.partition(b"\r\n\r\n")
    length = next(
        (int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0
    )
    while len(body) < length:
        data = connection.recv(65536)
        if not data:
            break
        body += data
    return head + b"\r\n\r\n" + body


class Authority:
    """A certificate authority for one test run, made by openssl."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._openssl("req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout ca.key -out ca.pem"
                      " -days 30 -subj /CN=test-authority")  # fmt: skip

    def trust(self) -> ssl.SSLContext:
        """An SSL context that trusts only this authority."""
        return ssl.create_default_context(cafile=str(self._folder / "ca.pem"))

    def server(self, names: str) -> ssl.SSLContext:
        """An SSL context of a server whose certificate is for `names` (`DNS:a.test,IP:127.0.0.1`)."""
        (self._folder / "names").write_text(f"subjectAltName={names}\n")
        self._openssl("req -new -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout leaf.key -out leaf.csr"
                      " -subj /CN=receiver")  # fmt: skip
        self._openssl("x509 -req -in leaf.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 30 -extfile names"
                      " -out leaf.pem")  # fmt: skip
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self._folder / "leaf.pem", self._folder / "leaf.key")
        return context

    def _openssl(self, arguments: str) -> None:
        ran = subprocess.run(
            ["openssl", *arguments.split()], cwd=self._folder, capture_output=True, text=True, timeout=60, check=False
        )
        assert ran.returncode == 0, ran.stderr
