"""procedures.list and metadata.kinds: how the server describes itself to callers."""

from jsonschema import Draft202012Validator

from app.contract.operation import Kind
from procedures.registry import registry
from schemas.errors import ProcedureError
from schemas.metadata import BUILT_IN
from tests.procedures.conftest import Keyed, answered, failed


def test_every_procedure_is_listed_as_it_is_declared(keyed: Keyed) -> None:
    listed = answered(keyed.server.query("procedures.list"))

    assert [each["name"] for each in listed] == sorted(registry())
    for each in listed:
        procedure = registry()[each["name"]]
        assert (each["kind"], each.get("scope")) == (procedure.kind, procedure.scope)
        assert each["description"].startswith(each["summary"])
        assert len(each["description"].split()) == len(procedure.description.split())
        assert ("marker" in each) == (procedure.kind is Kind.SUBSCRIPTION)


def test_errors_are_those_that_a_caller_meets(keyed: Keyed) -> None:
    listed = {each["name"]: each for each in answered(keyed.server.query("procedures.list"))}
    told = {(error["code"], error["reason"]) for error in listed["events.get"]["errors"]}
    _, lacking = keyed.key("events:write")

    for met in (
        failed(keyed.server.query("events.get", {"eventId": "x"}), 404),
        failed(lacking.query("events.get", {"eventId": "x"}), 403),
        failed(keyed.server.query("events.get", {"eventId": 1}), 400),
    ):
        assert (met["code"], met["reason"]) in told
    assert ("CONFLICT", "conflict") not in told


def test_failures_are_named_by_their_reasons(keyed: Keyed) -> None:
    listed = {each["name"]: each for each in answered(keyed.server.query("procedures.list"))}

    assert "NotFound" in registry()["events.get"].description
    assert "`not_found`" in listed["events.get"]["description"]
    for each in listed.values():
        assert not any(kind.__name__ in each["description"].split() for kind in ProcedureError.__subclasses__())


def test_a_schema_says_what_the_call_takes(keyed: Keyed) -> None:
    listed = {each["name"]: each for each in answered(keyed.server.query("procedures.list"))}
    wanted = Draft202012Validator(listed["keys.create"]["input"])

    for sent, status in (({"scopes": ["events:read"]}, 200), ({"scopes": []}, 400), ({"scopes": ["nosuch"]}, 400)):
        assert keyed.server.mutate("keys.create", sent).status_code == status
        assert wanted.is_valid(sent) == (status == 200)


def test_every_kind_of_metadata_has_a_schema(keyed: Keyed) -> None:
    kinds = {kind["name"]: kind for kind in answered(keyed.server.query("metadata.kinds"))}

    assert list(kinds) == list(BUILT_IN)
    assert {kind["builtIn"] for kind in kinds.values()} == {True}
    assert kinds["ai"]["description"] == "What an AI agent did, how sure it was and why."
    for agent, valid in (("a", True), ("", False)):
        sent = {"type": "a.b", "data": {}, "metadata": {"ai": {"agent": agent}}}
        assert (keyed.server.mutate("events.log", sent).status_code == 200) is valid
        assert Draft202012Validator(kinds["ai"]["schema"]).is_valid({"agent": agent}) is valid
