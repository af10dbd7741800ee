"""tRPC's own generator of API documents reads our contract, and finds the procedures and inputs of `/openapi.json`."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.clients.test_generated import NODE, ran
from tests.kit import web
from tests.kit.packages import install_packages
from tests.kit.servers import Server

Schema = dict[str, Any]
JSON = "application/json"


class Document:
    """An API document, whose schemas are compared with those of another."""

    def __init__(self, content: bytes) -> None:
        self.paths: dict[str, dict[str, Any]] = json.loads(content)["paths"]
        self._schemas: dict[str, Schema] = json.loads(content)["components"]["schemas"]

    def choices(self, schema: Schema) -> Iterator[Schema]:
        """What a value may be, each without a reference.

        Null is left out: a member that is null says the same as one that is absent, and filters have `isNull`.
        """
        if "$ref" in schema:
            yield from self.choices(self._schemas[schema["$ref"].rpartition("/")[2]])
        elif "oneOf" in schema or "anyOf" in schema:
            for each in schema.get("oneOf") or schema["anyOf"]:
                yield from self.choices(each)
        elif isinstance(schema.get("type"), list):
            yield from (schema | {"type": kind} for kind in schema["type"] if kind != "null")
        elif schema.get("type") != "null":
            yield schema


class Value(msgspec.Struct):
    """What one document says of a value: its kinds, the choices among texts, and its members and items."""

    kinds: set[str]
    texts: set[str]
    members: dict[str, list[Schema]]
    required: set[str]
    items: list[Schema]
    is_said: bool

    @classmethod
    def of(cls, document: Document, schemas: Iterable[Schema]) -> "Value":
        """The choices of all `schemas` together."""
        found: list[Schema] = []
        for choice in (each for schema in schemas for each in document.choices(schema)):
            found += [] if choice in found else [choice]
        objects = [each for each in found if each.get("type") == "object"]
        members: dict[str, list[Schema]] = {}
        for name, schema in (member for each in objects for member in each.get("properties", {}).items()):
            known = members.setdefault(name, [])
            known += [] if schema in known else [schema]
        return cls(
            kinds={"number" if each["type"] == "integer" else each["type"] for each in found if "type" in each},
            texts={
                text for each in found for text in each.get("enum", [each["const"]] if "const" in each else ["any"])
            },
            members=members,
            required=set.intersection(*(set(each.get("required", [])) for each in objects)) if objects else set(),
            items=[each["items"] for each in found if "items" in each],
            is_said=all("type" in each for each in found),
        )


class Comparison:
    """Where the document made of the contract says another thing than ours."""

    def __init__(self, theirs: Document, ours: Document) -> None:
        self._theirs = theirs
        self._ours = ours
        self._compared: set[str] = set()

    def differences(self, theirs: list[Schema], ours: list[Schema], path: str) -> Iterator[str]:
        """One line for each difference of an input. What the contract's types cannot say is no difference."""
        pair = json.dumps([theirs, ours])
        if pair in self._compared:
            return
        self._compared.add(pair)
        one, other = Value.of(self._theirs, theirs), Value.of(self._ours, ours)
        if not one.is_said:  # a template literal, such as that of an event's type
            return
        for said in ("kinds", "texts", "required"):
            if getattr(one, said) != getattr(other, said):
                yield f"{path}: {said} {getattr(one, said)}, ours {getattr(other, said)}"
        if one.items or other.items:
            yield from self.differences(one.items, other.items, f"{path}[]")
        empty = {name for name, schemas in one.members.items() if not any(schemas)}  # `never`, and `unknown` too
        never = {name for name in empty if name not in other.members or any(other.members[name])}
        for name in sorted((one.members.keys() - never) ^ other.members.keys()):
            yield f"{path}.{name}: is in one document only"
        for name in one.members.keys() & other.members.keys():
            yield from self.differences(one.members[name], other.members[name], f"{path}.{name}")


@pytest.fixture(scope="module")
def theirs(server: Server, node: Path, tmp_path_factory: pytest.TempPathFactory) -> Document:  # noqa: ARG001 # as there
    """The document that `@trpc/openapi` makes of the served contract."""
    install_packages(NODE)
    folder = tmp_path_factory.mktemp("trpc-openapi")
    (folder / "node_modules").symlink_to(NODE / "node_modules")
    (folder / "tsconfig.json").write_bytes((NODE / "tsconfig.json").read_bytes())
    (folder / "contract.ts").write_bytes(web.get(f"{server.url}/trpc/contract.ts").content)
    ran(folder, "node", "node_modules/@trpc/openapi/dist/cli.js", "contract.ts", "--output", "openapi.json")
    return Document((folder / "openapi.json").read_bytes())


@pytest.fixture(scope="module")
def ours(server: Server) -> Document:
    """The document of the server."""
    return Document(web.get(f"{server.url}/openapi.json").content)


def test_it_finds_every_procedure_but_streams_and_its_text(theirs: Document, ours: Document) -> None:
    served = {path: item for path, item in ours.paths.items() if path.startswith("/trpc/") and "post" in item}

    assert {f"/trpc{path}" for path in theirs.paths} == served.keys()
    for path, item in theirs.paths.items():
        [(method, operation)] = item.items()
        assert method == ("get" if "get" in served[f"/trpc{path}"] else "post")
        ours_by_post = served[f"/trpc{path}"]["post"]
        space, _, name = operation["operationId"].partition(".")
        assert ours_by_post["operationId"] == space + name[0].upper() + name[1:]
        assert operation["description"] == ours_by_post.get("description", f"{ours_by_post['summary']}.")


def test_it_finds_the_inputs_of_our_document(theirs: Document, ours: Document) -> None:
    comparison = Comparison(theirs, ours)
    differences: list[str] = []

    for path, item in theirs.paths.items():
        [(method, operation)] = item.items()
        found = operation["parameters"][0] if method == "get" else operation["requestBody"]
        expected = ours.paths[f"/trpc{path}"]["post"]["requestBody"]
        one, other = ([each["content"][JSON]["schema"]] for each in (found, expected))
        differences += comparison.differences(one, other, path)

    assert differences == []
