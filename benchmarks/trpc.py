"""A minimal tRPC client that seeds a server, and checks its answers before its speed is measured."""

import http.client
from typing import Any
from urllib.parse import quote, urlsplit

import msgspec

from benchmarks.errors import BenchmarkError


class Client:
    """One keep-alive connection, one call at a time."""

    def __init__(self, url: str, token: str) -> None:
        """`url` is the mount, e.g. `http://127.0.0.1:8000/trpc`."""
        parts = urlsplit(url)
        self._mount = parts.path
        self._headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
        self._connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=60)

    def query(self, name: str, value: object) -> Any:
        """Call a procedure, and return its output."""
        return self._call("GET", f"{name}?input={quote(msgspec.json.encode(value))}", name, None)

    def mutation(self, name: str, value: object) -> Any:
        """Call a procedure, and return its output."""
        return self._call("POST", name, name, msgspec.json.encode(value))

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _call(self, method: str, target: str, name: str, body: bytes | None) -> Any:
        """Make one exchange. Any status but 200 is an error that quotes the answer."""
        self._connection.request(method, f"{self._mount}/{target}", body, self._headers)
        response = self._connection.getresponse()
        answer = response.read()
        if response.status != http.HTTPStatus.OK:
            text = answer[:500].decode(errors="replace")
            raise BenchmarkError(f"{name} was answered with {response.status}: {text}")
        return msgspec.json.decode(answer)["result"]["data"]
