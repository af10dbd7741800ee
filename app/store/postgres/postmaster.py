"""One PostgreSQL server as a child of this process. This module creates, starts, watches, restarts and stops it."""

import os
import re
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryFile
from urllib.parse import quote

import psutil
import structlog

from app.store.postgres.admission import HBA, IDENT, write_admission
from app.store.postgres.data_directory import DataDirectoryError
from app.store.postgres.programs import HERE, Programs, name_of
from app.store.postgres.roles import OWNER, SERVER
from app.store.postgres.sockets import fits, remove_folder, remove_left, socket_folder

logger = structlog.get_logger("synap.postgres")

START_SECONDS = 300.0
"""How long a start may take, including recovery after a crash."""

STOP_SECONDS = 5.0
"""How long an orderly stop may take. Then the server is killed: it loses nothing, but its next start takes longer."""

KILL_SECONDS = 1.0
"""How long the kernel may take to end killed processes."""

PAUSES_SECONDS = (0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 30.0)
"""The waits before each restart of a server that ended. After the last failure the server is given up."""

STEADY_SECONDS = 60.0
"""If a server ran for this long, its next crash starts a new series of restarts."""

POLL_SECONDS = 0.05

INITDB = (f"--username={OWNER}", "--auth=reject", "--encoding=UTF8", "--locale=C", "--no-instructions")
"""`reject` lets nobody log in until a start writes the login rules."""


class Postmaster:
    """The server of the directory `postgres` in a data directory that this process holds."""

    def __init__(
        self, data_dir: Path, options: Mapping[str, str], *, pauses_seconds: Sequence[float] = PAUSES_SECONDS
    ) -> None:
        """`options` are settings of PostgreSQL for this run; `pauses_seconds` are the waits before each restart."""
        self.directory = data_dir.resolve() / "postgres"
        self.loss: DataDirectoryError | None = None
        """Why the server was given up."""
        self._options = options
        self._pauses_seconds = pauses_seconds
        self._programs = Programs(self.directory)
        self._stopping = threading.Event()
        self._watcher: threading.Thread | None = None
        self._process: subprocess.Popen[bytes]
        self._socket_directory = self.directory

    @property
    def pid(self) -> int:
        """The process id of the server."""
        return self._process.pid

    @property
    def url(self) -> str:
        """The libpq URL for the role that owns the tables; it is the same after each restart."""
        return url(self._socket_directory)

    def start(self) -> None:
        """Create the database if there is none, and start the server. Raises DataDirectoryError.

        After `give_up` it returns without waiting until the server is ready.
        """
        if name_of(os.geteuid()) is None:
            raise DataDirectoryError(
                f"The user {os.geteuid()} has no name on this machine, but PostgreSQL needs one; add it to "
                "/etc/passwd, start the server as another user, or set SYNAP_DATABASE_URL."
            )
        try:
            if not (self.directory / "PG_VERSION").exists():
                self._make()
            self._socket_directory = self._choose_socket_directory()
            self._launch()
        except OSError as error:
            raise DataDirectoryError(
                f"The embedded PostgreSQL in {self.directory} cannot be used: {error.strerror}."
            ) from None

    def watch(self, on_loss: Callable[[], None]) -> None:
        """Restart the server if it ends. `on_loss` is called if no restart succeeds."""
        self._watcher = threading.Thread(target=self._watch, args=(on_loss,), daemon=True)
        self._watcher.start()

    def give_up(self) -> None:
        """Stop waiting for the server to start, and do not restart it."""
        self._stopping.set()

    def stop(self) -> None:
        """Stop the server in an orderly way. Several threads may call this at once."""
        self.give_up()
        if self._watcher is not None:
            self._watcher.join()
        self._clear()
        if self._socket_directory != self.directory:
            remove_folder(self._socket_directory)

    def _make(self) -> None:
        """Create the database in a folder beside its final one, so that a crash leaves no half-made database there."""
        making = self.directory.with_name("postgres.making")
        if making.exists():
            shutil.rmtree(making)
        self._programs.make_folder(making)
        place = HERE if self._programs.place == HERE else making
        with TemporaryFile(dir=making.parent) as output:
            code = self._programs.start("initdb", *INITDB, f"--pgdata={place}", folder=making, output=output).wait()
            output.seek(0)
            said = output.read().decode(errors="replace")
        if code != 0:
            raise DataDirectoryError(
                f"The embedded PostgreSQL in {self.directory} cannot be made: {_reason(said) or f'exit code {code}'}."
            )
        making.rename(self.directory)

    def _launch(self) -> None:
        """Start the server, and wait until it is ready or `stop` is called. Raises DataDirectoryError, OSError."""
        self._clear()
        place = self._programs.place
        at = place if self._socket_directory == self.directory else self._socket_directory
        options = {
            "unix_socket_directories": str(at),
            "unix_socket_permissions": "0700",
            "hba_file": str(place / HBA),
            "ident_file": str(place / IDENT),
            **self._options,
        }
        arguments = [f"--{name}={value}" for name, value in options.items()]
        write_admission(self._programs)
        log = self.directory / "log"
        with self._programs.open_log(log) as output:
            begin = output.seek(0, os.SEEK_END)
            if self._stopping.is_set():  # `stop` has already looked for servers to end
                return
            self._process = self._programs.start(
                "postgres",
                *("-D", str(place), "-h", "", "-p", "5432"),
                *arguments,
                folder=self.directory,
                output=output,
            )
        deadline = time.monotonic() + START_SECONDS
        while not self._stopping.wait(POLL_SECONDS) and not self._is_ready():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise DataDirectoryError(
                    f"The embedded PostgreSQL in {self.directory} did not start"
                    f"{_because(log, begin)}; its log is {log}."
                )

    def _is_ready(self) -> bool:
        lines = _pid_lines(self.directory)
        return len(lines) == 8 and lines[0] == str(self._process.pid) and lines[7] == "ready"

    def _watch(self, on_loss: Callable[[], None]) -> None:
        pauses = iter(self._pauses_seconds)
        while True:
            up_since = time.monotonic()
            while self._process.poll() is None:
                if self._stopping.wait(POLL_SECONDS):
                    return
            if time.monotonic() - up_since > STEADY_SECONDS:
                pauses = iter(self._pauses_seconds)
            logger.error("the embedded PostgreSQL ended and is started again", exit_code=self._process.returncode)
            if not self._revive(pauses):
                break
        if not self._stopping.is_set():
            on_loss()

    def _revive(self, pauses: Iterator[float]) -> bool:
        """Restart the server. Returns False if it was given up, or is to stop."""
        last: Exception | None = None
        for seconds in pauses:
            if self._stopping.wait(seconds):
                return False
            try:
                self._launch()
            except (DataDirectoryError, OSError) as error:
                last = error
                logger.error("the embedded PostgreSQL cannot be started again", reason=str(error))
            else:
                logger.info("the embedded PostgreSQL runs again", pid=self._process.pid)
                return True
        self.loss = DataDirectoryError(
            f"The embedded PostgreSQL ended and could not be started again: {last or 'it ended again and again'}"
        )
        return False

    def _clear(self) -> None:
        """End every server of the directory, ours or one that a killed process left.

        Nobody else uses the directory, because we hold its lock.
        """
        left = list(_processes(self.directory))
        [pid] = _pid_lines(self.directory)[:1] or [""]
        for process in left:
            with suppress(psutil.NoSuchProcess):
                process.resume()  # a frozen process receives no other signal
        for process in left:
            if str(process.pid) == pid:
                with suppress(psutil.NoSuchProcess):
                    process.send_signal(signal.SIGINT)
                _, left = psutil.wait_procs(left, timeout=STOP_SECONDS)
        for process in left:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(left, timeout=KILL_SECONDS)
        # After a power cut, the process id in it may be that of another process.
        (self.directory / "postmaster.pid").unlink(missing_ok=True)

    def _choose_socket_directory(self) -> Path:
        """A folder that only its owner can enter: the database's, or a new one if its path is too long for a socket."""
        if fits(self.directory):
            return self.directory
        remove_left(self._programs)
        return socket_folder(self._programs)


def running(data_dir: Path) -> str | None:
    """The libpq URL of the server in a data directory, for the owner of its tables; None if no server is ready."""
    directory = data_dir.resolve() / "postgres"
    lines = _pid_lines(directory)
    if len(lines) != 8 or lines[7] != "ready":
        return None
    if not any(str(process.pid) == lines[0] for process in _processes(directory)):
        return None
    return url(socket_directory(directory) or directory)


def url(socket_directory: Path) -> str:
    """The libpq URL for the role that owns the tables, of a server whose socket is in a folder."""
    return f"postgresql://{OWNER}:@/postgres?host={quote(os.fsencode(socket_directory))}&port=5432"


def url_of_server(owners: str) -> str:
    """The libpq URL of the role that serves, from that of the owner."""
    return owners.replace(f"://{OWNER}:", f"://{SERVER}:", 1)


def socket_directory(directory: Path) -> Path | None:
    """The folder of the socket of a directory's server, which runs or ran last; None if it is not known."""
    lines = _pid_lines(directory)
    if len(lines) < 5:
        return None
    return directory if lines[4] == str(HERE) else Path(lines[4])


def _pid_lines(directory: Path) -> list[str]:
    """The lines of `postmaster.pid`: pid, directory, start time, port, folder of the socket, host, memory, state."""
    try:
        return [line.strip() for line in os.fsdecode((directory / "postmaster.pid").read_bytes()).splitlines()]
    except FileNotFoundError:
        return []


def _processes(directory: Path) -> Iterator[psutil.Process]:
    """The processes of PostgreSQL that work in a directory."""
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.name().startswith("postgres") and Path(process.cwd()) == directory:
                yield process


def _because(log: Path, begin: int) -> str:
    with log.open("rb") as file:
        file.seek(begin)
        reason = _reason(file.read().decode(errors="replace"))
    return f": {reason}" if reason else ""


def _reason(said: str) -> str:
    """The last failure in the output of a program of PostgreSQL."""
    # A message that begins with "the database system is" was sent to a client.
    found = re.findall(r"(?m)(?:^postgres|FATAL|PANIC|error):\s+(?!the database system is )(.+)", said)
    return found[-1].strip().removesuffix(".") if found else ""
