"""The server processes: granian's, with one more that listens on the ledger's own port."""

import encodings.idna  # noqa: F401 - asking for an address does: in `_await`, while server processes are forked
import multiprocessing
import resource
import shlex
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from typing import Any

from granian.constants import HTTPModes, Interfaces, Loops, RuntimeModes
from granian.http import HTTP1Settings
from granian.server import MPServer
from granian.server.mp import WorkerProcess
from litestar.types import ASGIApp
from msgspec import Struct

from app.capacity.openings import max_connections, max_files
from app.server.application import load_worker
from app.server.install import ReadyInstall
from app.settings import Settings
from app.signals import held_back, stop

STOP_SECONDS = 10
"""How long a server process may take to finish accepted work before it is killed. Together with the end of the
database this is less than `app.signals.FINISH_SECONDS`, unless both hang."""


HEAD_SECONDS = 30
"""The time in which the head of a request must arrive, and for which a connection may wait for the next one."""

HEAD_BYTES = 65_536
"""The maximum of a request's head, and of the unread body that a connection buffers."""


class Interrupt(threading.Event):
    """Wakes granian's loop, which clears it before it acts."""

    def __init__(self) -> None:
        super().__init__()
        self._is_last = False

    def set_for_good(self) -> None:
        """Wake the loop for the last time, whatever it has just begun."""
        self._is_last = True
        self.set()

    def clear(self) -> None:
        """Wait for the next wake-up, unless this was the last."""
        super().clear()
        if self._is_last:
            self.set()


class Processes(MPServer):
    """Server processes on one port; with a `ledger_port` the last process serves only the ledger there.

    Granian has one address for all of its processes. All of them are made by the method that is overridden here, at the
    start and after a crash.
    """

    def __init__(self, target: str, *, workers: int, ledger_port: int, **options: Any) -> None:
        super().__init__(target, workers=workers + bool(ledger_port), **options)
        self._ledger_port = ledger_port
        self.main_loop_interrupt = self._interrupt = Interrupt()

    def interrupt(self) -> None:
        """Stop soon. For another thread: granian's signal handler may wait for a lock that its own thread holds."""
        self.interrupt_signal = True
        self._interrupt.set_for_good()

    def shutdown(self, exit_code: int = 0) -> None:
        """Stop every process. One that got the same signal and was quicker than us has not failed."""
        try:
            super().shutdown(exit_code)
        except SystemExit:
            if not self.interrupt_signal:
                raise

    def _init_shared_socket(self) -> None:
        port = self.bind_port
        if self._ledger_port:
            self.bind_port = self._ledger_port
            super()._init_shared_socket()
            self._ledger_socket = self._ssp, self._shd, self._sso
            self.bind_port = port
        super()._init_shared_socket()

    def _spawn_worker(self, idx: int, target: Any, callback_loader: Any) -> WorkerProcess:  # type: ignore[override] # so is granian's
        if not self._ledger_port or idx < self.workers - 1:
            return super()._spawn_worker(idx, target, callback_loader)
        sockets = self._ssp, self._shd, self._sso
        self._ssp, self._shd, self._sso = self._ledger_socket
        try:
            return super()._spawn_worker(idx, target, partial(callback_loader, ledger_alone=True))
        finally:
            self._ssp, self._shd, self._sso = sockets


class Listening(Struct, frozen=True, kw_only=True):
    """Where server processes listen, and how many there are."""

    host: str
    port: int
    workers: int = 1
    ledger_port: int = 0
    """A second port, of a process that serves only the ledger; 0 means none."""

    @property
    def url(self) -> str:
        """The URL of the first port."""
        return f"http://{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"


def run(settings: Settings, install: ReadyInstall, *, console: str | None) -> None:
    """Serve until interrupted. `console` is the address of the console to print, or None for no console."""
    serve(
        Listening(host=settings.host, port=settings.port, workers=settings.workers, ledger_port=settings.ledger_port),
        partial(load_worker, settings=settings, install=install),
        partial(_announce, settings, console),
    )


def serve(listening: Listening, load: Callable[..., ASGIApp], announce: Callable[[], None]) -> None:
    """Serve what `load` returns in each process, until interrupted. `announce` is called once it answers."""
    server = Processes(
        "synap",
        address=listening.host,
        port=listening.port,
        ledger_port=listening.ledger_port,
        interface=Interfaces.ASGI,
        workers=listening.workers,
        # Its own thread for the network: nearly twice the requests with a body of a shared thread, measured.
        runtime_mode=RuntimeModes.mt,
        runtime_threads=1,
        loop=Loops.uvloop,
        http=HTTPModes.http1,
        http1_settings=HTTP1Settings(header_read_timeout=HEAD_SECONDS * 1000, max_buffer_size=HEAD_BYTES),
        log_enabled=False,
        respawn_failed_workers=True,
        # Open connections, not requests. Beyond it nobody is answered, and every open stream is one.
        backpressure=_connections(),
        workers_kill_timeout=STOP_SECONDS,
    )
    threading.Thread(target=_await, args=(listening.url, announce), daemon=True).start()
    forks = multiprocessing.get_start_method() == "fork"
    with stop.before_end(_kill), stop.finishing(server.interrupt), nullcontext() if forks else held_back():
        server.serve(target_loader=load)


def _kill() -> None:
    for process in multiprocessing.active_children():
        process.kill()


def _connections() -> int:
    """How many connections a process may have open. Lets this process and its children open that many files."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max_files(), hard))
    return max_connections()


def _await(url: str, announce: Callable[[], None]) -> None:
    """Announce a server once it answers."""
    for _ in range(300):
        try:
            with urllib.request.urlopen(f"{url}/readyz", timeout=2):  # noqa: S310 - our own server
                break
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    else:
        return  # the log has the reason
    announce()


def _announce(settings: Settings, console: str | None) -> None:
    """Print the server's addresses."""
    url = settings.url
    event = '{"type":"note.created","data":{"title":"Hello"}}'
    if settings.transformer == "superjson":
        event = f'{{"json":{event}}}'
    print(f"Synap Events serves at {url} (tRPC: {url}/trpc, types: {url}/trpc/contract.ts).", flush=True)
    print(f"The API is described at {url}/docs, and for agents at {url}/llms.txt.", flush=True)
    if settings.ledger_port:
        print(f"The ledger is also at {url.rpartition(':')[0]}:{settings.ledger_port}/v1.", flush=True)
    if console is not None:
        print(f"The console is at {console}", flush=True)
    if not settings.control_token_path.exists():
        return  # the first start was on another machine, or the file was moved
    token = shlex.quote(str(settings.control_token_path.absolute()))
    print(
        f"The control token is in {token}. Log a first event with:\n\n"
        f'curl -s {url}/trpc/events.log -H "authorization: Bearer $(cat {token})" '
        f"-H 'content-type: application/json' -d '{event}'\n",
        flush=True,
    )
