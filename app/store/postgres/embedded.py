"""The embedded PostgreSQL: a real server from a Python wheel, with its files in the data directory."""

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from app.signals import stop
from app.store.postgres.data_directory import DataDirectoryError
from app.store.postgres.postmaster import Postmaster, running
from app.store.postgres.tuning import embedded_settings, memory_bytes

WAIT_SECONDS = 60.0
"""How long a command waits until the database of a starting server is ready."""


@contextmanager
def postgres(
    data_dir: Path, *, ours: bool, connections: int = 0, on_loss: Callable[[], None] = lambda: None
) -> Iterator[str]:
    """Yield the libpq URL of the PostgreSQL in `data_dir`, which must exist, for the role that owns its tables.

    If `ours`, this process starts the server, and stops it at the end of the block. Otherwise it waits for the server
    of another process.

    If our server ends unexpectedly, it is started again. If it cannot be, `on_loss` is called in a thread, and the end
    of the block raises. `connections` is the number of connections that the callers will open. Raises
    DataDirectoryError.
    """
    if not ours:
        yield _await_running(data_dir)
        return
    options = embedded_settings(memory_bytes(), shutil.disk_usage(data_dir).free, connections)
    postmaster = Postmaster(data_dir, options)
    with stop.before_end(postmaster.stop):
        try:
            with stop.finishing(postmaster.give_up):
                postmaster.start()
            stop.check()
            postmaster.watch(on_loss)
            yield postmaster.url
        finally:
            postmaster.stop()  # harmless if a signal's handler has stopped it already
            if postmaster.loss is not None:
                raise postmaster.loss


def _await_running(data_dir: Path) -> str:
    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        if url := running(data_dir):
            return url
        if time.monotonic() > deadline:
            raise DataDirectoryError(
                f"Another server uses {data_dir}, but its database does not answer; see its log, and "
                f"{data_dir / 'postgres' / 'log'}."
            )
        time.sleep(0.2)
