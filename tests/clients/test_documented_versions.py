"""The guides name the versions of the packages that the tests run."""

import json
import re
from pathlib import Path

from tests.kit.packages import GENERATOR
from tests.kit.paths import ROOT
from tests.kit.trpc import OLDEST, SCRIPTS

GUIDES = ROOT / "docs" / "guides"
GENERATORS = Path(__file__).parent / "node"


def test_the_guide_to_typescript_names_the_tested_versions_of_trpc() -> None:
    rows = re.findall(r"^\| `(@trpc/\S+)` \| (\S+) \| (\S+) \|$", (GUIDES / "typescript.md").read_text(), re.MULTILINE)

    assert {name: oldest for name, oldest, _ in rows} == _dependencies(OLDEST)
    assert {name: newest for name, _, newest in rows}.items() <= _dependencies(SCRIPTS).items()


def test_the_client_requires_the_oldest_tested_version_of_trpc() -> None:
    client = json.loads((ROOT / "clients" / "typescript" / "package.json").read_bytes())

    required = {name: f"^{version}" for name, version in _dependencies(OLDEST).items()}
    peers = {name: range_ for name, range_ in client["peerDependencies"].items() if name.startswith("@trpc/")}
    assert peers.items() <= required.items()


def test_the_guide_to_other_languages_names_the_tested_versions_of_generators() -> None:
    guide = (GUIDES / "other-languages.md").read_text()
    rows = dict(re.findall(r"^\| `(\S+)` \| (\S+) \|", guide, re.MULTILINE))
    locks = GENERATOR.read_text() + (ROOT / "requirements-dev.lock").read_text()
    tested = _dependencies(GENERATORS) | dict(re.findall(r"^(\S+)==(\S+)", locks, re.MULTILINE))

    assert len(rows) == 5
    assert rows.items() <= tested.items()
    assert f"`openapi-fetch` {tested['openapi-fetch']}," in guide.replace(" |", ",")
    assert f"`@trpc/openapi` (tested: {tested['@trpc/openapi']})" in guide


def _dependencies(folder: Path) -> dict[str, str]:
    found: dict[str, str] = json.loads((folder / "package.json").read_bytes())["dependencies"]
    return found
