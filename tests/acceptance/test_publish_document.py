"""The publish API (docs/api/publish.md) as its reader uses it: each example runs, and answers have the shown members.

A snippet is changed only in its host, its API key and, if the test waits for a delivery, the webhook's URL.
"""

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from msgspec import Struct

from benchmarks.process import free_port
from tests.acceptance.processes import synap
from tests.delivery.receiver import receiving
from tests.kit import web
from tests.kit.installs import copy
from tests.kit.packages import compile_typescript
from tests.kit.paths import ROOT, VECTORS
from tests.kit.servers import environment, this_environment, until

API = VECTORS / "api"
EXAMPLES = json.loads((API / "publish.json").read_text())
PUBLISH, QUERY, SUBSCRIBE, VERIFY = (
    (API / f"{name}.ts").read_text() for name in ("publish", "query", "subscribe", "verify")
)
AUTHENTICATION, LIST, DELETE = (EXAMPLES[name] for name in ("authentication", "list", "delete"))
PUBLISHED, FOUND, PAYLOAD, ERROR = (EXAMPLES[name]["answer"] for name in ("publish", "query", "delivery", "error"))
ORG, BASE, KEY, HOOK = "org_xyz", "https://events.example/v1", "YOUR_API_KEY", "https://hooks.example"

RECORD = """
const ask = globalThis.fetch;
globalThis.fetch = async (...request) => {
  const answer = await ask(...request);
  console.log(JSON.stringify({ status: answer.status, body: await answer.clone().json() }));
  return answer;
};
"""
"""A script that is loaded before a snippet, and prints each answer that the snippet gets."""

ASK_VERIFY = """
import { readFileSync } from 'fs';
const asked: [string, string, string][] = JSON.parse(readFileSync(0, 'utf8'));
console.log(JSON.stringify(asked.map((question) => isOurs(...question))));
"""
"""A script that follows `isOurs`, and prints its result for each line of standard input."""


class Reader(Struct, frozen=True):
    """A reader with a key of `org_xyz` who tries the document's examples at a server."""

    url: str
    token: str
    node: Path
    folder: Path

    def filled(self, snippet: str) -> str:
        """The snippet with the reader's own host and key."""
        assert BASE in snippet
        return snippet.replace(BASE, self.url).replace(KEY, self.token)

    def compiled(self, name: str, text: str) -> Path:
        """Compile a snippet, which must pass the TypeScript compiler unchanged, to JavaScript.

        Each `name` has one text, which is compiled once.
        """
        project = self.folder / name
        if project.exists():
            assert (project / "snippet.ts").read_text() == text
            return project
        project.mkdir()
        (project / "node_modules").symlink_to(self.node / "node_modules")
        (project / "package.json").write_text('{"type": "module"}')
        (project / "record.mjs").write_text(RECORD)
        (project / "snippet.ts").write_text(text)
        options = {
            "target": "es2023",
            "module": "nodenext",
            "moduleDetection": "force",
            "types": ["node"],
            "strict": True,
            "esModuleInterop": True,
            "skipLibCheck": True,
        }
        (project / "tsconfig.json").write_text(json.dumps({"compilerOptions": options, "files": ["snippet.ts"]}))
        compile_typescript(project)
        return project

    def run(self, name: str, snippet: str) -> tuple[int, Any]:
        """The status and the body of the answer that a snippet gets."""
        project = self.compiled(name, self.filled(snippet))
        answer = json.loads(_ran(["node", "--import", "./record.mjs", "snippet.js"], project))
        return answer["status"], answer["body"]

    def request(self, line: str, body: object = None) -> httpx.Response:
        """Send a request line of the document, such as `GET /events/subscriptions`."""
        method, path = line.split(" ")
        headers = {"authorization": f"Bearer {self.token}"}
        return web.request(method, self.url + path, json=body, headers=headers, timeout=30)

    @contextmanager
    def subscribed(self, name: str, snippet: str) -> Iterator[dict[str, Any]]:
        """Yield the snippet's subscription, which is deleted at the end of the block as the document says."""
        status, made = self.run(name, snippet)
        assert status == 201, made
        try:
            yield made
        finally:
            ended = self.request(DELETE.replace("{subscriptionId}", made["subscriptionId"]))
            assert (ended.status_code, ended.content) == (204, b"")


@pytest.fixture(scope="module")
def reader(node: Path, first_started: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    """A server started by `make run` that may post to this machine, and a key of the workspace `org_xyz`."""
    folder = tmp_path_factory.mktemp("document")
    data_dir, port = copy(first_started, folder / "data"), free_port()
    variables = environment(data_dir, port=port, webhook_allow_http="true", webhook_allow_networks="127.0.0.0/8")
    with (folder / "run.log").open("wb") as log:
        process = subprocess.Popen(
            ["make", "run"],
            cwd=ROOT,
            env=variables | this_environment(),
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        until(lambda: process.poll() is not None or _ready(port), seconds=120)
        assert process.poll() is None, (folder / "run.log").read_text()
        synap(data_dir, "workspaces", "create", ORG)
        token = synap(data_dir, "keys", "create", "--user", "ci", "--scope", "*", "--workspace", ORG)
        yield Reader(f"http://127.0.0.1:{port}/v1", token, node, folder)
    finally:
        os.killpg(process.pid, signal.SIGINT)
        process.wait(timeout=40)


def test_base_url_is_what_the_snippets_call() -> None:
    assert EXAMPLES["base_url"] == BASE
    assert all(BASE in snippet for snippet in (AUTHENTICATION, PUBLISH, QUERY, SUBSCRIBE))


def test_authentication_the_curl_line_answers_events(reader: Reader) -> None:
    page = json.loads(_ran(["bash", "-euc", reader.filled(AUTHENTICATION)], ROOT))

    assert set(page) == set(FOUND)


def test_publish_event_the_snippet_gets_the_printed_response(reader: Reader) -> None:
    status, body = reader.run("publish", PUBLISH)

    printed = PUBLISHED
    assert status == 201
    assert set(body) == set(printed)
    assert {type(value) for value in body.values()} == {type(value) for value in printed.values()}
    assert (body["type"], body["status"]) == (printed["type"], printed["status"])
    assert body["workflowsTriggered"] == 0, "there is no subscription"


def test_publish_event_the_request_body_is_accepted_as_documented(reader: Reader) -> None:
    whole = {"type": "code.upload.complete", "source": "s", "data": {}}
    about = {"correlationId": "c", "userId": "ann", "orgId": ORG, "tags": ["ci"]}
    fields = _fields("publish")

    assert fields == dict.fromkeys(whole, True) | dict.fromkeys(["metadata", *about], False)
    assert reader.request("POST /events", whole | {"metadata": about}).status_code == 201
    for absent in whole:
        error = _refused(reader, "POST /events", whole, absent)
        assert (error["code"], error["field"]) == ("missing_required_field", absent)
    for absent in about:
        less = {name: value for name, value in about.items() if name != absent}
        assert reader.request("POST /events", whole | {"metadata": less}).status_code == 201


def test_query_events_the_snippet_gets_the_printed_response(reader: Reader) -> None:
    _, published = reader.run("publish", PUBLISH)

    status, body = reader.run("query", QUERY)

    printed = FOUND
    [event] = printed["events"]
    assert status == 200
    assert set(body) == set(printed)
    assert (body["offset"], body["limit"]) == (printed["offset"], printed["limit"])
    assert body["total"] == len(body["events"]) > 0
    assert all(each["type"].startswith("code.") for each in body["events"])
    newest = body["events"][0]
    assert set(newest) == set(event)
    assert set(newest["metadata"]) == set(event["metadata"]) | {"userId"}
    assert (newest["eventId"], newest["timestamp"]) == (published["eventId"], published["timestamp"])
    assert (newest["type"], newest["orgId"]) == (event["type"], event["orgId"])
    assert newest["metadata"]["correlationId"] == event["metadata"]["correlationId"]
    assert newest["data"] == {"suite": "checkout", "passed": 72, "failed": 0}


def test_subscribe_to_events_the_snippet_is_answered_and_can_be_managed(reader: Reader) -> None:
    # The printed host may exist, so no event is published while the subscription exists.
    with reader.subscribed("subscribe", SUBSCRIBE) as made:
        listed = reader.request(LIST)

        assert made["eventTypes"] == ["code.*", "lead.*", "contract.*"]
        assert made["webhookUrl"] == f"{HOOK}/events"
        assert made["description"] == "Everything that our team follows"
        assert "secret" not in made
        assert listed.status_code == 200
        [subscription] = listed.json()["subscriptions"]
        assert subscription["subscriptionId"] == made["subscriptionId"]
    assert reader.request(LIST).json() == {"subscriptions": []}
    again = reader.request(DELETE.replace("{subscriptionId}", made["subscriptionId"]))
    assert again.status_code == 404


def test_subscribe_to_events_the_body_is_accepted_as_documented(reader: Reader) -> None:
    whole = {"eventTypes": ["a.*"], "webhookUrl": HOOK, "secret": "whsec_xxxxxxxx"}

    assert _fields("subscribe") == dict.fromkeys(whole, True) | {"description": False}
    for absent in ("eventTypes", "webhookUrl"):  # the server makes a missing secret
        error = _refused(reader, "POST /events/subscriptions", whole, absent)
        assert (error["code"], error["field"]) == ("missing_required_field", absent)


def test_webhook_payload_is_the_printed_one_and_the_printed_receiver_verifies_it(reader: Reader) -> None:
    with receiving() as receiver:
        snippet = SUBSCRIBE.replace(HOOK, receiver.url(""))
        with reader.subscribed("webhook", snippet) as made:
            _, published = reader.run("publish", PUBLISH)
            until(lambda: receiver.received)
    [delivery] = receiver.received
    payload, printed = delivery.json, PAYLOAD

    assert published["workflowsTriggered"] == PUBLISHED["workflowsTriggered"] == 1
    assert delivery.path == "/events"
    assert set(payload) == set(printed) | {"seq", "hash", "deliverySeq"}
    assert set(payload["event"]) == set(printed["event"])
    assert payload["subscriptionId"] == made["subscriptionId"]
    assert payload["event"]["eventId"] == published["eventId"]
    assert payload["event"]["timestamp"] == published["timestamp"] <= payload["deliveredAt"]

    body, header, secret = delivery.body.decode(), delivery.headers["x-signature"], "whsec_xxxxxxxx"
    questions = [
        (body, header, secret),
        (body.replace("72", "73"), header, secret),
        (body + " ", header, secret),
        (body, header[:-1] + ("0" if header[-1] != "0" else "1"), secret),
        (body, header, "whsec_xxxxxxxy"),
    ]
    project = reader.compiled("verify", VERIFY + ASK_VERIFY)
    answers = json.loads(_ran(["node", "snippet.js"], project, json.dumps(questions)))
    assert answers == [True, False, False, False, False]


def test_each_platform_event_type_is_accepted(reader: Reader) -> None:
    types = EXAMPLES["event_types"]

    answers = [reader.request("POST /events", {"type": type_, "source": "s", "data": {}}) for type_ in types]

    assert len(types) == 23
    assert [answer.status_code for answer in answers] == [201] * len(types)


def test_rate_limits_are_those_of_the_table(reader: Reader) -> None:
    limits, names = EXAMPLES["rate_limits"], EXAMPLES["rate_limit_headers"]

    answers = {line: reader.request(line, {} if line.startswith("POST") else None) for line in limits}

    assert list(limits) == ["POST /events", "GET /events", "POST /events/subscriptions"]
    for line, answer in answers.items():
        assert int(answer.headers["X-RateLimit-Limit"]) == limits[line]
        assert all(answer.headers[name].isdecimal() for name in names)


def test_error_codes_an_error_is_the_printed_one(reader: Reader) -> None:
    answer = reader.request("POST /events", {"type": "created", "source": "s", "data": {}})

    assert answer.status_code == 400
    body, printed = answer.json(), ERROR
    assert set(body) == set(printed)
    assert set(body["error"]) == set(printed["error"])
    assert [body["error"][name] for name in ("code", "field")] == [printed["error"][name] for name in ("code", "field")]
    assert printed["error"]["message"] in body["error"]["message"]


def _fields(name: str) -> dict[str, bool]:
    """The documented fields of a request body, and whether each is required."""
    return {field: need == "required" for field, need in EXAMPLES[name]["request"].items()}


def _refused(reader: Reader, line: str, whole: dict[str, Any], absent: str) -> dict[str, Any]:
    """The error of a request without one field."""
    answer = reader.request(line, {name: value for name, value in whole.items() if name != absent})
    assert answer.status_code == 400, answer.text
    error: dict[str, Any] = answer.json()["error"]
    return error


def _ran(command: list[str], folder: Path, text: str | None = None) -> str:
    """Run a command, and return what it prints."""
    ran = subprocess.run(command, cwd=folder, input=text, capture_output=True, text=True, timeout=120, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def _ready(port: int) -> bool:
    try:
        return web.get(f"http://127.0.0.1:{port}/readyz", timeout=2).status_code == 200
    except httpx.HTTPError:
        return False
