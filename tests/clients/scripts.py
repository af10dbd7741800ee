"""Processes that use the Python client: what ends a process, or interrupts its main thread, needs one of its own."""

import os
import subprocess
import sys

from synap_client import Synap  # found: conftest puts its folder on the module path

from tests.clients.conftest import SOURCE
from tests.kit.servers import Server

SCRIPT_SECONDS = 240
"""The most that a process may take: far more than it needs, since machines may be busy."""


def script(server: Server, text: str, **names: object) -> subprocess.CompletedProcess[str]:
    """A process that has a `client` and these names, and runs `text`."""
    head = f"from synap_client import *\nclient = Synap({server.url!r}, {server.token!r})\n"
    values = "".join(f"{name} = {value!r}\n" for name, value in names.items())
    return subprocess.run(
        [sys.executable, "-c", head + values + text],
        env=os.environ | {"PYTHONPATH": str(SOURCE)},
        capture_output=True,
        text=True,
        timeout=SCRIPT_SECONDS,
        check=False,
    )


def stored_numbers(client: Synap, run: str) -> list[int]:
    """The member `n` of every event of a test, in the order of the log."""
    return [event.data["n"] for event in client.events(correlation_id=run, limit=1000)][::-1]
