"""The contract as a file with a version."""

import pytest

from app.contract.artefact import versioned
from app.contract.typescript import typescript
from procedures.registry import registry

TEXT = typescript(registry(), transformer="none")


def test_the_same_contract_has_the_same_version() -> None:
    assert versioned(TEXT, "1.2.3") == versioned(TEXT, "1.2.3")


@pytest.mark.parametrize(
    ("text", "version"), [(TEXT, "1.2.4"), (TEXT.replace("limit", "most"), "1.2.3")], ids=["a version", "a member"]
)
def test_another_contract_has_another_version(text: str, version: str) -> None:
    assert versioned(text, version).tag != versioned(TEXT, "1.2.3").tag


def test_both_files_say_their_version() -> None:
    contract = versioned(TEXT, "1.2.3")

    assert contract.tag.startswith("1.2.3+")
    for text in (contract.module, contract.declarations):
        assert text.splitlines()[0] == f"// Contract {contract.tag}"
        assert contract.like(text) == text
    assert contract.module.endswith(f'\nexport const CONTRACT = "{contract.tag}";\n')
