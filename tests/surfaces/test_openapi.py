"""The API document is valid, complete and true, for each way to run a server."""

import json
import re
import shutil
import warnings
from collections.abc import Iterator
from functools import cache
from inspect import getmembers, isclass
from pathlib import Path
from typing import Annotated, Any

import httpx
import msgspec
import pytest
from jsonschema import Draft202012Validator
from litestar import Litestar, asgi
from litestar.routes import HTTPRoute
from litestar.types import Receive, Scope, Send
from msgspec import Meta
from openapi_spec_validator import OpenAPIV31SpecValidator

from app.contract.operation import Kind
from app.surfaces.browse import browse_router
from app.surfaces.ledger.door import MOUNT, OWN_MOUNT, ledger_router
from app.surfaces.metrics import metrics_router
from app.surfaces.openapi.document import openapi
from app.surfaces.openapi.examples import SHOWN
from app.surfaces.openapi.page import docs_router
from app.surfaces.publish.door import publish_router
from app.surfaces.service import service_router
from app.surfaces.shared.operation import Operation
from app.surfaces.shared.rest import routes
from benchmarks.process import free_port
from procedures.described import EVERY_CALLS
from procedures.registry import registry
from schemas import errors
from schemas.base import Input, Output
from tests.kit import web
from tests.kit.command import synap
from tests.kit.paths import ROOT
from tests.kit.servers import Server, cloned, environment, serving, until
from tests.surfaces.conftest import ORIGINS, Observed

EXAMPLES = ROOT / "examples"

KINDS = ["plain", "superjson", "extended", "the ledger alone"]

Document = dict[str, Any]

NOT_TOLD = {("/openapi.json", "get"), ("/docs", "get"), ("/docs/start.js", "get"), ("/docs/{asset}", "get")}
"""The routes of the document itself."""

METHODS = {Kind.QUERY: {"get", "post"}, Kind.MUTATION: {"post"}, Kind.SUBSCRIPTION: {"get"}}


@pytest.fixture(scope="module")
def documents(
    observed: Observed,
    superjson_server: Server,
    postgres_url: str,
    template: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[dict[str, Document]]:
    """The documents of all kinds of servers; one has a metadata kind of its developer."""
    folder = tmp_path_factory.mktemp("extended")
    shutil.copy(EXAMPLES / "review.py", folder)
    port = free_port()
    with (
        cloned(postgres_url, template, "test_openapi") as url,
        serving(folder, database_url=url, extensions="review", ledger_port=port) as extended,
    ):
        ledger = f"http://127.0.0.1:{port}"
        until(lambda: _answers(ledger))
        urls = [observed.server.url, superjson_server.url, extended.url, ledger]
        yield {kind: web.get(f"{url}/openapi.json").json() for kind, url in zip(KINDS, urls, strict=True)}


@pytest.fixture(params=KINDS)
def document(request: pytest.FixtureRequest, documents: dict[str, Document]) -> Document:
    """Each of the documents."""
    kind: str = request.param
    return documents[kind]


def test_the_document_is_valid(document: Document) -> None:
    problems = [
        f"{list(each.absolute_path)}: {each.message}" for each in OpenAPIV31SpecValidator(document).iter_errors()
    ]

    assert problems == []


@pytest.mark.parametrize(("kind", "mount"), [("plain", MOUNT), ("the ledger alone", OWN_MOUNT)])
def test_it_describes_every_route_and_nothing_else(documents: dict[str, Document], kind: str, mount: str) -> None:
    served = {
        (route.path_format, method.lower())
        for route in _app(mount).routes
        if isinstance(route, HTTPRoute)
        for handler in route.route_handlers
        for method in handler.http_methods
        if method != "OPTIONS"
    }
    paths = documents[kind]["paths"]

    assert {(path, method) for path in paths for method in paths[path] if "/trpc/" not in path} == served - NOT_TOLD
    assert served > NOT_TOLD


def test_it_describes_every_procedure(documents: dict[str, Document]) -> None:
    wanted = {f"/trpc/{name}": METHODS[procedure.kind] for name, procedure in registry().items()}

    for kind in KINDS[:3]:
        paths = documents[kind]["paths"]
        assert {path: set(paths[path]) for path in paths if path.startswith("/trpc/")} == wanted
    assert not [path for path in documents["the ledger alone"]["paths"] if path.startswith("/trpc")]


def test_operations_have_names_of_their_own(document: Document) -> None:
    names = [operation["operationId"] for _, operation in _operations(document)]

    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[a-z][A-Za-z]+", name) for name in names)


def test_a_developers_metadata_kind_is_described(documents: dict[str, Document]) -> None:
    own = documents["extended"]["components"]["schemas"]

    assert "review" in own["MetadataInput"]["properties"]
    assert "review" not in documents["plain"]["components"]["schemas"]["MetadataInput"]["properties"]


def test_every_operation_shows_its_input_and_output(document: Document) -> None:
    for where, operation in _operations(document):
        answers = [answer for status, answer in operation["responses"].items() if status.startswith("2")]
        assert len(answers) == 1, where
        for content in [operation.get("requestBody", {}).get("content", {}), answers[0].get("content", {})]:
            assert all("example" in media for media in content.values()), where
        required = [each for each in operation.get("parameters", ()) if each.get("required")]
        assert all("example" in each for each in required), where
        assert operation["summary"], where


def test_every_example_is_valid(document: Document) -> None:
    shown = 0

    for where, node in _nodes(document):
        if "schema" not in node:
            continue
        values = [each["value"] for each in node.get("examples", {}).values()] + node["schema"].get("examples", [])
        for value in [*values, *([node["example"]] if "example" in node else [])]:
            _check(document, node["schema"], value, where)
            if content := node["schema"].get("contentSchema"):
                _check(document, content, _read(node["schema"], value), where)
            shown += 1

    assert shown > 30


def test_the_examples_of_intents_tell_one_story(documents: dict[str, Document]) -> None:
    paths = documents["plain"]["paths"]
    shown = [
        paths[f"/trpc/intents.{name}"]["post"]["responses"]["200"]["content"]["application/json"]["example"]
        for name in ("list", "get", "wait", "decide", "start", "finish", "withdraw")
    ]

    assert [sorted(set(re.findall(r"payment\.refund\.(\w+)", json.dumps(each)))) for each in shown] == [
        ["requested"],
        ["requested"],
        ["requested"],
        ["approved"],
        ["started"],
        ["executed"],
        ["withdrawn"],
    ]
    assert "note.created" not in json.dumps(shown)


def test_an_example_shows_no_unknown_member(documents: dict[str, Document]) -> None:
    schemas = documents["plain"]["components"]["schemas"]

    for name, members in SHOWN.items():
        if name in schemas:
            assert set(members) <= schemas[name]["properties"].keys(), name


@pytest.mark.parametrize("name", registry())
def test_every_failure_of_a_procedure_is_described(documents: dict[str, Document], name: str) -> None:
    procedure = registry()[name]
    wanted = {(kind.trpc_code, kind.code) for kind in (*procedure.errors, *EVERY_CALLS)}

    for kind in ["plain", "superjson"]:
        for operation in documents[kind]["paths"][f"/trpc/{name}"].values():
            told = set()
            for status, example in _failures(documents[kind], operation):
                error = example["error"]["json"] if kind == "superjson" else example["error"]
                assert str(error["data"]["httpStatus"]) == status
                told.add((error["data"]["code"], error["data"].get("reason")))
            if procedure.kind is not Kind.SUBSCRIPTION:
                assert told >= wanted
            assert ("BAD_REQUEST", None) in told or ("BAD_REQUEST", "invalid_input") in told


def test_every_failure_of_a_route_is_described(documents: dict[str, Document]) -> None:
    for route in routes(_app(MOUNT)):
        if isinstance(route.operation, Operation):
            told = _told(documents["plain"], route.path, route.method)
            wanted = {kind.code for kind in (*route.operation.procedure.errors, *EVERY_CALLS)}
            assert told >= wanted, route

    limited = [("/v1/events", "post"), ("/v1/events", "get"), ("/v1/events/subscriptions", "post")]
    assert all("rate_limit_exceeded" in _told(documents["plain"], *each) for each in limited)
    published = {"invalid_event_type", "missing_required_field", "payload_too_large"}
    assert _told(documents["plain"], "/v1/events", "post") >= published


def test_every_failure_is_described_by_an_operation(documents: dict[str, Document]) -> None:
    """Those of intents come from procedures that no route calls."""
    kinds = [kind for _, kind in getmembers(errors, isclass) if issubclass(kind, errors.ProcedureError)]
    told = [
        example["error"]
        for _, operation in _operations(documents["plain"])
        for _, example in _failures(documents["plain"], operation)
    ]

    codes = {error["data"].get("reason") if "data" in error else error["code"] for error in told}

    assert codes >= {kind.code for kind in kinds}


def test_headers_are_described(documents: dict[str, Document]) -> None:
    operation = documents["plain"]["paths"]["/v1/events"]["post"]
    limits = {f"x-ratelimit-{each}" for each in ("limit", "remaining", "reset")}

    sent = {each["$ref"].rpartition("/")[2] for each in operation["parameters"]}
    answered = {
        status: _resolved(documents["plain"], answer)["headers"].keys()
        for status, answer in operation["responses"].items()
    }

    assert sent == {"Idempotency-Key", "X-Workspace-Id", "X-Request-Id"}
    assert all(headers >= {"x-request-id", *limits} for headers in answered.values())
    assert {status for status, headers in answered.items() if "retry-after" in headers} == {"429", "503"}


def test_what_a_call_needs_is_described(documents: dict[str, Document]) -> None:
    paths = documents["plain"]["paths"]

    assert paths["/v1/events"]["get"]["security"] == [{"key": ["events:read"]}]
    assert paths["/trpc/procedures.list"]["get"]["security"] == [{"key": []}]
    assert paths["/healthz"]["get"]["security"] == []


def test_json_in_a_query_says_what_it_is(documents: dict[str, Document]) -> None:
    parameters = {each.get("name"): each for each in documents["plain"]["paths"]["/api/events"]["get"]["parameters"]}

    assert parameters["filter"]["schema"]["contentSchema"] == {"$ref": "#/components/schemas/EventFilter"}
    assert parameters["orderBy"]["schema"]["contentSchema"]["items"] == {"$ref": "#/components/schemas/EventOrderBy"}
    assert parameters["ids"]["description"] == "Separated by commas."


def test_the_same_server_has_the_same_document(observed: Observed, server: Server) -> None:
    one, other = (web.get(f"{each.url}/openapi.json") for each in (observed.server, server))
    again = web.get(f"{server.url}/openapi.json", headers={"if-none-match": other.headers["etag"]})

    assert one.json() | {"servers": []} == other.json() | {"servers": []}
    assert [each.json()["servers"] for each in (one, other)] == [[{"url": observed.server.url}], [{"url": server.url}]]
    assert one.headers["content-type"] == "application/json"
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", other.headers["etag"])


ASKED = {
    "another host": ({"host": "events.example.org:8443"}, "http://events.example.org:8443"),
    "through a proxy": (
        {"host": "10.0.0.1:8000", "x-forwarded-host": "events.example.org", "x-forwarded-proto": "https"},
        "https://events.example.org",
    ),
    "through two": ({"host": "events.example.org", "x-forwarded-proto": "https, http"}, "https://events.example.org"),
    "no host": ({"host": "10.0.0.1", "x-forwarded-host": "a/<script>"}, "/"),
    "no scheme": ({"host": "events.example.org", "x-forwarded-proto": "javascript"}, "/"),
}


@pytest.mark.parametrize(("headers", "expected"), ASKED.values(), ids=ASKED)
def test_the_document_has_the_address_that_was_asked(
    observed: Observed, headers: dict[str, str], expected: str
) -> None:
    answer = web.get(f"{observed.server.url}/openapi.json", headers=headers)

    assert answer.json()["servers"] == [{"url": expected}]


def test_the_document_needs_no_server(documents: dict[str, Document], tmp_path: Path) -> None:
    written = synap("contract", "--openapi", env=environment(tmp_path / "data"), cwd=tmp_path)

    assert written.returncode == 0, written.stderr
    assert json.loads(written.stdout) | {"servers": []} == documents["plain"] | {"servers": []}


def test_procedures_have_a_tag_for_each_namespace(documents: dict[str, Document]) -> None:
    paths = documents["plain"]["paths"]

    for name in registry():
        tags = {tag for operation in paths[f"/trpc/{name}"].values() for tag in operation["tags"]}
        assert tags == {f"trpc.{name.partition('.')[0]}"}
    listed = {tag["name"]: tag["description"] for tag in documents["plain"]["tags"]}
    assert listed.keys() == {tag for _, operation in _operations(documents["plain"]) for tag in operation["tags"]}
    assert listed["trpc.events"] == "Logging, reading, following and erasing events."


@pytest.mark.parametrize("mount", [MOUNT, OWN_MOUNT])
def test_the_text_of_the_ledger_names_paths_that_are_served(mount: str) -> None:
    document = openapi(routes(_app(mount)), {}, version="1")

    [text] = [tag["description"] for tag in document["tags"] if tag["name"] == "ledger"]

    assert f"`GET {mount}/stream`" in text
    assert f"`GET {mount}/events`" in text
    assert f"{mount}/events" in document["paths"]


def test_an_answer_has_one_type(documents: dict[str, Document]) -> None:
    """Otherwise each call of a typed client would have to name the type that it means."""
    for where, operation in _operations(documents["plain"]):
        for status, answer in operation["responses"].items():
            types = {
                json.dumps(media["schema"])
                for media in _resolved(documents["plain"], answer).get("content", {}).values()
            }
            assert len(types) <= 1, (where, status)
    events = documents["plain"]["paths"]["/v1/events"]
    assert "returns a list of `ShownCloudEvent`" in events["get"]["responses"]["200"]["description"]
    assert "ShownCloudEvent" in documents["plain"]["components"]["schemas"]


def test_a_page_of_a_welcome_origin_may_read_it(observed: Observed) -> None:
    answer = web.get(f"{observed.server.url}/openapi.json", headers={"origin": ORIGINS[0]})

    assert answer.headers["access-control-allow-origin"] == ORIGINS[0]


def test_the_page_loads_only_from_its_server(observed: Observed) -> None:
    page = web.get(f"{observed.server.url}/docs")
    policy = page.headers["content-security-policy"]

    assert "default-src 'none'" in policy
    assert "http" not in policy
    links = re.findall(r'(?:src|href)="([^"]*)"', page.text)
    assert len(links) == 4
    for link in links:
        if link != "data:,":
            asset = web.get(f"{observed.server.url}/{link}")
            assert asset.status_code == 200, link
            assert asset.headers["content-type"].startswith(("text/css", "text/javascript")), link
            assert ("immutable" in asset.headers["cache-control"]) == ("?v=" in link), link


@pytest.mark.parametrize("name", ["redoc.js", "nosuch", "..%2f__init__.py", "%2e%2e/url.json"])
def test_nothing_else_of_the_package_is_served(observed: Observed, name: str) -> None:
    answer = web.get(f"{observed.server.url}/docs/{name}")

    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "not_found"


@pytest.mark.parametrize("path", ["/v1/events", "/v1/events/subscriptions", "/api/events"])
def test_options_name_what_the_document_has(observed: Observed, documents: dict[str, Document], path: str) -> None:
    allowed = web.options(f"{observed.server.url}{path}").headers["allow"]

    assert {each.lower() for each in allowed.split(", ")} == {*documents["plain"]["paths"][path], "head", "options"}


def test_nothing_is_made_up_for_a_text_that_nobody_knows() -> None:
    """An extension's procedure accepts a text with a pattern."""

    class CountNotes(Input, frozen=True, kw_only=True):
        colour: Annotated[str, Meta(pattern=r"\A(red|green)\Z")]

    own = msgspec.structs.replace(registry()["events.get"], name="notes.count", input=CountNotes)

    document = openapi([], {"notes.count": own}, version="1")

    post = document["paths"]["/trpc/notes.count"]["post"]
    assert "example" not in post["requestBody"]["content"]["application/json"]
    assert "example" in post["responses"]["200"]["content"]["application/json"]


def test_a_failure_of_an_extension_is_described_by_its_code() -> None:
    class NoteLocked(errors.Conflict):
        """Somebody else is writing in the note."""

        code = "note_locked"

    own = msgspec.structs.replace(registry()["events.get"], name="notes.write", errors=(NoteLocked,))

    document = openapi([], {"notes.write": own}, version="1")

    answer = _resolved(document, document["paths"]["/trpc/notes.write"]["post"]["responses"]["409"])
    assert answer["description"] == "Somebody else is writing in the note."
    assert (
        answer["content"]["application/json"]["examples"]["note_locked"]["value"]["error"]["data"]["httpStatus"] == 409
    )


def test_an_operation_of_an_extension_has_a_name_of_its_own() -> None:
    own = msgspec.structs.replace(registry()["events.get"], name="browse.events")

    document = openapi(routes(_app(MOUNT)), {"browse.events": own}, version="1")

    names = [operation["operationId"] for _, operation in _operations(document)]
    assert {"browseEvents", "browseEvents_", "browseEventsByGet"} <= set(names)
    assert len(names) == len(set(names))


def test_an_extension_may_use_our_names() -> None:
    """The document has its types and errors beside ours."""
    Refusal = type("Refusal", (Output,), {"__annotations__": {"stars": int}, "__module__": "shop"}, kw_only=True)  # noqa: N806 - a class
    Conflict = type("Conflict", (errors.Conflict,), {"__doc__": "Two want it.", "code": "two_want_it"})  # noqa: N806 - a class
    ours = registry()["events.log"]
    own = msgspec.structs.replace(ours, name="shop.refuse", output=Refusal, errors=(Conflict,))

    document = openapi(routes(_app(MOUNT)), {"events.log": ours, "shop.refuse": own}, version="1")

    OpenAPIV31SpecValidator(document).validate()
    theirs, usual = (document["paths"][f"/trpc/{name}"]["post"]["responses"] for name in ("shop.refuse", "events.log"))
    data = theirs["200"]["content"]["application/json"]["schema"]["properties"]["result"]["properties"]["data"]
    assert data == {"$ref": "#/components/schemas/shop.Refusal"}
    assert document["components"]["schemas"]["shop.Refusal"]["properties"].keys() == {"stars"}
    assert "error" in document["components"]["schemas"]["Refusal"]["properties"]
    conflicts = [_resolved(document, each["409"])["content"]["application/json"] for each in (theirs, usual)]
    assert [each["examples"].keys() for each in conflicts] == [{"two_want_it"}, {"conflict"}]


@cache
def _app(mount: str) -> Litestar:
    """The routes of a server, in an application that does not run."""

    @asgi("/stream")
    async def stream(scope: Scope, receive: Receive, send: Send) -> None: ...

    door: Any = None
    routers = [ledger_router(mount, door, stream), service_router(door), metrics_router(door), docs_router(dict)]
    if mount == MOUNT:
        routers += [publish_router(door), browse_router(door)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return Litestar(routers, openapi_config=None, logging_config=None)


def _answers(url: str) -> bool:
    try:
        return web.get(f"{url}/readyz").status_code == 200
    except httpx.HTTPError:
        return False


def _operations(document: Document) -> Iterator[tuple[str, Document]]:
    for path, item in document["paths"].items():
        for method, operation in item.items():
            yield f"{method} {path}", operation


def _nodes(node: Any, where: str = "") -> Iterator[tuple[str, Document]]:
    """Every object in the document."""
    if isinstance(node, dict):
        yield where, node
        for name, below in node.items():
            yield from _nodes(below, f"{where}/{name}")
    elif isinstance(node, list):
        for place, below in enumerate(node):
            yield from _nodes(below, f"{where}/{place}")


def _resolved(document: Document, node: Document) -> Document:
    if "$ref" not in node:
        return node
    found: Any = document
    for step in node["$ref"].removeprefix("#/").split("/"):
        found = found[step]
    return dict(found)


def _failures(document: Document, operation: Document) -> Iterator[tuple[str, Document]]:
    """The examples of failures, by status."""
    for status, answer in operation["responses"].items():
        if status >= "400":
            for media in _resolved(document, answer).get("content", {}).values():
                for example in media.get("examples", {}).values():
                    yield status, example["value"]


def _told(document: Document, path: str, method: str) -> set[str]:
    return {example["error"]["code"] for _, example in _failures(document, document["paths"][path][method])}


def _check(document: Document, schema: Document, value: Any, where: str) -> None:
    whole = {**schema, "components": document["components"]}
    problems = [error.message for error in Draft202012Validator(whole).iter_errors(value)]
    assert problems == [], where


def _read(schema: Document, text: str) -> Any:
    """The value of a text: JSON, or the first value of a stream."""
    if schema["contentMediaType"] == "application/json":
        return json.loads(text)
    data = next(block for block in text.split("\n\n") if block.startswith("data: "))
    return json.loads(data.partition("\n")[0].removeprefix("data: "))
