"""Witnesses in the process of the test, over HTTP: one that does as C2SP tlog-witness says, and any that do not."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread

from app.ledger import vkeys, witnessing
from app.ledger.cosignature import cosign, key_of
from app.ledger.signer import Signer
from app.ledger.vkeys import VerifierKey
from app.ledger.witnessing import LastCosigned

Response = tuple[int, bytes] | None
"""A status and a body; None if it never answers."""


class HonestWitness:
    """A witness that keeps its state in memory. Its behaviour is that of `synap witness serve`."""

    def __init__(self, name: str, *keys: str) -> None:
        """`keys` are the verifier keys of the logs that it knows."""
        self.name = name
        self.signer = Signer(name.encode().ljust(32)[:32])
        self.keys = [vkeys.parse(key) for key in keys]
        self.cosigned = LastCosigned()
        self.asked: list[tuple[int, int, int]] = []
        """For each submission the old size, the length of the proof, and the new size."""

    @property
    def key(self) -> VerifierKey:
        """Its verifier key."""
        return key_of(self.name, self.signer)

    def __call__(self, body: bytes) -> Response:
        """Answer a submission."""
        added = witnessing.parse(body)
        new = added.note.checkpoint
        self.asked.append((added.old, len(added.proof), new.size))
        try:
            witnessing.check_signed(added.note, self.keys)
            witnessing.check_extends(added, self.cosigned)
        except witnessing.UnsignedError:
            return 403, b""
        except witnessing.MovedError as error:
            return 409, b"%d\n" % error.size
        except witnessing.InconsistentError:
            return 422, b""
        self.cosigned = LastCosigned(new.size, new.root)
        return 200, cosign(added.note.text, self.name, self.signer, int(time.time())).encode()


@contextmanager
def listening(witness: Callable[[bytes], Response]) -> Iterator[str]:
    """Serve a witness during the block. Yields its URL."""
    over = Event()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            assert self.path == "/w/add-checkpoint"
            response = witness(self.rfile.read(int(self.headers["content-length"])))
            if response is None:
                over.wait()
                return
            status, body = response
            self.send_response(status)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *_arguments: object) -> None:
            """Print nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/w"
    finally:
        over.set()
        server.shutdown()
        thread.join()
        server.server_close()
