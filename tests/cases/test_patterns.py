"""Schemas that strict readers once rejected because of their patterns or other keywords."""

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import re2
from llguidance import LLMatcher

from app.filters.patterns import portable
from app.surfaces.mcp.tools import MAX_DESCRIPTION, MAX_NAME
from tests.kit import web
from tests.kit.servers import Server, cloned, serving

EXTENSION = r'''
"""What a developer may register, in shapes that strict readers stumble over."""

from typing import Annotated, Any

from msgspec import Meta, Struct

from procedures.context import Context
from procedures.procedure import mutation
from schemas.base import Input, Section, ShortText
from schemas.event_data import event_data
from schemas.metadata import metadata_type
from schemas.principal import Scope

Code = Annotated[str, Meta(pattern=r"\A(?!X)(?P<letter>[A-Z])(?=[0-9])[0-9]{4}\Z", max_length=5)]
Loose = Annotated[str, Meta(pattern=r"(?i)\Aa++b\Z")]


class Part(Section, frozen=True, kw_only=True):
    code: Code
    loose: Loose | None = None


class Tree(Section, frozen=True, kw_only=True):
    size: int | None = None
    left: "Tree | None" = None


class Open(Struct):
    name: str
    notes: dict[str, Any]


metadata_type(part=Part, tree=Tree, open=Open)
event_data({"part.made": Part, "tree.grown": Tree})


class Count(Input, frozen=True, kw_only=True):
    code: Code
    other: Code | int


@mutation("warehouseInventoryManagement.recountEverythingThatHasNotBeenCountedForAWhile", scope=Scope.EVENTS_READ)
async def recount(wanted: Count, context: Context) -> list[str]:
    """Count again.

    LONG
    """
    return []

'''


@pytest.fixture(scope="module")
def stretched(postgres_url: str, template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server whose developer has registered types with everything that schemas can contain."""
    folder = tmp_path_factory.mktemp("stretched")
    (folder / "stretched.py").write_text(EXTENSION.replace("LONG", "Every shelf. " * 200))
    with (
        cloned(postgres_url, template, "test_patterns") as url,
        serving(folder, database_url=url, extensions="stretched") as server,
    ):
        yield server


def listed(server: Server) -> dict[str, dict[str, Any]]:
    """The tools that the MCP door lists, by name."""
    request = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}
    accept = {"accept": "application/json, text/event-stream"}
    answer = web.post(f"{server.url}/mcp", json=request, headers=accept | server.headers, timeout=30)
    return {tool["name"]: tool for tool in answer.json()["result"]["tools"]}


@pytest.fixture(scope="module")
def documents(stretched: Server) -> dict[str, Any]:
    """All documents with schemas that this server publishes."""
    return {
        "tools": {name: tool["inputSchema"] for name, tool in listed(stretched).items()},
        "openapi": web.get(f"{stretched.url}/openapi.json", timeout=30).json(),
        "procedures": stretched.query("procedures.list").json(),
        "kinds": stretched.query("metadata.kinds").json(),
    }


def patterns(node: Any) -> Iterator[str]:
    """Every regular expression of a document."""
    if isinstance(node, dict):
        if isinstance(node.get("pattern"), str):
            yield node["pattern"]
        if isinstance(node.get("patternProperties"), dict):
            yield from node["patternProperties"]
        for each in node.values():
            yield from patterns(each)
    elif isinstance(node, list):
        for each in node:
            yield from patterns(each)


@pytest.mark.parametrize("name", ["tools", "openapi", "procedures", "kinds"])
def test_strict_readers_compile_every_pattern(documents: dict[str, Any], name: str) -> None:
    found = set(patterns(documents[name]))

    assert "^([A-Z])[0-9]{4}$" in found, "the developer's own pattern must be among them"
    for pattern in found:
        re2.compile(pattern)


def test_javascript_compiles_every_pattern(documents: dict[str, Any], node: Path) -> None:
    found = sorted(set(patterns(documents)))
    event_type = r"^([A-Za-z0-9_-]+\.)+[A-Za-z0-9_-]+$"
    script = (
        f"for (const each of {json.dumps(found)}) new RegExp(each, 'u');"
        f"const type = new RegExp({json.dumps(event_type)}, 'u');"
        "console.log(JSON.stringify(['a.b', 'a.b\\n', 'a', 'a..b'].map((text) => type.test(text))))"
    )

    ran = subprocess.run(["node", "-e", script], cwd=node, capture_output=True, text=True, timeout=60, check=True)

    assert event_type in found
    assert json.loads(ran.stdout) == [True, False, False, False]


@pytest.mark.parametrize("which", ["server", "stretched"])
def test_every_tool_becomes_a_grammar(which: str, request: pytest.FixtureRequest) -> None:
    tools = listed(request.getfixturevalue(which))

    refused = {
        name: said
        for name, tool in tools.items()
        if (said := LLMatcher.validate_grammar(LLMatcher.grammar_from_json_schema(json.dumps(tool["inputSchema"]))))
    }

    assert len(tools) > 20
    assert refused == {}


@pytest.mark.parametrize("which", ["server", "stretched"])
def test_no_tool_has_a_keyword_that_vendors_reject(which: str, request: pytest.FixtureRequest) -> None:
    for name, tool in listed(request.getfixturevalue(which)).items():
        schema = tool["inputSchema"]
        assert re.fullmatch("[a-zA-Z0-9_-]+", name)
        assert len(name) <= MAX_NAME
        assert len(tool["description"]) <= MAX_DESCRIPTION
        assert schema["type"] == "object"
        assert isinstance(schema["properties"], dict)
        assert set(keywords(schema)) <= TAKEN | ({"$defs", "$ref"} if "Tree" in json.dumps(schema) else set()), name
        assert all(re.fullmatch(r"[a-zA-Z0-9_.-]{1,64}", member) for member in schema["properties"])


TAKEN = {
    *("type", "description", "properties", "required", "additionalProperties", "items", "enum", "anyOf", "default"),
    *("format", "pattern", "minLength", "maxLength", "minimum", "maximum", "minItems", "maxItems"),
    *("minProperties", "maxProperties"),
}
"""The keywords that vendors of models accept in a tool; `anyOf` only below the top."""


def keywords(schema: Any, *, top: bool = True) -> Iterator[str]:
    """Yield the keywords of a schema and of the schemas in it."""
    if not isinstance(schema, dict):
        return
    for keyword, value in schema.items():
        yield f"{keyword} at the top" if top and keyword == "anyOf" else keyword
        below = value.values() if keyword in {"properties", "$defs"} else value if keyword == "anyOf" else [value]
        if keyword in {"properties", "$defs", "anyOf", "items", "additionalProperties"}:
            for each in below:
                yield from keywords(each, top=False)


def test_a_tool_describes_the_data_of_registered_types(stretched: Server) -> None:
    tools = listed(stretched)

    whole = tools["events_log"]["inputSchema"]["properties"]["data"]["description"]
    brief = tools["events_logBatch"]["inputSchema"]["properties"]["events"]["items"]["properties"]["data"]

    assert set(json.loads(whole.partition(": ")[2])) == {"part.made", "tree.grown"}
    assert brief["description"].endswith("schema in `events_log`: part.made, tree.grown")


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/trpc/events.log", {"type": "synap.key.rotated", "data": {}}),
        ("/v1/events", {"type": "synap.key.rotated", "data": {}, "source": "ci"}),
    ],
    ids=["trpc", "publish"],
)
def test_the_server_rejects_its_own_types_though_schemas_do_not(
    server: Server, path: str, body: dict[str, Any]
) -> None:
    answer = web.post(f"{server.url}{path}", json=body, headers=server.headers, timeout=30)

    assert answer.status_code == 400
    assert "must not begin with 'synap.'" in answer.text


@pytest.mark.parametrize(
    ("pattern", "written"),
    [
        (r"\A[a-z]+\Z", "^[a-z]+$"),
        (r"\\A\.\\Z", r"\\A\.\\Z"),
        (r"\A(?P<year>[0-9]{4})(?:-x)?(?=y)(?!z(a|[)])b)(?<!w)", "^([0-9]{4})(?:-x)?"),
        (r"\-\#\ \/", r"-# \/"),
        (r"[\w.+-]+@[^\]\x00-\x1f-]", r"[\w.+-]+@[^\]\x00-\x1f-]"),
        (r"a{2}b{2,}c{0,1000}?", r"a{2}b{2,}c{0,1000}?"),
        (r"a{1001}", None),
        (r"a{,3}", None),
        (r"[]a]", None),
        (r"[a&&b]", None),
        (r"\bword", None),
        (r"\u0041", None),
        (r"(?i)a", None),
        (r"(?P<a>x)(?P=a)", None),
        (r"(a)\1", None),
        (r"(a)?(?(1)b|c)", None),
        (r"a++", None),
        (r"(?>a)", None),
    ],
)
def test_a_pattern_is_written_as_every_reader_reads_it(pattern: str, written: str | None) -> None:
    assert portable(pattern) == written
    assert written is None or re2.compile(written)
