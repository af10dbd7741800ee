"""Makes `.venv` exactly what a lock pins, with this checkout in it; does nothing if it is that already.

`environment.sh` starts it in the checkout: with `server` for what the server needs, with `tests` for that and what
tests and tools need. It uses the standard library only, because it runs before anything is installed.

`.venv/.ready` describes a finished environment. It is deleted before anything changes, so an interrupted install has
none. Whatever does not match is made anew from nothing: that heals every kind of damage in one way.
"""

import fcntl
import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
from contextlib import ExitStack, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import IO

VENV = Path(".venv")
READY = VENV / ".ready"
PYTHON = str(VENV / "bin" / "python")
LOCKS = {"server": Path("requirements.lock"), "tests": Path("requirements-dev.lock")}
BASE = os.path.realpath(getattr(sys, "_base_executable", sys.executable))
"""The Python itself, even if `python3` is that of an activated `.venv`, which is about to be deleted."""

PIP = (PYTHON, "-I", "-m", "pip", "--disable-pip-version-check", "--no-input")
# The lock is complete, so pip resolves nothing: no later release of any package can change what is installed.
INSTALL = (*PIP, "install", "--quiet", "--no-deps", "--no-compile")
MAX_PIPS = 4

KEPT = {
    *("PIP_CACHE_DIR", "PIP_CERT", "PIP_CLIENT_CERT", "PIP_CONFIG_FILE", "PIP_DEFAULT_TIMEOUT", "PIP_EXTRA_INDEX_URL"),
    *("PIP_FIND_LINKS", "PIP_INDEX_URL", "PIP_KEYRING_PROVIDER", "PIP_NO_CACHE_DIR", "PIP_NO_INDEX", "PIP_PROXY"),
    *("PIP_RETRIES", "PIP_TIMEOUT", "PIP_TRUSTED_HOST"),
}
"""pip's settings of where packages come from. Others (a target, a constraint) would change what is installed."""
OVERRIDDEN = {"PIP_CONSTRAINT": os.devnull, "PIP_REQUIRE_HASHES": "0", "PIP_USER": "0"}
"""Settings that override pip's configuration files."""

CHANGED = {
    "python": "another Python made it",
    "folder": "the folder was moved",
    "project": "pyproject.toml has changed",
    "server": "the pinned versions have changed",
    "tests": "the pinned versions of the tests have changed",
}
"""The reasons to make an environment anew, by the part of its description that differs."""

UNREACHABLE = (
    "the package index cannot be reached: "
    "check the network, or name a proxy in PIP_PROXY or an index of your own in PIP_INDEX_URL"
)
FAILURES = {
    "CERTIFICATE_VERIFY_FAILED": "the package index has a certificate that pip does not trust: "
    "name the file with your network's certificates in PIP_CERT",
    "connection broken by": UNREACHABLE,
    "Max retries exceeded": UNREACHABLE,
    "Could not fetch URL": UNREACHABLE,
    "Read timed out": UNREACHABLE,
    "No space left on device": "the disk is full: make room in this folder and in the temporary folder",
    "Permission denied": "a file may not be written: give this folder with its .venv to the user who runs make",
    "DO NOT MATCH THE HASHES": "the index has other files than the lock pins: use one that does not alter packages",
    r"No matching distribution found for (\S+)": r"the package index has no file of \1 for this machine: "
    "check that README.md lists this system, and that PIP_INDEX_URL, if it is set, names an index of all packages",
}
"""The reason why a step failed, by a pattern of its output. The first match counts: a lost connection also causes a
missing file."""


class Refusal(Exception):
    """The environment cannot be made. The message is one sentence with the remedy."""


def main(part: str) -> None:
    """Leave `.venv` ready for `part`. Raises Refusal."""
    take_turns()
    wanted, found = description(part), read_ready()
    if found.items() >= wanted.items() and Path(PYTHON).exists():
        return
    started = time.monotonic()
    if part == "tests" and found.items() >= description("server").items() and "tests" not in found:
        say("Adding to .venv what the tests need.")
        READY.unlink()
    else:
        say(f"Setting up .venv with Python {sys.version.split()[0]}{reason(found, wanted)}.")
        create()
    install(LOCKS[part])
    READY.write_text(json.dumps(wanted))
    say(f"Done in {time.monotonic() - started:.0f} s.")


def description(part: str) -> dict[str, str]:
    """The contents of `.venv/.ready` for an environment with all of `part`."""
    project = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))
    described = {
        "python": f"{BASE} {sys.version} {os.uname().machine}",
        "folder": str(Path.cwd()),
        "project": digest(json.dumps([project["project"], project["build-system"]]).encode()),
        "server": digest(LOCKS["server"].read_bytes()),
    }
    return described if part == "server" else described | {"tests": digest(LOCKS["tests"].read_bytes())}


def digest(content: bytes) -> str:
    """A short name for `content`."""
    return hashlib.sha256(content).hexdigest()


def read_ready() -> dict[str, str]:
    """The description of the existing environment; empty if it was never finished."""
    with suppress(OSError, ValueError):
        return dict(json.loads(READY.read_bytes()))
    return {}


def reason(found: dict[str, str], wanted: dict[str, str]) -> str:
    """Why the existing environment must be replaced, as the end of a sentence; empty if there is none."""
    if not VENV.exists():
        return ""
    if not found:
        return " anew: it was not finished"
    return " anew: " + next((CHANGED[name] for name in wanted if found.get(name) != wanted[name]), "it is damaged")


def take_turns() -> None:
    """Wait until no other process sets up this folder.

    The processes started here inherit the lock, so a pip that outlives a killed `make` still holds it.
    """
    folder = os.open(".", os.O_RDONLY)
    os.set_inheritable(folder, True)  # noqa: FBT003 - os has no name for it
    try:
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        say("Another make is setting up .venv; waiting for it.")
        fcntl.flock(folder, fcntl.LOCK_EX)


def create() -> None:
    """Make an empty environment with pip. Deletes the old one. Raises Refusal."""
    READY.unlink(missing_ok=True)
    if not (find_spec("venv") and find_spec("ensurepip")):
        package = f"python{sys.version_info.major}.{sys.version_info.minor}-venv"
        raise Refusal(f"{BASE} cannot make one: it lacks venv or ensurepip (Debian: apt-get install {package})")
    run([BASE, "-I", "-m", "venv", "--clear", str(VENV)])


def install(lock: Path) -> None:
    """Install what `lock` pins and this checkout; compile and check all of it. Raises Refusal."""
    # pip spends most of its time reading the index's lists of files, on one core, so several share the lock.
    run(*([*INSTALL, "--require-hashes", "--only-binary", ":all:", "--requirement", part] for part in parts(lock)))
    run([*INSTALL, "--no-index", "--no-build-isolation", "--editable", "."])
    # Some files of some packages do not compile, and need not.
    compiled = "import compileall, sys; [compileall.compile_dir(name, quiet=2, workers=0) for name in sys.argv[1:]]"
    run([*PIP, "check"], [PYTHON, "-I", "-c", compiled, str(VENV / "lib"), "app", "procedures", "schemas"])


def parts(lock: Path) -> list[str]:
    """The requirements of `lock` in several files, one for each pip that runs at the same time."""
    requirements: list[list[str]] = []
    for line in lock.read_text().splitlines(keepends=True):
        if line[0].isspace():
            requirements[-1].append(line)
        else:
            requirements.append([line])
    pips = min(MAX_PIPS, os.cpu_count() or 1, len(requirements))
    paths = [VENV / f"part{number}.txt" for number in range(pips)]
    for number, path in enumerate(paths):
        path.write_text("".join(line for requirement in requirements[number::pips] for line in requirement))
    return [str(path) for path in paths]


def run(*commands: list[str]) -> None:
    """Run `commands` at the same time, and wait for all. Raises Refusal if one fails."""
    with ExitStack() as stack:
        outputs = [stack.enter_context(tempfile.TemporaryFile()) for _ in commands]
        processes = [start(command, output) for command, output in zip(commands, outputs, strict=True)]
        for process in processes:
            stack.callback(process.kill)
        for process, command, output in zip(processes, commands, outputs, strict=True):
            if process.wait():
                output.seek(0)
                raise refusal(command, output.read().decode(errors="replace"))


def start(command: list[str], output: IO[bytes]) -> subprocess.Popen[bytes]:
    """Start `command` without the settings that change what pip and Python do. It inherits the lock of this folder."""
    changes = ("PIP_", "PYTHON")
    kept = {name: value for name, value in os.environ.items() if name in KEPT or not name.startswith(changes)}
    return subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=kept | OVERRIDDEN, close_fds=False
    )


def refusal(command: list[str], output: str) -> Refusal:
    """Why a step failed, in one sentence. Output without a known reason is printed."""
    for pattern, sentence in FAILURES.items():
        if match := re.search(pattern, output):
            return Refusal(match.expand(sentence))
    say(output.rstrip())
    return Refusal(f"this failed, as the lines above say: {' '.join(command)}; mend it and run make again")


def say(text: str) -> None:
    """One line for the person at the terminal."""
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    try:
        main(sys.argv[1])
    except Refusal as refused:
        sys.exit(f"No environment: {refused}.")
    except OSError as failed:
        sys.exit(f"No environment: {failed.filename}: {failed.strerror}; mend that and run make again.")
    except KeyboardInterrupt:
        say("Interrupted: the next make starts anew.")
        sys.exit(130)
