"""Real servers for tests: the embedded PostgreSQL, and `synap serve` as a process of its own."""

import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import chdir, contextmanager
from pathlib import Path
from typing import Any

import httpx
import msgspec
import psutil
from msgspec import Struct

from benchmarks.process import free_port
from deploy.environment import description, read_ready
from tests.kit import databases, web
from tests.kit.command import Process, start
from tests.kit.paths import ROOT


def until(condition: Callable[[], Any], *, seconds: float = 60) -> Any:
    """Call `condition` until it returns a true value, and return that. Fails after `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        answer = condition()
        if answer:
            return answer
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.05)


def environment(data_dir: Path, **settings: object) -> dict[str, str]:
    """A clean environment with these settings (`port=1` is SYNAP_PORT=1)."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "CI") if name in os.environ}
    given = {f"SYNAP_{name.upper()}": str(value) for name, value in settings.items()}
    return kept | {"SYNAP_DATA_DIR": str(data_dir), "SYNAP_LEDGER_PORT": "0"} | given


def this_environment() -> dict[str, str]:
    """The environment in which `make run` serves from the `.venv` of the tests, which it would replace otherwise."""
    with chdir(ROOT):
        assert read_ready().items() >= description("server").items(), "`.venv` is not what the locks say: run make dev"
    return {"PYTHON": sys.executable}


class Server(Struct, frozen=True):
    """A running server."""

    url: str
    token: str
    process: Process
    log: Path

    @property
    def headers(self) -> dict[str, str]:
        """The headers of every call."""
        return {"authorization": f"Bearer {self.token}"}

    def mutate(self, name: str, value: object, **headers: str) -> httpx.Response:
        """Call a mutation, as `httpLink` does."""
        return web.post(f"{self.url}/trpc/{name}", json=value, headers=self.headers | headers, timeout=60)

    def query(self, name: str, value: object = None, **headers: str) -> httpx.Response:
        """Call a query, as `httpLink` does."""
        parameters = {} if value is None else {"input": msgspec.json.encode(value).decode()}
        return web.get(f"{self.url}/trpc/{name}", params=parameters, headers=self.headers | headers, timeout=60)

    def processor_seconds(self) -> float:
        """The processor time of its processes. Unlike elapsed time, it is the same on a busy machine."""
        parent = psutil.Process(self.process.pid)
        times = [process.cpu_times() for process in (parent, *parent.children(recursive=True))]
        return float(sum(each.user + each.system for each in times))

    def ready(self) -> bool:
        """Whether it is ready to serve."""
        assert self.process.poll() is None, self.log.read_text()
        try:
            return web.get(f"{self.url}/readyz", timeout=10).status_code == 200
        except httpx.HTTPError:
            return False


@contextmanager
def serving(data_dir: Path, options: Sequence[str] = ("--init",), /, **settings: object) -> Iterator[Server]:
    """Run `synap serve` with these options and settings.

    The block begins when it is ready, and it stops at the end of the block.
    """
    port = settings.setdefault("port", free_port())
    data_dir.mkdir(exist_ok=True, parents=True)
    log = data_dir / f"server-{port}.log"
    with log.open("ab") as output, Path(os.devnull).open("rb") as nothing:
        files = (nothing, output, output)
        variables = environment(data_dir, **settings)
        process = start("serve", *options, env=variables, files=files, cwd=data_dir, new_session=True)
    url = f"http://127.0.0.1:{port}"
    try:
        server = Server(url, "", process, log)
        until(server.ready, seconds=120)
        yield Server(url, (data_dir / "control.token").read_text().strip(), process, log)
    finally:
        process.terminate()
        process.wait(timeout=90)


@contextmanager
def cloned(admin_url: str, template: str, name: str) -> Iterator[str]:
    """Create a database as a copy of `template`, and yield its URL."""
    try:
        yield databases.copy(admin_url, template, name)
    finally:
        databases.drop(admin_url, name)
