"""The facts about this machine, without which a figure has no meaning."""

import os
import platform
import shutil
import subprocess
from pathlib import Path

from benchmarks.errors import Missing

INSTALL_HINTS = {
    "wrk": "install it with the system's packages, e.g. `apt-get install wrk`",
    "node": "install Node 20 or later",
    "chromium": "install it with the system's packages, e.g. `apt-get install chromium`",
    "npm": "install it beside Node 20 or later",
}


def program(name: str) -> str:
    """Find a program of the system. Raises Missing, with a hint, if there is none."""
    found = shutil.which(name)
    if found is None:
        raise Missing(f"`{name}` is not on the PATH: {INSTALL_HINTS[name]}.")
    return found


def facts() -> dict[str, str]:
    """The cores, the processor and the Python version, for the foot of a table."""
    return {
        "cores": str(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()),
        "processor": _processor(),
        "Python": platform.python_version(),
    }


def node_version() -> str:
    """The version of node, without the `v`."""
    answer = subprocess.run([program("node"), "--version"], check=True, capture_output=True, text=True)
    return answer.stdout.strip().removeprefix("v")


def _processor() -> str:
    """The model of the processor on Linux, else the architecture."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())
