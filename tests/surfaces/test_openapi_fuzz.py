"""A published tool sends every door requests that its document allows, and many that it does not.

`SCHEMATHESIS_EXAMPLES` is how many random requests each operation gets, besides those that cover its schema. Without it
there are few, the same in each run, and code that several operations share is tested only once.
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
from tests.kit.paths import ROOT
from tests.kit.servers import Server, cloned, serving

ALL = "SCHEMATHESIS_EXAMPLES" in os.environ

EXAMPLES = os.environ.get("SCHEMATHESIS_EXAMPLES") or "3"

SCHEMATHESIS = Path(sys.executable).with_name("schemathesis")

TABLES = {"HYPOTHESIS_STORAGE_DIRECTORY": str(ROOT / ".hypothesis")}
"""The folder in which the tool stores its table of characters, which takes seconds to make."""

STREAMS = ("eventsStream", "ledgerStream")
"""Operations that do not end by themselves; `tests/conformance` tests them."""

UNSAYABLE = "positive_data_acceptance"
"""A check that does not apply, because a schema cannot express every reason to reject an input
(`app/contract/json_schema.py`), such as numbers that few readers can represent."""

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
"""The tool's configuration. A dry run reports the faults of an event, and rejects none. If a request has a wrong method
and a wrong content type, tRPC reports the content type."""

COVERED_WITHOUT_TOKEN = """
[phases.coverage.checks.ignored_auth]
enabled = false
"""
"""The configuration for a phase that is left out: without a token every request is rejected, as the other phases
show."""

FIELDS = ("type", "seq", "createdAt") if ALL else ("seq",)
FILTERS = {"EventFilter": FIELDS, "LiveEventFilter": FIELDS}
"""The fields of a filter that are tested. A filter contains itself and has a hundred fields; `tests/filters` and
`tests/properties` test all of them."""

BRIEFLY = {
    "EventOrderBy": ("seq", "createdAt"),
    "IntegerOperators": ("gte", "in"),
    "MetadataInput": ("automation", "custom"),
}
"""The members of other schemas that are tested, except in `make soak`. Operations share these schemas, and one piece of
code reads all of their members: the tool would send most of its requests for the 66 fields of an order."""

NARROWED = FILTERS if ALL else FILTERS | BRIEFLY

QUERIES = [name for name, procedure in registry().items() if procedure.kind is Kind.QUERY]
BY_POST = [re.sub(r"\.(\w)", lambda found: found[1].upper(), name) for name in QUERIES]

LEFT_OUT = {
    "none": STREAMS if ALL else (*STREAMS, *BY_POST, "eventsValidate", "eventsLogBatch"),
    "superjson": STREAMS if ALL else (*STREAMS, *(f"{name}ByGet" for name in BY_POST)),
}
"""The operations that are left out, by transformer. A query by POST has the schema of the query by GET; a dry run and a
batch have that of `events.log`. With superjson, queries are called by POST instead: both read the same envelope."""


PHASES = {"none": "examples,coverage,fuzzing", "superjson": "examples,fuzzing"}

REST = ("publish", "browse", "ledger", "service")
"""The tags of the REST doors. One run of the tool, which names each failing operation, starts faster than four."""

DOORS = {
    "REST": ("none", [option for tag in REST for option in ("--include-tag", tag)]),
    "tRPC": ("none", ["--include-path-regex", "^/trpc/"]),
    "tRPC with superjson": ("superjson", ["--include-path-regex", "^/trpc/"]),
}
"""For each run the transformer, and the options that choose its operations."""


@pytest.fixture(scope="module")
def fuzzed(postgres_url: str, template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Server]]:
    """Servers, by transformer, on which tests may do anything. Their limits are lifted."""
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
@pytest.mark.parametrize(("transformer", "operations"), DOORS.values(), ids=list(DOORS))
def test_a_door_keeps_to_its_document(
    fuzzed: dict[str, Server], tmp_path: Path, transformer: str, operations: list[str]
) -> None:
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
            *operations,
            *("--phases", PHASES[transformer], "--max-examples", EXAMPLES),
            *("--exclude-checks", UNSAYABLE, "--exclude-operation-id-regex", f"^({'|'.join(LEFT_OUT[transformer])})$"),
            *(("--generation-database", "none") if ALL else ("--generation-deterministic",)),
            *("--continue-on-failure", "--warnings", "off", "--no-color"),
            *("--request-timeout", "20"),
        ],
        cwd=tmp_path,
        env=os.environ | TABLES,
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
    """The document, in which some schemas have few members."""
    schemas = document["components"]["schemas"]
    for name in NARROWED.keys() & schemas.keys():
        whole = schemas[name]
        schemas[name] = {
            **{key: whole[key] for key in ("type", "minProperties", "maxProperties") if key in whole},
            "properties": {member: whole["properties"][member] for member in NARROWED[name]},
            "additionalProperties": False,
        }
    return document


def _readable(node: Any) -> Any:
    """A part of the document, with JSON parameters in a form that the tool can generate."""
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
