"""The wheel and the sdist: what they contain, what an index shows, and a server installed where nothing else is."""

import re
import subprocess
import sys
import tarfile
import zipfile
from email.parser import BytesParser
from importlib.metadata import version
from pathlib import Path

import pytest
from msgspec import Struct

from app.surfaces.console.door import STATIC
from benchmarks.process import free_port
from deploy.index_page import index_page
from tests.kit import web
from tests.kit.packages import deploy_tools, run
from tests.kit.paths import ROOT
from tests.kit.servers import until

README = (ROOT / "README.md").read_text()
TARGET = re.compile(r"\]\(([^)]*)\)")


class Built(Struct, frozen=True):
    """The two files of a release."""

    wheel: Path
    sdist: Path


def build(source: Path, folder: Path, *targets: str) -> list[Path]:
    """Build these targets of a source tree, and return the files in order of their names."""
    options = [option for target in targets for option in ("-t", target)]
    run(source, sys.executable, "-m", "hatchling", "build", "-d", folder, *options)
    return sorted(folder.iterdir())


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """What `make dist` builds."""
    wheel, sdist = build(ROOT, tmp_path_factory.mktemp("dist"), "sdist", "wheel")
    return Built(wheel, sdist)


def installed_by_uvx(wheel: Path, folder: Path) -> Path:
    """The environment in which `uvx --from WHEEL synap-events` runs, with the versions of the lock."""
    uvx = (Path(sys.executable).with_name("uvx"), "--quiet", "--system-certs", "--python", sys.executable)
    command = (
        "--constraints",
        ROOT / "requirements.lock",
        "--from",
        wheel,
        "python",
        "-c",
        "import sys; print(sys.prefix)",
    )
    ran = subprocess.run([*uvx, *command], cwd=folder, stdout=subprocess.PIPE, text=True, check=True)
    return Path(ran.stdout.strip())


def test_the_sdist_builds_the_same_wheel(built: Built, tmp_path: Path) -> None:
    with tarfile.open(built.sdist) as archive:
        archive.extractall(tmp_path)
    [source] = tmp_path.iterdir()

    [wheel] = build(source, tmp_path / "dist", "wheel")

    assert wheel.read_bytes() == built.wheel.read_bytes()
    assert {"docs", "deploy", "console", "CHANGELOG.md", "LICENSE"} <= {path.name for path in source.iterdir()}


def test_the_wheel_has_only_the_server(built: Built) -> None:
    tops = {name.partition("/")[0] for name in zipfile.ZipFile(built.wheel).namelist()}

    assert tops - {"synap_events.py"} == {
        "app",
        "procedures",
        "schemas",
        f"synap_events-{version('synap-events')}.dist-info",
    }


def test_the_wheel_contains_the_files_of_the_console(built: Built) -> None:
    names = zipfile.ZipFile(built.wheel).namelist()

    assert {name for name in names if "console/static/" in name} == {
        f"app/surfaces/console/static/{path.name}" for path in STATIC.iterdir()
    }


def test_no_page_installs_what_pip_or_an_index_rejects() -> None:
    """Of a wheel: pip rejects one beside constraints that have hashes, and no index has the package."""
    pages = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), *(ROOT / "deploy").rglob("*.service")]

    wrong = re.compile(r"--constraint[ =]requirements|pip install (--upgrade |-U )?synap-events\b")
    assert [path.name for path in pages if wrong.search(path.read_text())] == []


def test_an_index_accepts_the_package_and_shows_no_dead_link(built: Built) -> None:
    run(ROOT, deploy_tools() / "twine", "check", "--strict", built.wheel, built.sdist)

    [metadata] = [name for name in zipfile.ZipFile(built.wheel).namelist() if name.endswith("/METADATA")]
    shown = BytesParser().parsebytes(zipfile.ZipFile(built.wheel).read(metadata))
    assert shown["Description-Content-Type"] == "text/markdown"
    page = shown.get_payload()
    assert isinstance(page, str)
    assert "An append-only event log" in page
    assert [target for target in TARGET.findall(page) if not target.startswith("https://")] == []


def test_the_links_of_readme_lead_to_the_repository_once_it_has_an_address() -> None:
    relative = [target for target in TARGET.findall(README) if "://" not in target]

    page = index_page(README, "https://example.org/synap/")

    assert len(relative) > 20
    assert [target for target in TARGET.findall(page) if "://" not in target] == []
    assert "(https://example.org/synap/blob/HEAD/docs/index.md)" in page
    assert "](https://example.org/synap/raw/HEAD/docs/guides/console/event.png)" in page


def test_what_uvx_installs_serves_where_nothing_else_is(built: Built, tmp_path: Path) -> None:
    """The environment of uvx has only the wheel and what it depends on; the server has only two variables."""
    home = installed_by_uvx(built.wheel, tmp_path)
    port = free_port()
    settings = {"SYNAP_PORT": str(port), "SYNAP_LEDGER_PORT": "0"}
    with subprocess.Popen([home / "bin" / "synap-events", "serve"], cwd=tmp_path, env=settings) as process:
        try:
            until(lambda: process.poll() is not None or _answers(port), seconds=120)
            url = f"http://127.0.0.1:{port}"
            pages = {path: web.get(f"{url}{path}") for path in ("/readyz", "/docs", "/openapi.json", "/console")}
            files = re.findall(r'(?:src|href)="(console/[^"]+)"', pages["/console"].text)
            script = [web.get(f"{url}/{file}").status_code for file in files]
            authorization = {"authorization": f"Bearer {(tmp_path / 'data' / 'control.token').read_text().strip()}"}
            logged = web.post(
                f"{url}/trpc/events.log", json={"type": "note.created", "data": {}}, headers=authorization
            )
        finally:
            process.terminate()

    assert process.returncode == 0
    assert {path: page.status_code for path, page in pages.items()} == dict.fromkeys(pages, 200)
    assert script == [200] * 2
    assert logged.json()["result"]["data"]["seq"] == 0


def _answers(port: int) -> bool:
    try:
        return web.get(f"http://127.0.0.1:{port}/readyz", timeout=5).status_code == 200
    except Exception:  # noqa: BLE001 - it does not listen yet
        return False
