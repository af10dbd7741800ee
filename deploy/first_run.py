"""Proves that `make run` works for a stranger: `python3 -m deploy.first_run`.

It runs a clone in an empty folder, with nothing that was installed before, under the oldest and the newest Python of
this machine: first without a download cache, then in another clone with the cache of that run, then there once more.
Each run must answer and stop. It prints the seconds.
"""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

from deploy.lock import PYTHONS

ROOT = Path(__file__).parent.parent
FOLDERS = [*os.environ["PATH"].split(os.pathsep), "/usr/bin", "/usr/local/bin", "/opt/homebrew/bin"]
PYENV = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"), "versions")
ASK = "import ensurepip, sys; print(*sys.version_info[:3], sys._base_executable)"
PROXIES = ("http_proxy", "https_proxy", "no_proxy")
NETWORK = {
    *(*PROXIES, *(name.upper() for name in PROXIES), "REQUESTS_CA_BUNDLE", "SSL_CERT_DIR", "SSL_CERT_FILE"),
    *("PIP_CERT", "PIP_CLIENT_CERT", "PIP_DEFAULT_TIMEOUT", "PIP_INDEX_URL", "PIP_PROXY", "PIP_TRUSTED_HOST"),
}
"""The variables that a run inherits: those needed to reach the package index. No local packages, no cache."""
WARM_SECONDS, SECOND_SECONDS = 25, 3
"""The limits on a quiet machine with two cores. The printed load shows whether it is quiet."""
START_SECONDS = 600
STOP_SECONDS = 60


def pythons() -> list[tuple[tuple[int, ...], str]]:
    """Every supported Python of this machine that can make environments, oldest first."""
    names = ("python3", *(f"python{version}" for version in PYTHONS))
    found = set()
    for python in [*(Path(folder, name) for folder in FOLDERS for name in names), *PYENV.glob("*/bin/python3")]:
        if python.exists():
            asked = subprocess.run([python, "-I", "-c", ASK], capture_output=True, text=True, check=False)
            if asked.returncode == 0:
                *version, executable = asked.stdout.split(maxsplit=3)
                if ".".join(version[:2]) in PYTHONS:
                    found.add((tuple(map(int, version)), os.path.realpath(executable.strip())))
    return sorted(found)


def clone(folder: Path) -> Path:
    """A clone of the last commit."""
    subprocess.run(["git", "clone", "--quiet", ROOT, folder], check=True)
    return folder


def make_run(checkout: Path, python: str, home: Path) -> float:
    """The seconds from `make run` until the server answers. It must then stop, as after Ctrl-C."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    environment = {name: os.environ[name] for name in NETWORK if name in os.environ}
    environment |= {"PATH": "/usr/bin:/bin", "HOME": str(home), "SYNAP_PORT": str(port), "SYNAP_LEDGER_PORT": "0"}
    started = time.monotonic()
    process = subprocess.Popen(
        ["make", "run", f"PYTHON={python}"], cwd=checkout, env=environment, start_new_session=True
    )
    try:
        while not answers(port):
            if process.poll() is not None or time.monotonic() > started + START_SECONDS:
                sys.exit(f"make run with {python} does not answer; exit code {process.poll()}")
            time.sleep(0.02)
        seconds = time.monotonic() - started
        os.killpg(process.pid, signal.SIGINT)
        process.wait(STOP_SECONDS)
        return seconds
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)


def answers(port: int) -> bool:
    """Whether a server on this port is ready."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5):
            return True
    except (OSError, urllib.error.URLError):
        return False


def prove(version: str, python: str, folder: Path) -> None:
    """Make three runs with one Python, and print their seconds."""
    home = folder / "home"
    home.mkdir()
    cold = make_run(clone(folder / "cold"), python, home)
    again = clone(folder / "again")
    warm, second = (make_run(again, python, home) for _ in range(2))
    subprocess.run([again / ".venv/bin/python", "-m", "pip", "check"], check=True)
    print(
        f"Python {version} ({python}): make run answers after {cold:.1f} s without a cache, {warm:.1f} s with a warm"
        f" download cache (limit {WARM_SECONDS} s), {second:.1f} s the second time (limit {SECOND_SECONDS} s)."
        f" Load of the machine: {os.getloadavg()[0]:.1f}.",
        flush=True,
    )


if __name__ == "__main__":
    found = pythons()
    if not found:
        sys.exit("No supported Python with ensurepip was found.")
    for version, python in sorted({found[0], found[-1]}):
        with tempfile.TemporaryDirectory() as folder:
            prove(".".join(map(str, version)), python, Path(folder))
