"""Every command of every page runs, and the quick start prints the output that README shows."""

import itertools
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import msgspec
import pytest
from msgspec import Struct

from app.contract.operation import Kind
from benchmarks.process import free_port
from procedures.registry import registry
from tests.kit import web
from tests.kit.packages import compile_typescript, install_client
from tests.kit.paths import ROOT
from tests.kit.servers import environment, this_environment, until

DOCS = ROOT / "docs"
README = (ROOT / "README.md").read_text()
BLOCK = re.compile(r"^```(sh|ts|python|json|text)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SHOWN = {("sh", "json"), ("sh", "text")}
"""A command, and below it what it prints."""

MAKE = "make run\n"

ELSEWHERE = {DOCS / "guides" / "extending.md", DOCS / "guides" / "react.md"}
"""Pages that `test_extending.py` and `test_react_guide.py` follow from an empty folder."""

PAGES = {
    str(page.relative_to(ROOT)): text
    for page in (*sorted(DOCS.rglob("*.md")), ROOT / "clients" / "verify" / "README.md")
    if "```sh\n" in (text := page.read_text()) and page not in ELSEWHERE
}
"""The text of each page with commands, by its path."""

VERIFIED = r" events? of the log default verif(?:y|ies): seq 0"
"""A log that verifies. It has one event if no other page has logged any."""

PRINTED = {
    "docs/guides/agents.md": {
        r"^\d+ agent.decided$": 1,
        r"^paid 82000 for invoice-12$": 1,
        r"^not paid again, because it was executed$": 1,
        r"^The key 'invoice-12' has asked for other parameters before": 1,
        r" verifies": 1,
        r"^forged.json is refused$": 1,
    },
    "docs/guides/events.md": {r"^data: .*\"note.created\"": 2, r"\"total\":2,": 1},
    # First one event is returned, then a batch, then all events.
    "docs/guides/cloudevents.md": {r'"specversion":"1.0"': 1 + 2 + 4},
    "docs/guides/authors.md": {r"signed by the author did:key:z6Mk\w+: 1 event": 1},
    "docs/guides/intents.md": {rf'"type":"payment.refund.{word}"': 1 for word in ("approved", "executed", "withdrawn")},
    "docs/reference/ledger.md": {
        VERIFIED: 1,
        " extends the kept checkpoint of ": 1,
    },
    "docs/operate/import-export.md": {r": 1 stored, ": 1},
    "clients/verify/README.md": {
        VERIFIED: 3,
        " extends the kept checkpoint of ": 1,
    },
}
"""Regular expressions of what the commands of a page print, and how often."""

MADE_UP = {
    "<id>": r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}",
    "<hash>": r"sha256:[0-9a-f]{64}",
    "<time>": r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d\.\d+Z?",
    "<seq>": r'(?:(?<="seq":)|(?<= #))\d+',
}
"""Values that differ in each run."""


class Made(Struct, frozen=True):
    """The folder and variables of a reader who has followed README, and the running server."""

    folder: Path
    variables: dict[str, str]

    @property
    def port(self) -> str:
        """The port of the server, which replaces 8000."""
        return self.variables["PORT"]

    def shell(self, script: str, *, seconds: float = 120) -> subprocess.CompletedProcess[str]:
        """Run commands with README's variables set."""
        return subprocess.run(
            self.command(script),
            cwd=self.folder,
            env=self.variables,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )

    def command(self, script: str) -> list[str]:
        """A call of bash with these commands, with this server's address in them."""
        text = f"set -euo pipefail\n{EXPORT}{script}".replace(":8000", f":{self.port}")
        return ["bash", "-c", text.replace("--max-time 1 ", "--max-time 5 ")]


def blocks(text: str, kind: str) -> list[str]:
    """The code blocks of a page in one language."""
    return [block for language, block in BLOCK.findall(text) if language == kind]


EXPORT = next(block for block in blocks(README, "sh") if block.startswith("export TOKEN="))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    """A server started by `make run`, and the folder of README's reader."""
    folder = tmp_path_factory.mktemp("readme")
    port = free_port()
    variables = environment(folder / "data", port=port) | {"PORT": str(port)} | this_environment()
    for name in ("examples", "clients", ".venv", "Makefile"):
        (folder / name).symlink_to(ROOT / name)
    with (folder / "run.log").open("wb") as log:
        process = subprocess.Popen(
            MAKE.split(), cwd=ROOT, env=variables, stdout=log, stderr=log, start_new_session=True
        )
    try:
        until(lambda: process.poll() is not None or _ready(port), seconds=120)
        assert process.poll() is None, (folder / "run.log").read_text()
        yield Made(folder, variables)
    finally:
        os.killpg(process.pid, signal.SIGINT)
        process.wait(timeout=40)


def test_the_quick_start_begins_with_make_run() -> None:
    assert blocks(README, "sh")[0] == MAKE


def test_the_quick_start_prints_what_it_shows(made: Made) -> None:
    pairs = itertools.pairwise(BLOCK.findall(README))
    shown = [(command, output) for (kind, command), (printed, output) in pairs if (kind, printed) in SHOWN]
    assert len(shown) == 2

    for command, printed in shown:
        assert _settled(_printed(made, command)) == _settled(printed), command


def test_the_other_commands_of_readme_run(made: Made) -> None:
    others = [block for block in blocks(README, "sh") if block not in {MAKE, EXPORT} and "synap tail" not in block]

    ran = made.shell("echo\n".join(others))

    assert ran.returncode == 0, ran.stderr
    assert " of the log default verif" in ran.stdout


def test_readme_from_python(made: Made) -> None:
    [script] = blocks(README, "python")
    source = made.folder / "clients" / "python" / "src"

    ran = subprocess.run(
        [sys.executable, "-c", script.replace(":8000", f":{made.port}")],
        env=made.variables | {"PYTHONPATH": str(source), "TOKEN": _token(made)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert ran.returncode == 0, ran.stderr
    assert ran.stdout == "{'title': 'From Python'}\n"


@pytest.mark.parametrize("page", PAGES)
def test_every_command_of_a_page_runs(page: str, made: Made, request: pytest.FixtureRequest) -> None:
    script = "echo\n".join(blocks(PAGES[page], "sh"))
    if "\nnode " in script:
        request.getfixturevalue("node")  # skips the test if the machine has no node
    kinds = [registry()[name].kind for name in re.findall(r'"\$TRPC/(\w+\.\w+)"', script) if name in registry()]

    ran = made.shell(script)

    assert ran.returncode == 0, ran.stderr
    assert '{"error"' not in ran.stdout, ran.stdout
    returned = [line for line in ran.stdout.splitlines() if line.startswith('{"result"')]
    assert len(returned) == len(kinds) - kinds.count(Kind.SUBSCRIPTION)
    assert all("data" in msgspec.json.decode(line)["result"] for line in returned)
    assert ran.stdout.count("event: connected") == kinds.count(Kind.SUBSCRIPTION)
    for pattern, count in PRINTED.get(page, {}).items():
        assert len(re.findall(pattern, ran.stdout, re.MULTILINE)) == count, pattern


def test_the_curl_line_of_the_start_works_as_pasted(made: Made) -> None:
    log = made.folder / "run.log"
    line = until(lambda: re.search(r"^curl .*$", log.read_text(), re.MULTILINE))[0]

    answer = subprocess.run(
        ["bash", "-c", line],
        cwd=made.folder,
        env=made.variables,
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )

    assert msgspec.json.decode(answer.stdout)["result"]["data"]["type"] == "note.created"


def test_the_typescript_compiles_and_runs(made: Made, node: Path) -> None:
    url = f"http://127.0.0.1:{made.port}"
    project = made.folder / "typescript"
    project.mkdir()
    (project / "node_modules").symlink_to(node / "node_modules")
    (project / "package.json").write_text('{"type": "module"}')
    (project / "contract.ts").write_text(web.get(f"{url}/trpc/contract.ts").text)
    guides = [(DOCS / "guides" / name).read_text() for name in ("typescript.md", "live.md")]
    pages = README + "".join(guides)
    install_client(node)
    texts = {f"client{number}": text for number, text in enumerate(blocks(pages, "ts"))}
    options = msgspec.json.decode((node / "typed" / "tsconfig.json").read_bytes())
    files = ["contract.ts", *(f"{name}.ts" for name in texts)]
    (project / "tsconfig.json").write_bytes(msgspec.json.encode(options | {"files": files}))
    for name, text in texts.items():
        (project / f"{name}.ts").write_text(text.replace("http://127.0.0.1:8000", url))

    compile_typescript(project)
    said = []
    for name in texts:
        ran = subprocess.run(
            ["node", f"out/{name}.js"],
            cwd=project,
            env=made.variables | {"TOKEN": _token(made)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert ran.returncode == 0, ran.stderr
        said.append(ran.stdout)
    short, calls, following, careful, alone, live, joined = said
    assert short == "{ title: 'From TypeScript' }\n"
    assert calls == "orchestrator\n[ 'type', 'metadata.ai.agent' ]\n"
    assert following.endswith(" entity.created\n")
    assert re.fullmatch(r"true \d+\.\d+\.\d+\+[0-9a-f]{16}\n", careful)
    assert alone.startswith("BAD_REQUEST")
    assert live.endswith(" entity.created\n")
    assert re.match(r"connecting\n\d+ of \d+\n(\d+\n)*live\n", joined)


def test_make_describes_every_target() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    make = shutil.which("make")
    assert make is not None

    listed = subprocess.run([make, "--no-print-directory"], cwd=ROOT, capture_output=True, text=True, check=True).stdout

    assert targets == {line.split()[0] for line in listed.splitlines()}


def _printed(made: Made, command: str) -> str:
    """Run a command, and return its output, or one line if it follows the log."""
    if "synap tail" not in command:
        ran = made.shell(command)
        assert ran.returncode == 0, ran.stderr
        return ran.stdout
    with subprocess.Popen(
        made.command(f"exec {command}"), cwd=made.folder, env=made.variables, stdout=subprocess.PIPE, text=True
    ) as following:
        try:
            assert following.stdout is not None
            return following.stdout.readline()
        finally:
            following.send_signal(signal.SIGINT)


def _settled(text: str) -> str:
    """A text with placeholders for values that differ in each run."""
    for name, pattern in MADE_UP.items():
        text = re.sub(pattern, name, text)
    return text.strip()


def _token(made: Made) -> str:
    return (made.folder / "data" / "control.token").read_text().strip()


def _ready(port: int) -> bool:
    try:
        return web.get(f"http://127.0.0.1:{port}/readyz", timeout=2).status_code == 200
    except httpx.HTTPError:
        return False
