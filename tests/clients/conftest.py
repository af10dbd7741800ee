"""The Python client, whose folder is put on the module path."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kit import checks, web
from tests.kit.paths import ROOT

SOURCE = ROOT / "clients" / "python" / "src"

sys.path.insert(0, str(SOURCE))

from synap_client import Synap, new_id  # noqa: E402 - importable only from here on

from tests.clients import verdicts  # noqa: E402 - as above
from tests.kit.servers import Server  # noqa: E402 - as above


@pytest.fixture
def client(server: Server) -> Iterator[Synap]:
    """A client of the shared server, with all scopes."""
    with Synap(server.url, server.token, http=web.client) as made:
        yield made


@pytest.fixture(scope="session")
def node_command() -> Iterator[str]:
    """The command that runs the verifier in JavaScript. Without node the tests are skipped; in CI they fail."""
    found = checks.node()
    if found is None:
        pytest.skip("node not found: no stranger's verifier can run")
    yield found
    verdicts.end()


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    """The path of a spool that does not exist yet."""
    return tmp_path / "spool"


@pytest.fixture
def run() -> str:
    """A name that only the events of this test have."""
    return new_id()


@pytest.fixture
def tokens(server: Server, client: Synap, run: str) -> tuple[str, str]:
    """The keys of an agent, who asks, and of Ann, who decides. They are users of this test only."""
    made = client.call("keys.create", {"scopes": ["*", "intents:decide-own"]})
    with Synap(server.url, made["token"], http=web.client) as admin:
        asks = {"userId": f"bot-{run}", "scopes": ["events:write", "events:read-own"]}
        decides = {"userId": f"ann-{run}", "scopes": ["events:read", "intents:decide"]}
        return admin.call("keys.create", asks)["token"], admin.call("keys.create", decides)["token"]
