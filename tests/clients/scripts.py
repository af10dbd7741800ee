"""Processes that use the Python client, for tests that end a process or interrupt its main thread."""

import os
import subprocess
import sys

from synap_client import Synap  # conftest puts its folder on the module path

from tests.clients.conftest import SOURCE
from tests.kit.servers import Server

SCRIPT_SECONDS = 240
"""How long a process may take. It is much more than it needs, because machines may be busy."""


def script(server: Server, text: str, **names: object) -> subprocess.CompletedProcess[str]:
    """Run `text` in a process that has a `client` and these names."""
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
