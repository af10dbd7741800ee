"""Clients that published generators make of the API document: they compile, and what they call is answered."""

import os
import shutil
import subprocess
import sys
from compileall import compile_dir
from pathlib import Path

import pytest

from tests import web
from tests.packages import install_packages
from tests.servers import Server

NODE = Path(__file__).parent / "node"

OPTIONS = ("--default-non-nullable", "false")
"""Else it asks for every member that has a default."""

CALL = """
import sys

from made.api.browse import browse_event
from made.api.publish import publish_publish
from made.api.trpc import trpc_events_list_by_post, trpc_events_log
from made.client import AuthenticatedClient
from made.models import ListEvents, LogEvent, PublishEvent, Refusal

client = AuthenticatedClient(sys.argv[1], sys.argv[2])

event = LogEvent.from_dict({"type": "code.analysis.complete", "data": {"score": 72}})
logged = trpc_events_log.sync(client=client, body=event).result.data

wanted = ListEvents.from_dict({"type": "code.*", "limit": 1, "filter": {"id": str(logged.id)}})
[found] = trpc_events_list_by_post.sync(client=client, body=wanted).result.data
assert (found.id, found.seq) == (logged.id, logged.seq)

body = PublishEvent.from_dict({"type": "code.published", "source": "ci", "data": {"score": 72}})
assert publish_publish.sync(client=client, body=body).status == "published"

refused = browse_event.sync("nosuch", client=client)
assert isinstance(refused, Refusal), refused
assert refused.error.code == "not_found"
"""


@pytest.fixture
def document(server: Server, tmp_path: Path) -> Path:
    """The document of a running server."""
    path = tmp_path / "openapi.json"
    path.write_bytes(web.get(f"{server.url}/openapi.json").content)
    return path


def test_a_client_for_typescript(server: Server, document: Path, node: Path, tmp_path: Path) -> None:  # noqa: ARG001 # without node it is skipped
    install_packages(NODE)
    for name in ("call.ts", "tsconfig.json", "package.json"):
        shutil.copy(NODE / name, tmp_path)
    (tmp_path / "node_modules").symlink_to(NODE / "node_modules")

    ran(tmp_path, "node", "node_modules/openapi-typescript/bin/cli.js", document, *OPTIONS, "--output", "api.d.ts")
    ran(tmp_path, "node", "node_modules/typescript/bin/tsc", "--project", ".")
    ran(tmp_path, "node", "out/call.js", server.url, server.token)


def test_a_client_for_python(server: Server, document: Path, tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text("post_hooks: []\n")  # it is not for reading
    made = tmp_path / "made"
    generator = Path(sys.executable).with_name("openapi-python-client")

    said = ran(
        tmp_path,
        *(generator, "generate", "--path", document, "--config", config),
        *("--meta", "none", "--output-path", made, "--fail-on-warning"),
    )

    assert "Unable" not in said
    assert len(list((made / "api").rglob("*_*.py"))) > 60
    assert compile_dir(made, quiet=1)
    ran(tmp_path, sys.executable, "-c", CALL, server.url, server.token)


def ran(folder: Path, *command: str | Path) -> str:
    """What a command said, which must not fail."""
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr
