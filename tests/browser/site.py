"""The built example on a static server."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from msgspec import Struct


class Site(Struct, frozen=True):
    """Where pages are served, and what was asked of it: the request lines, as a server's log has them."""

    url: str
    asked: list[str]


@contextmanager
def serving_files(folder: Path) -> Iterator[Site]:
    """Serve a folder until the end of the block."""
    asked: list[str] = []

    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, _form: str, *values: object) -> None:
            asked.append(str(values[0]))

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=folder)) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield Site(f"http://127.0.0.1:{server.server_port}", asked)
        finally:
            server.shutdown()
            thread.join()
