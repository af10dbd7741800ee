"""Every door is asked all that its document allows and much that it does not, by a published tool.

`SCHEMATHESIS_EXAMPLES` is how many random requests each operation gets, beside those that cover its schema. Without it
they are few, and the same each time; and what would be asked of the same code several times is asked once.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from app.contract.operation import Kind
from procedures.registry import registry
from tests.kit import web
from tests.kit.servers import Server, cloned, serving

ALL = "SCHEMATHESIS_EXAMPLES" in os.environ

EXAMPLES = os.environ.get("SCHEMATHESIS_EXAMPLES") or "3"

SCHEMATHESIS = Path(sys.executable).with_name("schemathesis")

STREAMS = ("eventsStream", "ledgerStream")
"""They do not end by themselves; `tests/conformance` has them."""

UNSAYABLE = "positive_data_acceptance"
"""A schema cannot say all that is refused (`app/contract/json_schema.py`), such as numbers that few readers hold."""

CONFIG = """
[checks.negative_data_rejection]
expected-statuses = ["4xx"]

[[operations]]
include-operation-id = "eventsValidate"
checks.negative_data_rejection.enabled = false

[[operations]]
include-path-regex = "^/trpc/"
checks.unsupported_method.enabled = false
"""
"""A dry run answers what is wrong with an event, and refuses none. Of a request that is wrong twice, in its method and
its content type, tRPC tells the content type."""

COVERED_WITHOUT_TOKEN = """
[phases.coverage.checks.ignored_auth]
enabled = false
"""
"""What is sent without a token is refused whatever else it is: the requests of the other phases show it."""

FIELDS = ("type", "seq", "createdAt") if ALL else ("seq",)
"""Of a filter. It holds itself and has a hundred fields; `tests/filters` and `tests/properties` ask for all of them."""

QUERIES = [name for name, procedure in registry().items() if procedure.kind is Kind.QUERY]
BY_POST = [re.sub(r"\.(\w)", lambda found: found[1].upper(), name) for name in QUERIES]

LEFT_OUT = {
    "none": STREAMS if ALL else (*STREAMS, *BY_POST, "eventsValidate", "eventsLogBatch"),
    "superjson": STREAMS,
}
"""By what tRPC speaks. A query by POST has the schema of the same query by GET, a dry run and a batch that of
`events.log`."""


PHASES = {"none": "examples,coverage,fuzzing", "superjson": "examples,fuzzing"}

DOORS = [*((door, "none") for door in ("publish", "browse", "ledger", "service", "trpc")), ("trpc", "superjson")]


@pytest.fixture(scope="module")
def fuzzed(postgres_url: str, template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Server]]:
    """Servers that anything may be done to, by what tRPC speaks; their limits are out of the way."""
    with ExitStack() as stack:
        yield {
            transformer: stack.enter_context(
                serving(
                    tmp_path_factory.mktemp(transformer),
                    database_url=stack.enter_context(cloned(postgres_url, template, f"test_fuzzed_{transformer}")),
                    transformer=transformer,
                    rate_publish=1_000_000,
                    rate_query=1_000_000,
                )
            )
            for transformer in ("none", "superjson")
        }


@pytest.mark.timeout(1000)
@pytest.mark.parametrize(("door", "transformer"), DOORS)
def test_a_door_keeps_to_its_document(fuzzed: dict[str, Server], tmp_path: Path, door: str, transformer: str) -> None:
    server = fuzzed[transformer]
    document = web.get(f"{server.url}/openapi.json").json()
    path, config = tmp_path / "openapi.json", tmp_path / "schemathesis.toml"
    path.write_text(json.dumps(_readable(_narrowed(document))))
    config.write_text(CONFIG if ALL else CONFIG + COVERED_WITHOUT_TOKEN)

    ran = subprocess.run(
        [
            *(
                SCHEMATHESIS,
                "--config-file",
                config,
                "run",
                path,
                "--url",
                server.url,
                "--header",
                f"Authorization: Bearer {server.token}",
            ),
            *(("--include-path-regex", "^/trpc/") if door == "trpc" else ("--include-tag", door)),
            *("--phases", PHASES[transformer], "--max-examples", EXAMPLES),
            *("--exclude-checks", UNSAYABLE, "--exclude-operation-id-regex", f"^({'|'.join(LEFT_OUT[transformer])})$"),
            *(("--generation-database", "none") if ALL else ("--generation-deterministic",)),
            *("--continue-on-failure", "--warnings", "off", "--no-color"),
            *("--request-timeout", "20"),
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )

    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "No issues found" in ran.stdout
    assert web.get(f"{server.url}/readyz").status_code == 200
    assert web.get(f"{server.url}/ledger/v1/checkpoint", headers=server.headers).status_code == 200


def _narrowed(document: dict[str, Any]) -> dict[str, Any]:
    """The document with filters of a few fields."""
    schemas = document["components"]["schemas"]
    for name in {"EventFilter", "LiveEventFilter"} & schemas.keys():
        members = schemas[name]["properties"]
        schemas[name] = {
            "type": "object",
            "properties": {field: members[field] for field in FIELDS},
            "additionalProperties": False,
        }
    return document


def _readable(node: Any) -> Any:
    """A part of the document, its parameters of JSON as the tool knows how to make them."""
    if isinstance(node, list):
        return [_readable(each) for each in node]
    if not isinstance(node, dict):
        return node
    schema = node.get("schema", {})
    if node.get("in") == "query" and "contentSchema" in schema:
        example = {"example": json.loads(node["example"])} if "example" in node else {}
        kept = {name: value for name, value in node.items() if name not in {"schema", "example"}}
        return {**kept, "content": {"application/json": {"schema": schema["contentSchema"], **example}}}
    return {name: _readable(value) for name, value in node.items()}
