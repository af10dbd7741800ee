"""Clients that published generators make from the API document compile, and their calls succeed."""

import fcntl
import json
import os
import shutil
import subprocess
import sys
from compileall import compile_dir
from pathlib import Path

import pytest

from tests.kit import web
from tests.kit.packages import QUICK_COMPILER, install_packages, openapi_generator
from tests.kit.servers import Server

NODE = Path(__file__).parent / "node"

OPTIONS = ("--default-non-nullable", "false")
"""Without this option the generated client requires every member that has a default."""

HEY = """
import { createClient } from '@hey-api/openapi-ts'
const [, input] = process.argv
await createClient({ input, output: { path: 'made', importFileExtension: '.js' }, logs: { file: false } })
"""

CALL = """
import sys

from made.api.browse import browse_event
from made.api.publish import publish_publish
from made.api.trpc_events import events_list, events_log
from made.client import AuthenticatedClient
from made.models import ListEvents, LogEvent, PublishEvent, Refusal

client = AuthenticatedClient(sys.argv[1], sys.argv[2])

event = LogEvent.from_dict({"type": "code.analysis.complete", "data": {"score": 72}})
logged = events_log.sync(client=client, body=event).result.data

wanted = ListEvents.from_dict({"type": "code.*", "limit": 1, "filter": {"id": str(logged.id)}})
[found] = events_list.sync(client=client, body=wanted).result.data
assert (found.id, found.seq) == (logged.id, logged.seq)

body = PublishEvent.from_dict({"type": "code.published", "source": "ci", "data": {"score": 72}})
assert publish_publish.sync(client=client, body=body).status == "published"

refused = browse_event.sync("nosuch", client=client)
assert isinstance(refused, Refusal), refused
assert refused.error.code == "not_found"
"""

CALL_BY_PYDANTIC = """
import sys
from uuid import uuid4

from made import ApiClient, BrowseApi, Configuration, PublishApi, TrpcEventsApi
from made.exceptions import NotFoundException
from made.models.cloud_event import CloudEvent
from made.models.list_events import ListEvents
from made.models.log_event import LogEvent
from made.models.publish_event import PublishEvent

client = ApiClient(Configuration(host=sys.argv[1], access_token=sys.argv[2]))
publish, trpc = PublishApi(client), TrpcEventsApi(client)

event = {"type": "made.python.logged", "data": {"score": 72}, "metadata": {"ai": {"agent": "planner"}}}
logged = trpc.events_log(LogEvent.from_dict(event)).result.data

filter = {"type": "made.python.logged", "source": {"in": ["api"]}, "data.score": {"gte": 70}}
filter["userId"] = {"isNull": False}
wanted = ListEvents.from_dict({"limit": 1, "filter": filter})
[found] = trpc.events_list(list_events=wanted).result.data
assert (found.id, found.seq, found.metadata.ai.agent) == (logged.id, logged.seq, "planner")
wanted = ListEvents.from_dict({"filter": {**filter, "data.score": {"gt": 72}}})
assert trpc.events_list(list_events=wanted).result.data == []

body = PublishEvent.from_dict({"type": "made.python.published", "source": "ci", "data": {"score": 72}})
published = publish.publish_publish(body, idempotency_key=str(uuid4()))
[found] = publish.publish_query(type="made.python.*", limit=1).events
assert found.event_id == published.event_id

cloud = {"specversion": "1.0", "id": str(uuid4()), "source": "ci", "type": "made.python.cloud", "data": [1, None]}
headers = {"content-type": "application/cloudevents+json", "authorization": f"Bearer {sys.argv[2]}"}
sent = client.sanitize_for_serialization(CloudEvent.from_dict(cloud))
answer = client.call_api("POST", f"{sys.argv[1]}/v1/events", headers, sent)
assert answer.status == 201, answer.read()
[found] = trpc.events_list(list_events=ListEvents(type="made.python.cloud", limit=1)).result.data
assert found.producer == "ci"

try:
    BrowseApi(client).browse_event("nosuch")
except NotFoundException as error:
    assert error.data.error.code == "not_found"
else:
    raise AssertionError("it is not refused")
"""


@pytest.fixture(scope="module")
def document(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The document of a running server."""
    return written(server, tmp_path_factory.mktemp("document"))


@pytest.fixture(scope="module")
def by_openapi_generator(server: Server, superjson_server: Server, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the clients `fetch` and `plain` of a running server, and `superjson` of one that speaks superjson.

    One process makes them, because Java takes longer to start than the generator needs for a client.
    """
    folder = tmp_path_factory.mktemp("by_openapi_generator")
    document, superjson_document = (
        written(server, folder / "given"),
        written(superjson_server, folder / "given_superjson"),
    )
    generated(
        made_by("typescript-fetch", document, folder / "fetch", additionalProperties={"importFileExtension": ".js"}),
        made_by("python", document, folder / "plain", packageName="made"),
        made_by("python", superjson_document, folder / "superjson", packageName="made"),
    )
    return folder


def written(server: Server, folder: Path) -> Path:
    """Write a server's document to a file."""
    folder.mkdir(exist_ok=True)
    path = folder / "openapi.json"
    path.write_bytes(web.get(f"{server.url}/openapi.json").content)
    return path


@pytest.fixture
def typescript(node: Path, tmp_path: Path) -> Path:  # noqa: ARG001 # without node it is skipped
    """A folder in which TypeScript compiles a client."""
    install_packages(NODE)
    (tmp_path / "node_modules").symlink_to(NODE / "node_modules")
    (tmp_path / "package.json").write_text('{"type": "module"}')
    return tmp_path


def test_a_client_of_openapi_typescript(node: Path, server: Server, document: Path, typescript: Path) -> None:
    generator = "node_modules/openapi-typescript/bin/cli.js"

    ran(typescript, "node", generator, document, *OPTIONS, "--output", "api.d.ts")

    calls(typescript, "call.ts", node, server)


def test_a_client_of_hey_api(node: Path, server: Server, document: Path, typescript: Path) -> None:
    ran(typescript, "node", "--input-type=module", "-e", HEY, document)

    calls(typescript, "hey.ts", node, server)


def test_a_client_of_orval(node: Path, server: Server, document: Path, typescript: Path) -> None:
    generator = "node_modules/orval/dist/bin/orval.mjs"

    ran(typescript, "node", generator, "--client", "fetch", "--input", document, "--output", "made/api.ts")

    calls(typescript, "orval.ts", node, server)


def test_a_client_for_python(server: Server, document: Path, tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text("post_hooks: []\n")  # it need not be formatted
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


def test_a_client_of_openapi_generator_for_typescript(
    node: Path, server: Server, by_openapi_generator: Path, typescript: Path
) -> None:
    shutil.copytree(by_openapi_generator / "fetch", typescript / "made")

    calls(typescript, "fetch.ts", node, server)


def test_clients_of_openapi_generator_for_python(server: Server, by_openapi_generator: Path) -> None:
    plain, superjson = by_openapi_generator / "plain", by_openapi_generator / "superjson"

    check_types(plain)
    ran(plain, sys.executable, "-c", CALL_BY_PYDANTIC, server.url, server.token)
    assert compile_dir(superjson / "made", quiet=1)


def check_types(folder: Path) -> None:
    """Check the types of the client `made` in the folder.

    mypy checks only what has changed since it last checked a client in the same place.
    """
    home = Path(sys.prefix) / "generated-types"  # beside the environment's packages, as other programs of tests
    home.mkdir(exist_ok=True)
    options = ("--config-file", os.devnull, "--cache-dir", home / "cache")  # not with our own strict configuration
    without_stubs = ("--disable-error-code", "import-untyped")  # dateutil has no stubs here
    with (home / "lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        shutil.rmtree(home / "made", ignore_errors=True)
        shutil.copytree(folder / "made", home / "made")
        ran(home, sys.executable, "-m", "mypy", *options, *without_stubs, "made")


def calls(folder: Path, script: str, node: Path, server: Server) -> None:
    """Compile a script with the client in the folder, and run it. Its calls must succeed.

    The compiler checks the types of packages only with `call.ts`, whose client is a `.d.ts` too.
    """
    shutil.copy(NODE / script, folder)
    options = json.loads((NODE / "tsconfig.json").read_bytes())["compilerOptions"]
    options["skipLibCheck"] = script != "call.ts"
    (folder / "tsconfig.json").write_text(json.dumps({"compilerOptions": options, "files": [script]}))
    # The compiler of `node` is ten times as fast as the one that generators run in their own process.
    ran(folder, "node", node / "node_modules" / "typescript" / "bin" / "tsc", "--project", ".")
    ran(folder, "node", f"out/{script.replace('.ts', '.js')}", server.url, server.token)


def made_by(generator: str, document: Path, folder: Path, **options: object) -> Path:
    """The file that tells openapi-generator to make a client from a document into a folder."""
    config = folder.with_suffix(".json")
    given = {"generatorName": generator, "inputSpec": str(document), "outputDir": str(folder)}
    config.write_text(json.dumps(given | options))
    return config


def generated(*configs: Path) -> None:
    """Generate clients in one process. The generator must report no error in them."""
    said = ran(configs[0].parent, *openapi_generator(), "batch", "--threads", "1", "--fail-fast", *configs)

    assert f"finished {len(configs)} generators successfully" in said, said
    assert " ERROR " not in said, said


def ran(folder: Path, *command: str | Path) -> str:
    """Run a command, which must succeed, and return its output."""
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, **QUICK_COMPILER, "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr
