"""Packages of node, as their locks say."""

import fcntl
import subprocess
from pathlib import Path


def npm(folder: Path, *command: str) -> None:
    """One npm command; what it prints is told where it fails."""
    ran = subprocess.run(
        ["npm", *command],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=600,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout


def install_packages(folder: Path) -> None:
    """What the lock of `folder` says, once: test processes may run side by side."""
    lock, installed = (folder / "package-lock.json", folder / "node_modules" / ".package-lock.json")
    with lock.open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        if not installed.exists() or installed.stat().st_mtime < lock.stat().st_mtime:
            npm(folder, "ci")
