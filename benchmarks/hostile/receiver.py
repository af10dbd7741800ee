"""A receiver of webhooks that counts how many posts run at once."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Receiver(ThreadingHTTPServer):
    """A receiver that answers every post after some time."""

    daemon_threads = True
    request_queue_size = 1024

    def __init__(self, answer_after_seconds: float) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answer_after_seconds = answer_after_seconds
        self.under_way = self.most = 0
        self.counting = threading.Lock()

    @property
    def url(self) -> str:
        """The URL to post to."""
        return f"http://127.0.0.1:{self.server_address[1]}/"

    def count(self, change: int) -> None:
        """Count the beginning or the end of a post."""
        with self.counting:
            self.under_way += change
            self.most = max(self.most, self.under_way)


class _Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        self.server.count(1)
        try:
            self.rfile.read(int(self.headers.get("content-length", 0)))
            time.sleep(self.server.answer_after_seconds)
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()
        finally:
            self.server.count(-1)

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing."""


@contextmanager
def receiving(answer_after_seconds: float) -> Iterator[Receiver]:
    """Run a receiver during the block."""
    receiver = Receiver(answer_after_seconds)
    thread = threading.Thread(target=receiver.serve_forever, daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        receiver.shutdown()
        receiver.server_close()
        thread.join()
