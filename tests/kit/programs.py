"""Programs of the system that tests run."""

import os
import shutil

import pytest


def program(name: str) -> str:
    """Find a program of the system. If it is missing, the test is skipped; in CI it fails."""
    found = shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin")
    if found is None and "CI" not in os.environ:
        pytest.skip(f"{name} is not installed")
    assert found is not None, f"{name} is not installed"
    return found
