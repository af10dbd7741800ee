"""`ask` and `approved` of `@synap/client` in node, against a real server."""

import json
import subprocess
from typing import Any

import pytest
from msgspec import Struct
from synap_client import Synap
from synap_client.asking import asked_id

from tests.kit.servers import Server
from tests.kit.trpc import Trpc


class Cases(Struct, frozen=True):
    """Runs the cases of `intents_cases.mjs` as an agent and Ann."""

    trpc: Trpc
    server: Server
    tokens: tuple[str, str]
    run: str

    def start(self, name: str) -> subprocess.CompletedProcess[str]:
        """Run a case to its end."""
        names = [name, self.server.url, *self.tokens, f"refund.{self.run}", self.run]
        command = ["node", "intents_cases.mjs", *names]
        return subprocess.run(command, cwd=self.trpc.folder, capture_output=True, text=True, timeout=120, check=False)

    def __call__(self, name: str) -> Any:
        """What a case prints."""
        ran = self.start(name)
        assert ran.returncode == 0, ran.stderr
        return json.loads(ran.stdout)


@pytest.fixture
def case(newest_trpc: Trpc, server: Server, tokens: tuple[str, str], run: str) -> Cases:
    """The cases, for a type of intents that only this test has."""
    return Cases(newest_trpc, server, tokens, run)


def test_ask_returns_what_was_approved(case: Cases) -> None:
    data, ai, *rest = case("asks")

    assert data == {"parameters": {"orderId": "order-7", "amount": 82000}}
    assert ai == {"agent": "a"}
    assert rest == ["approved", "Agreed by phone", "Refund order 7", "order-7"]


def test_ask_says_what_ended_an_intent(case: Cases) -> None:
    assert case("ends") == [
        ["rejected", "Too much"],
        ["withdrawn", None],
        ["expired", None],
        ["not_decided", None],
        "Error",
    ]


def test_an_approved_function_runs_with_its_parameters(case: Cases) -> None:
    assert case("runs") == [
        "order-7 a",
        "Refund order-7",
        ["requested", "approved", "started", "executed"],
        {"result": "order-7 a"},
    ]


def test_what_an_outcome_tells_is_what_was_asked_for(case: Cases) -> None:
    assert case("fails") == [
        [["RangeError", "a secret"], ["failed", {"error": "RangeError"}]],
        [["RangeError", "a secret"], ["failed", {"error": "RangeError", "message": "a secret"}]],
        ["10", ["executed", {}]],
    ]


def test_a_parameter_that_is_no_json_is_refused(case: Cases) -> None:
    refused, events = case("refuses")

    place = "parameters.amount"
    assert refused == [f"{each} is no JSON" for each in (place, place, place, f"{place}.0", place)]
    assert events == []


def test_the_type_is_that_of_the_act(case: Cases) -> None:
    message = f'name what runs, "refund.{case.run}": ".requested" is added to it'

    assert case("names") == [["TypeError", message], ["TypeError", message], []]


def test_a_function_that_crashed_does_not_run_again(case: Cases, client: Synap) -> None:
    crashed = case.start("crash")
    still, ended, other, ran = case("again")

    assert (crashed.returncode, crashed.stdout) == (9, '"ran"\n'), crashed.stderr
    assert still == ["already_started", None]
    assert ended == ["already_started", "failed"]
    assert other == ["conflict", f'The key "{case.run}" has asked for other parameters before; use another key']
    assert ran == 0
    asked = client.get(asked_id(f"refund.{case.run}", case.run))
    assert asked.type == f"refund.{case.run}.requested", "both clients derive the same id from a key"


def test_lost_answers_lose_no_result(case: Cases) -> None:
    assert case("lost") == ["not_reported", "done", ["requested", "approved", "started", "executed"]]


def test_a_start_that_is_aborted_is_reported_as_failed(case: Cases) -> None:
    assert case("aborts") == [["RangeError", "left"], 0, ["failed", {"error": "RangeError"}]]


def test_a_call_that_waits_holds_up_no_other(case: Cases) -> None:
    assert case("apart") == ["got", "waited"]
