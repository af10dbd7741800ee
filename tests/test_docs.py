"""The README's commands run, and the documents name every setting, error and procedure."""

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import msgspec
import pytest

from app.contract.operation import Kind
from app.settings import Settings
from app.surfaces.shared.statuses import TRPC_CODES
from benchmarks.process import free_port
from procedures.registry import registry
from tests.kit import web
from tests.kit.paths import ROOT
from tests.kit.servers import environment, this_environment, until

README = (ROOT / "README.md").read_text()
OPERATING = (ROOT / "docs" / "operating.md").read_text()
WEBHOOKS = (ROOT / "docs" / "webhooks.md").read_text()
LEDGER = (ROOT / "docs" / "ledger.md").read_text()
FILTERS = (ROOT / "docs" / "filters.md").read_text()
AGENTS = (ROOT / "docs" / "agents.md").read_text()
CLOUDEVENTS = (ROOT / "docs" / "cloudevents.md").read_text()
BLOCK = re.compile(r"^```(sh|ts)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
BLOCKS = BLOCK.findall(README)
MAKE = ["make run\n", "make test\n"]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, dict[str, str]]]:
    """A server started by `make run`, a folder as the README's reader has it, and its environment."""
    folder = tmp_path_factory.mktemp("readme")
    port = free_port()
    variables = environment(folder / "data", port=port) | {"PORT": str(port)} | this_environment()
    for name in ("examples", ".venv", "Makefile"):
        (folder / name).symlink_to(ROOT / name)
    with (folder / "run.log").open("wb") as log:
        process = subprocess.Popen(
            MAKE[0].split(), cwd=ROOT, env=variables, stdout=log, stderr=log, start_new_session=True
        )
    try:
        until(lambda: process.poll() is not None or _ready(port), seconds=120)
        assert process.poll() is None, (folder / "run.log").read_text()
        yield folder, variables
    finally:
        os.killpg(process.pid, signal.SIGINT)
        process.wait(timeout=40)


def test_the_two_commands_come_first() -> None:
    assert [text for _, text in BLOCKS[:2]] == MAKE


def test_every_command_works_as_printed(made: tuple[Path, dict[str, str]]) -> None:
    folder, variables = made
    documents = BLOCK.findall(WEBHOOKS + LEDGER + FILTERS + AGENTS + CLOUDEVENTS)
    commands = [text for kind, text in [*BLOCKS[2:], *documents] if kind == "sh"]
    script = "set -euo pipefail\n" + "echo\n".join(commands).replace(":8000", f":{variables['PORT']}")

    ran = subprocess.run(
        ["bash", "-c", script], cwd=folder, env=variables, capture_output=True, text=True, timeout=120, check=False
    )

    assert ran.returncode == 0, ran.stderr
    assert '{"error"' not in ran.stdout, ran.stdout
    answers = [line for line in ran.stdout.splitlines() if line.startswith('{"result"')]
    kinds = [procedure.kind for procedure in registry().values()]
    assert len(answers) == len(kinds) - kinds.count(Kind.SUBSCRIPTION) + FILTERS.count("curl ")
    outputs = [msgspec.json.decode(answer)["result"]["data"] for answer in answers]
    assert next(output["total"] for output in outputs if "total" in output) == 2
    assert " events of the log default verify: seq 0 to " in ran.stdout
    assert " extends the kept checkpoint of " in ran.stdout
    assert ran.stdout.count("event: connected") == kinds.count(Kind.SUBSCRIPTION)
    assert len(re.findall(r"^data: .*\"note.created\"", ran.stdout, re.MULTILINE)) == 2
    assert ran.stdout.count('"specversion":"1.0"') == 1 + 2 + 4, "one is answered, then a batch, then all of them"


def test_the_curl_line_of_the_start_works_as_pasted(made: tuple[Path, dict[str, str]]) -> None:
    folder, variables = made
    line = until(lambda: re.search(r"^curl .*$", (folder / "run.log").read_text(), re.MULTILINE))[0]

    answer = subprocess.run(
        ["bash", "-c", line], cwd=folder, env=variables, capture_output=True, text=True, timeout=30, check=True
    )

    assert msgspec.json.decode(answer.stdout)["result"]["data"]["type"] == "note.created"


def test_the_typescript_compiles_and_runs(made: tuple[Path, dict[str, str]], node: Path) -> None:
    folder, variables = made
    url = f"http://127.0.0.1:{variables['PORT']}"
    project = folder / "typescript"
    project.mkdir()
    (project / "node_modules").symlink_to(node / "node_modules")
    (project / "package.json").write_text('{"type": "module"}')
    (project / "contract.d.ts").write_text(web.get(f"{url}/trpc/contract.d.ts").text)
    texts = {f"client{number}": text for number, text in enumerate(text for kind, text in BLOCKS if kind == "ts")}
    options = msgspec.json.decode((node / "typed" / "tsconfig.json").read_bytes())
    files = ["contract.d.ts", *(f"{name}.ts" for name in texts)]
    (project / "tsconfig.json").write_bytes(msgspec.json.encode(options | {"files": files}))
    for name, text in texts.items():
        (project / f"{name}.ts").write_text(text.replace("http://127.0.0.1:8000", url))
    token = (folder / "data" / "control.token").read_text().strip()

    compiled = subprocess.run(
        ["node", "node_modules/typescript/bin/tsc", "--project", "."],
        cwd=project,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert compiled.returncode == 0, compiled.stdout
    said = []
    for name in texts:
        ran = subprocess.run(
            ["node", f"out/{name}.js"],
            cwd=project,
            env=variables | {"TOKEN": token},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert ran.returncode == 0, ran.stderr
        said.append(ran.stdout)
    calls, live = said
    assert calls.startswith("orchestrator\nBAD_REQUEST")
    assert live.endswith(" entity.created\n")


def test_every_setting_is_documented() -> None:
    named = set(re.findall(r"SYNAP_[A-Z_]+", OPERATING))

    settings = {f"SYNAP_{field.name.upper()}" for field in msgspec.structs.fields(Settings)}
    assert settings | {"SYNAP_TOKEN"} == named  # which commands that call a server read


def test_every_error_is_documented() -> None:
    protocol = {"PARSE_ERROR", "METHOD_NOT_SUPPORTED"}

    assert {code for code in TRPC_CODES if f"| {code} |" in OPERATING} == set(TRPC_CODES) - protocol


@pytest.mark.parametrize("name", registry())
def test_every_procedure_has_a_request_in_the_documents(name: str) -> None:
    assert f"/{name}" in README + WEBHOOKS + LEDGER + AGENTS


PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
SOURCE = re.compile(
    r"`((?:app|procedures|schemas|tests|clients|deploy|surfaces|store|delivery|access|capacity|filters|ledger)/[\w./]+)`"
)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_source_that_a_page_names_exists(page: Path) -> None:
    named = set(SOURCE.findall(page.read_text()))

    missing = {path for path in named if not any((root / path).exists() for root in (ROOT, ROOT / "app"))}
    assert not missing


def test_make_describes_every_target() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    make = shutil.which("make")
    assert make is not None

    listed = subprocess.run([make, "--no-print-directory"], cwd=ROOT, capture_output=True, text=True, check=True).stdout

    assert targets == {line.split()[0] for line in listed.splitlines()}


def _ready(port: int) -> bool:
    try:
        return web.get(f"http://127.0.0.1:{port}/readyz", timeout=2).status_code == 200
    except httpx.HTTPError:
        return False
