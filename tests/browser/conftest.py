"""The built example, a browser that opens it, and a server that allows its origin."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.browser.page import Page, driving
from tests.browser.site import Site, serving_files
from tests.kit.packages import install_client, npm
from tests.kit.paths import ROOT
from tests.kit.servers import Server, cloned, serving

EXAMPLE = ROOT / "examples" / "web"


@pytest.fixture(scope="package")
def chromium() -> str:
    """The path of the browser. Without it or node the tests are skipped; in CI they fail."""
    missing = [command for command in ("node", "npm", "chromium") if shutil.which(command) is None]
    if missing:
        reason = f"{' and '.join(missing)} not found: no page can be looked at"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return str(shutil.which("chromium"))


@pytest.fixture(scope="package")
def example(chromium: str) -> Path:  # noqa: ARG001 # without a browser nothing is installed
    """The example's folder, its packages installed."""
    install_client(EXAMPLE)
    return EXAMPLE


@pytest.fixture(scope="package")
def site(example: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The page on a static server, built by the example's own command: test processes may run side by side."""
    folder = tmp_path_factory.mktemp("dist")
    npm(example, "run", "build", "--", f"--outdir={folder}")
    with serving_files(folder) as served:
        yield served


@pytest.fixture(scope="package")
def page(chromium: str) -> Iterator[Page]:
    """A page in a browser, in which each test opens what it needs."""
    with driving(chromium) as driven:
        yield driven


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """The folder for pictures of pages: SYNAP_SCREENSHOTS, for whoever wants to look at them."""
    return Path(os.environ.get("SYNAP_SCREENSHOTS", tmp_path))


@pytest.fixture(scope="package")
def web_server(
    postgres_url: str, template: str, site: Site, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """A server that the page's origin may call."""
    with (
        cloned(postgres_url, template, "test_browser") as url,
        serving(tmp_path_factory.mktemp("browser"), database_url=url, cors_origins=site.url) as server,
    ):
        yield server
