"""The built example on a static server."""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from msgspec import Struct


class Site(Struct, frozen=True):
    """The address of a static server, the folder that it serves, and the request lines that it got."""

    url: str
    folder: Path
    asked: list[str]


@contextmanager
def serving_files(folder: Path, routes: Mapping[str, Callable[[], str]] | None = None) -> Iterator[Site]:
    """Serve a folder during the block, and for each of the `routes` the result of its function."""
    asked: list[str] = []

    class Handler(SimpleHTTPRequestHandler):
        def do_GET(self) -> None:
            answer = (routes or {}).get(self.path.partition("?")[0])
            if answer is None:
                super().do_GET()
                return
            content = answer().encode()
            self.send_response(200)
            self.send_header("content-type", "text/plain")
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, _form: str, *values: object) -> None:
            asked.append(str(values[0]))

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=folder)) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield Site(f"http://127.0.0.1:{server.server_port}", folder, asked)
        finally:
            server.shutdown()
            thread.join()
