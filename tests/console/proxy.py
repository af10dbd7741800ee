"""A proxy before a server: it strips a prefix from paths, and may change what is answered."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
from msgspec import Struct

from tests.kit.web import request

Change = Callable[[str, bytes], bytes]

KEPT = ("content-type", "content-security-policy", "etag", "cache-control", "location", "x-content-type-options")


class Proxy(Struct, frozen=True):
    """Where it is, with the prefix, and the paths that were asked for outside of that."""

    url: str
    strays: list[str]


@contextmanager
def proxying(target: str, *, prefix: str = "", change: Change = lambda _, body: body) -> Iterator[Proxy]:
    """Pass what is asked below `prefix` to the server at `target`, without the prefix."""
    strays: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._pass(None)

        def do_POST(self) -> None:
            self._pass(self.rfile.read(int(self.headers.get("content-length", "0"))))

        def _pass(self, body: bytes | None) -> None:
            if not self.path.startswith(f"{prefix}/"):
                strays.append(self.path)
                self.send_error(404)
                return
            path = self.path.removeprefix(prefix)
            sent = {
                name: self.headers[name]
                for name in ("authorization", "content-type", "x-workspace-id")
                if name in self.headers
            }
            answer = request(self.command, f"{target}{path}", content=body, headers=sent, timeout=60)
            self._answer(answer, change(path, answer.content))

        def _answer(self, answer: httpx.Response, content: bytes) -> None:
            self.send_response(answer.status_code)
            for name in KEPT:
                if name in answer.headers:
                    self.send_header(name, answer.headers[name])
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, _form: str, *values: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield Proxy(f"http://127.0.0.1:{server.server_port}{prefix}", strays)
        finally:
            server.shutdown()
            thread.join()
