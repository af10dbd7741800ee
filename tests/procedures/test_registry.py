"""The registry contains every module of `procedures/`, and each procedure has a description."""

from pathlib import Path

import pytest

import procedures
from app.contract.operation import Kind
from procedures.registry import registry
from schemas.errors import Internal, InvalidInput, PayloadTooLarge, Unavailable

MANAGED_READS = {"keys.list", "subscriptions.deliveries", "subscriptions.get", "subscriptions.list"}
"""Queries that need a scope that also allows writes."""

DOWNLOADS = {"ledger.export"}
"""Procedures that only REST doors serve."""

FOLDER = Path(procedures.__path__[0])


def _camel(module: str) -> str:
    first, *rest = module.split("_")
    return first + "".join(word.capitalize() for word in rest)


def test_listing_procedures_lists_the_api() -> None:
    names = {
        f"{_camel(file.parent.name)}.{_camel(file.stem)}" for file in FOLDER.glob("*/*.py") if file.stem != "__init__"
    }

    assert set(registry()) == names - DOWNLOADS


@pytest.mark.parametrize("name", registry())
def test_a_procedure_says_what_it_does(name: str) -> None:
    procedure = registry()[name]

    assert procedure.name == name
    assert procedure.summary.endswith(".")


@pytest.mark.parametrize("name", registry())
def test_a_procedure_may_always_reject_input_and_fail(name: str) -> None:
    assert {InvalidInput, PayloadTooLarge, Unavailable, Internal} <= set(registry()[name].errors)


@pytest.mark.parametrize("name", registry())
def test_only_what_writes_is_a_mutation(name: str) -> None:
    procedure = registry()[name]

    reads = procedure.scope in {None, "events:read", "ledger:read", "audit:read"} or name in MANAGED_READS
    assert (procedure.kind is not Kind.MUTATION) == reads


@pytest.mark.parametrize(
    ("name", "optional"),
    [
        ("audit.list", True),
        ("events.erase", False),
        ("events.histogram", True),
        ("events.list", True),
        ("events.page", True),
        ("events.get", False),
        ("events.log", False),
        ("events.logBatch", False),
        ("events.trace", False),
        ("events.types", True),
        ("events.validate", False),
        ("intents.decide", False),
        ("intents.get", False),
        ("intents.list", True),
        ("intents.start", False),
        ("keys.current", True),
        ("keys.list", True),
        ("metadata.kinds", True),
        ("metrics.current", True),
        ("procedures.list", True),
        ("subscriptions.list", True),
        ("subscriptions.get", False),
    ],
)
def test_an_input_may_be_omitted_if_nothing_is_required(name: str, optional: bool) -> None:  # noqa: FBT001
    assert registry()[name].optional is optional
