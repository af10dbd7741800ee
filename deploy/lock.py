"""Renews the locks from `pyproject.toml`: `python -m deploy.lock`.

It changes nothing if a pinned package lacks a wheel for one of the supported systems.

`requirements.lock` has what the server needs, with the build backend of the checkout. `requirements-dev.lock` has that
and what tests and tools need. Both are of one resolution, so a version is the same in both.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

PYTHONS = ("3.11", "3.12", "3.13", "3.14")
PLATFORMS = {
    "x86_64-manylinux_2_28": "Linux on x86-64, glibc 2.28 or later",
    "aarch64-manylinux_2_28": "Linux on arm64, glibc 2.28 or later",
    "aarch64-apple-darwin": "macOS 13 or later on arm64",
}
"""The systems for which every pinned package has a wheel: uv's names, with those of the documentation."""

UV = (str(Path(sys.executable).with_name("uv")), "--quiet", "--system-certs")
COMPILE = (
    *(*UV, "pip", "compile", "--universal", "--python-version", PYTHONS[0], "--generate-hashes"),
    *("--no-header", "--no-annotate", "--no-emit-index-url", "--group", "build", "pyproject.toml"),
)


class MissingWheelError(Exception):
    """A pinned package has no wheel for a supported system. The message names both."""


def renew(folder: Path) -> None:
    """Write the newest versions to the locks in `folder`. Raises MissingWheelError, and then changes nothing."""
    with tempfile.TemporaryDirectory() as made:
        everything, server = Path(made, "requirements-dev.lock"), Path(made, "requirements.lock")
        _run(*COMPILE, "--upgrade", "--extra", "otel", "--group", "dev", "--output-file", str(everything))
        _run(*COMPILE, "--constraint", str(everything), "--output-file", str(server))
        check(everything)
        for lock in (everything, server):
            (folder / lock.name).write_bytes(lock.read_bytes())


def check(lock: Path) -> None:
    """Ask the index whether every package of `lock` can be installed everywhere. Raises MissingWheelError."""
    missing = [
        f"Python {python}, {system}: {failed.strip()}"
        for platform, system in PLATFORMS.items()
        for python in PYTHONS
        if (failed := _unusable(lock, python, platform))
    ]
    if missing:
        raise MissingWheelError("\n".join(missing))


def _unusable(lock: Path, python: str, platform: str) -> str:
    """What uv says about a package without a wheel for this system; empty if each has one. Installs nothing."""
    with tempfile.TemporaryDirectory() as nothing:
        tried = subprocess.run(
            [
                *(*UV, "pip", "install", "--dry-run", "--no-deps", "--require-hashes", "--only-binary", ":all:"),
                *("--target", nothing, "--python-version", python, "--python-platform", platform),
                *("--requirement", str(lock)),
            ],
            env=os.environ | {"MACOSX_DEPLOYMENT_TARGET": "13.0"},
            capture_output=True,
            text=True,
            check=False,
        )
    return tried.stderr if tried.returncode else ""


def _run(*command: str) -> None:
    subprocess.run(command, check=True)


if __name__ == "__main__":
    try:
        renew(Path.cwd())
    except MissingWheelError as missing:
        sys.exit(f"The locks stay as they are, because wheels are missing.\n{missing}")
    except subprocess.CalledProcessError as failed:
        sys.exit(failed.returncode)
