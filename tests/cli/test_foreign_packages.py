"""The command finds its own packages first, beside folders of the same names and whatever Python's path says."""

import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from benchmarks.process import free_port
from synap_events import PACKAGES
from tests.kit import web
from tests.kit.command import SYNAP
from tests.kit.paths import ROOT
from tests.kit.servers import environment, until

EXTENSION = """
import multiprocessing

from procedures.procedure import query
from schemas.base import Input, Output
from schemas.principal import Scope

multiprocessing.set_start_method({start_method!r}, force=True)


class Question(Input, frozen=True, kw_only=True):
    '''Nothing.'''


class Answer(Output, frozen=True, kw_only=True):
    '''A number.'''

    number: int


@query("notes.number", scope=Scope.EVENTS_READ)
async def number(_question: Question, _context: object) -> Answer:
    '''The number of the extension.'''
    return Answer(number=42)
"""

PATHS = {"nothing set": {}, "PYTHONPATH": {"PYTHONPATH": "."}, "both": {"PYTHONPATH": ".", "PYTHONSAFEPATH": "1"}}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A developer's folder: packages with the names of ours, which cannot be imported, and an extension."""
    for name in PACKAGES:
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise ImportError('the package of a stranger')\n")
    (tmp_path / "notes.py").write_text(EXTENSION.format(start_method="fork"))
    return tmp_path


def _run(command: list[str], folder: Path, variables: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.parametrize("path", PATHS.values(), ids=PATHS)
@pytest.mark.parametrize("command", [[str(SYNAP)], [sys.executable, "-m", "synap_events"]], ids=["synap", "python -m"])
def test_a_command_loads_its_own_packages_and_the_extension(
    folder: Path, command: list[str], path: dict[str, str]
) -> None:
    variables = environment(folder / "data", extensions="notes") | path

    done = _run([*command, "contract", "--json-schema"], folder, variables)

    assert (done.returncode, done.stderr) == (0, "")
    assert '"notes.number"' in done.stdout


@pytest.mark.parametrize("start_method", ["fork", "spawn"])
def test_processes_of_a_command_load_them_too(folder: Path, database_url: str, start_method: str) -> None:
    (folder / "notes.py").write_text(EXTENSION.format(start_method=start_method))
    port = free_port()
    settings = {"database_url": database_url, "extensions": "notes", "port": port}
    variables = environment(folder / "data", **settings) | {"PYTHONPATH": "."}
    (folder / "notes.ndjson").write_text('{"type": "note.created", "data": {}}\n')
    server = subprocess.Popen([SYNAP, "serve", "--init"], cwd=folder, env=variables)
    try:
        url = f"http://127.0.0.1:{port}"
        until(lambda: _is_ready(server, url), seconds=120)
        token = (folder / "data" / "control.token").read_text().strip()
        answer = web.get(
            f"{url}/trpc/notes.number", params={"input": "{}"}, headers={"authorization": f"Bearer {token}"}, timeout=60
        )
        imported = _run([str(SYNAP), "import", "notes.ndjson"], folder, variables)
    finally:
        server.terminate()
        server.wait(timeout=90)

    assert answer.json() == {"result": {"data": {"number": 42}}}
    assert (imported.returncode, imported.stderr) == (0, "")


def test_the_path_stays_as_it_was(folder: Path) -> None:
    code = "import sys; before = sys.path[:]; import synap_events; print(sys.path == before)"

    done = _run([sys.executable, "-P", "-c", code], folder, {"PYTHONPATH": str(ROOT)})

    assert done.stdout == "True\n", done.stderr


def _is_ready(server: subprocess.Popen[bytes], url: str) -> bool:
    assert server.poll() is None
    with suppress(httpx.HTTPError):
        return web.get(f"{url}/readyz", timeout=10).status_code == 200
    return False
