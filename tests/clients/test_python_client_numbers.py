"""The Python client rejects numbers that not every reader can represent, and names their place."""

import json
from typing import Any

import pytest
from synap_client import InvalidInput
from synap_client.events import NewEvent, written


@pytest.mark.parametrize(
    "number",
    [2**53, -(2**53), 10**21, 10**22 + 1, 10**5000, 1e16, 1.5e17, 9.1e15, -1e20],
    ids=lambda number: f"{number:.3}" if isinstance(number, float) else f"{len(bin(number))} bits",
)
def test_the_python_client_names_the_place(number: float) -> None:
    with pytest.raises(InvalidInput) as refused:
        written(NewEvent("case.number", {"list": [{"n": number}]}))

    assert refused.value.reason == "unsafe_number"
    assert [issue.path for issue in refused.value.issues] == ["data.list.0.n"]


@pytest.mark.parametrize("value", [2**53 - 1, 1e21, 0.1, "12345678901234567890", True])
def test_the_python_client_sends_what_every_reader_holds(value: Any) -> None:
    assert json.loads(written(NewEvent("case.number", {"n": value})))["data"] == {"n": value}
