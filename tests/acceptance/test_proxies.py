"""The documented proxies, real nginx and Caddy: calls, streams and sockets pass through TLS."""

import json
import os
import re
import ssl
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import httpx
import pytest
from msgspec import Struct
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin

from benchmarks.process import free_port
from tests.kit.paths import ROOT
from tests.kit.programs import program
from tests.kit.servers import Server, cloned, serving, until

OPERATING = (ROOT / "docs" / "operate" / "deploy.md").read_text()

HOST = "events.example.org"

NGINX = """
{user}
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{}}
http {{
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
{block}
}}
"""

CADDY = "{{\n\tadmin off\n\tauto_https off\n}}\n{block}"


class Proxy(Struct, frozen=True):
    """A running proxy in front of a running server."""

    port: int
    server: Server
    trusted: ssl.SSLContext
    log: Path

    @property
    def client(self) -> httpx.Client:
        """A client that trusts the certificate and resolves the host to this machine."""
        host = f"{HOST}:{self.port}"
        return httpx.Client(
            base_url=f"https://127.0.0.1:{self.port}",
            verify=self.trusted,
            headers={"host": host, **self.server.headers},
            timeout=30,
        )

    def request(self, method: str, path: str, **options: object) -> httpx.Response:
        """Send one request to the host."""
        with self.client as client:
            return client.request(method, path, extensions={"sni_hostname": HOST}, **options)  # type: ignore[arg-type] # httpx's own


def documented(language: str) -> str:
    """The documented example in a language."""
    found = re.search(rf"^```{language}\n(.*?)^```$", OPERATING, re.MULTILINE | re.DOTALL)
    assert found is not None
    return found[1]


def replaced(text: str, **changes: str) -> str:
    """The example with this machine's paths and ports; each replaced text must occur in it."""
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    return text


@contextmanager
def nginx(folder: Path, server_port: int, port: int) -> Iterator[None]:
    """Run nginx with the documented configuration."""
    places = {
        "listen 443 ssl": f"listen 127.0.0.1:{port} ssl",
        "/etc/ssl/": f"{folder}/",
        "/var/log/nginx/synap.log": f"{folder}/access.log",
        "127.0.0.1:8000": f"127.0.0.1:{server_port}",
    }
    user = "user root;" if os.getuid() == 0 else ""  # otherwise its workers may not write in our folder
    config = folder / "nginx.conf"
    config.write_text(NGINX.format(folder=folder, user=user, block=replaced(documented("nginx"), **places)))
    with running([program("nginx"), "-p", str(folder), "-c", str(config), "-e", str(folder / "error.log")], folder):
        yield


@contextmanager
def caddy(folder: Path, server_port: int, port: int) -> Iterator[None]:
    """Run Caddy with the documented configuration, but our own certificate, as no authority issues one here."""
    places = {
        f"{HOST} {{": f"https://{HOST}:{port} {{\n\ttls {folder}/{HOST}.pem {folder}/{HOST}.key",
        "/var/log/caddy/synap.log": f"{folder}/access.log",
        "127.0.0.1:8000": f"127.0.0.1:{server_port}",
    }
    config = folder / "Caddyfile"
    config.write_text(CADDY.format(block=replaced(documented("caddyfile"), **places)))
    with running([program("caddy"), "run", "--config", str(config)], folder):
        yield


@contextmanager
def caddy_of_compose(folder: Path, server_port: int, port: int) -> Iterator[None]:
    """Run Caddy with the file of `deploy/`, for two servers of which one is away."""
    places = {
        "{$SYNAP_DOMAIN} {": f"https://{HOST}:{port} {{\n\ttls {folder}/{HOST}.pem {folder}/{HOST}.key",
        "log {": f"log {{\n\toutput file {folder}/access.log",
        "synap-1:8000": f"127.0.0.1:{free_port()}",
        "synap-2:8000": f"127.0.0.1:{server_port}",
    }
    config = folder / "Caddyfile"
    config.write_text(CADDY.format(block=replaced((ROOT / "deploy" / "caddy" / "Caddyfile").read_text(), **places)))
    with running([program("caddy"), "run", "--config", str(config)], folder):
        yield


@contextmanager
def running(command: list[str], folder: Path) -> Iterator[None]:
    """Run a process during the block."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "XDG_DATA_HOME": str(folder)}
    with (folder / "output.log").open("wb") as output:
        process = subprocess.Popen(command, env=environment, stdout=output, stderr=output, start_new_session=True)
    try:
        yield
        assert process.poll() is None, (folder / "output.log").read_text()
    finally:
        process.terminate()
        process.wait(timeout=30)


def certified(folder: Path) -> ssl.SSLContext:
    """Write a certificate and its key into a folder, and return an SSL context that trusts it."""
    certificate, key = folder / f"{HOST}.pem", folder / f"{HOST}.key"
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-days",
        "2",
    ]
    named = ["-subj", f"/CN={HOST}", "-addext", f"subjectAltName=DNS:{HOST}"]
    subprocess.run([*command, *named, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    return ssl.create_default_context(cafile=certificate)


@pytest.fixture(scope="module")
def server(postgres_url: str, template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that pings often, so that a silent stream shows whether the proxy buffers it."""
    with (
        cloned(postgres_url, template, "test_proxies") as url,
        serving(tmp_path_factory.mktemp("proxied"), database_url=url, sse_ping_seconds=1) as served,
    ):
        yield served


@pytest.fixture(scope="module", params=[nginx, caddy, caddy_of_compose])
def proxy(request: pytest.FixtureRequest, server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    """A proxy in front of the server."""
    start: Callable[[Path, int, int], AbstractContextManager[None]] = request.param
    folder = tmp_path_factory.mktemp("proxy")
    trusted, port = certified(folder), free_port()
    with start(folder, int(server.url.rpartition(":")[2]), port):
        made = Proxy(port, server, trusted, folder / "access.log")
        until(lambda: _answers(made), seconds=30)
        yield made


def _answers(proxy: Proxy) -> bool:
    try:
        return proxy.request("GET", "/healthz").status_code == 200
    except httpx.HTTPError:
        return False


def test_calls_pass(proxy: Proxy) -> None:
    logged = proxy.request("POST", "/trpc/events.log", json={"type": "note.created", "data": {"text": "x" * 900_000}})
    found = proxy.request(
        "GET", "/trpc/events.get", params={"input": json.dumps({"eventId": logged.json()["result"]["data"]["id"]})}
    )

    assert logged.status_code == 200, logged.text
    assert found.json() == logged.json()


def test_a_long_url_passes(proxy: Proxy) -> None:
    names = ",".join(["events.list"] * 100)
    inputs = {str(at): {"type": f"{'x' * 60}.y", "limit": 1} for at in range(100)}

    answer = proxy.request("GET", f"/trpc/{names}", params={"batch": "1", "input": json.dumps(inputs)})

    assert answer.status_code == 200, answer.text[:500]
    assert len(answer.json()) == 100


def test_the_server_itself_rejects_what_is_too_large(proxy: Proxy) -> None:
    json_type = {"content-type": "application/json"}
    answer = proxy.request("POST", "/trpc/events.log", content=b" " * 8_388_609, headers=json_type)

    assert answer.status_code == 413
    assert answer.json()["error"]["data"]["code"] == "PAYLOAD_TOO_LARGE"


def test_an_event_is_streamed_when_it_is_logged(proxy: Proxy) -> None:
    with (
        proxy.client as client,
        client.stream("GET", "/trpc/events.stream", extensions={"sni_hostname": HOST}) as stream,
    ):
        lines = stream.iter_lines()
        assert next(lines) == "event: connected"
        proxy.server.mutate("events.log", {"type": "note.created", "data": {"text": "now"}})

        heard = next(line for line in lines if '"now"' in line)

    assert heard.startswith("data: ")


def test_a_browser_opens_a_socket_from_our_own_host(proxy: Proxy) -> None:
    with _socket(proxy, f"https://{HOST}:{proxy.port}") as client:
        client.send('{"id":1,"method":"query","params":{"path":"events.list","input":{"limit":1}}}')
        heard = json.loads(client.recv(timeout=60))
        ping = json.loads(client.recv(timeout=60))

    assert heard["id"] == 1
    assert "data" in heard["result"]
    assert ping == {"id": None, "method": "ping"}


def test_another_page_opens_no_socket(proxy: Proxy) -> None:
    with pytest.raises(InvalidStatus), _socket(proxy, "https://elsewhere.example"):
        pass


def test_metrics_need_a_key(proxy: Proxy) -> None:
    with proxy.client as client:
        del client.headers["authorization"]
        answer = client.get("/metrics", extensions={"sni_hostname": HOST})

    assert answer.status_code == 401


def test_tokens_in_urls_are_not_logged(proxy: Proxy) -> None:
    token = proxy.server.token
    params = {"token": token, "connectionParams": json.dumps({"token": token})}

    proxy.request("GET", "/trpc/asked.for.the.log", params=params)

    logged = until(lambda: "asked.for.the.log" in (text := proxy.log.read_text()) and text)
    assert token not in logged


def _socket(proxy: Proxy, origin: str) -> ClientConnection:
    return connect(
        f"wss://{HOST}:{proxy.port}/trpc",
        address=("127.0.0.1", proxy.port),
        ssl=proxy.trusted,
        server_hostname=HOST,
        origin=Origin(origin),
        additional_headers=proxy.server.headers,
    )
