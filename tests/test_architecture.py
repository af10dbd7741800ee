"""The import contracts hold without exemptions, and every module of `app` is in a contract."""

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.kit.paths import ROOT

CONFIG: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]


def _linted(folder: Path) -> subprocess.CompletedProcess[str]:
    command = Path(sys.executable).with_name("lint-imports")
    return subprocess.run([command, "--no-cache"], cwd=folder, capture_output=True, text=True, check=False)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the code that a test may change."""
    for name in CONFIG["root_packages"]:
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def test_every_contract_holds() -> None:
    done = _linted(ROOT)

    assert done.returncode == 0, done.stdout


def test_no_contract_has_an_exemption() -> None:
    assert [contract["name"] for contract in CONFIG["contracts"] if "ignore_imports" in contract] == []


def test_sql_is_forbidden_to_every_room_but_the_store() -> None:
    [contract] = [each for each in CONFIG["contracts"] if each["name"] == "SQL stays in the store"]

    rooms = {f"app.{path.stem}" for path in (ROOT / "app").iterdir() if not path.name.startswith("_")}

    assert set(contract["source_modules"]) == {"procedures", "schemas"} | rooms - {"app.store"}


@pytest.mark.parametrize("place", ["app/stray.py", "app/surfaces/stray.py", "app/store/stray.py"])
def test_a_module_without_a_room_fails(copy: Path, place: str) -> None:
    (copy / place).write_text('"""Nobody has said where this belongs."""\n')

    done = _linted(copy)

    assert done.returncode != 0
    assert "stray" in done.stdout
