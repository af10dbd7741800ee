"""`synap receipt` writes the receipt of an event of this machine's install, and `synap verify` explains it."""

import base64
import json
import re
from pathlib import Path
from uuid import UUID

import pytest

from app.cli.arguments import UsageError
from app.cli.main import cli
from app.cli.output import OutputError
from app.cli.verify.evidence import UnreadableError
from app.store.install.workspaces import WorkspaceError
from tests.kit.bundles import write
from tests.kit.receipts import SOUND, VECTORS, refund
from tests.kit.servers import environment
from tests.store.asking import asking
from tests.store.opened import SECRET, opened
from tests.store.travelling import Proved

NOBODY = "01938c1e-0000-7000-8000-000000000001"


def _run(*arguments: str) -> None:
    cli(list(arguments), result_action="return_none")


def _verified(capfd: pytest.CaptureFixture[str], *arguments: str) -> tuple[int | str | None, list[str], str]:
    """The exit code of `synap verify`, the lines that it prints, and what it says beside them."""
    with pytest.raises(SystemExit) as exited:
        cli(["verify", *arguments])
    said = capfd.readouterr()
    return exited.value.code, said.out.splitlines(), said.err


@pytest.fixture
def intents(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[UUID]:
    """An install with an intent that ran and one whose request is erased. The operator works beside it."""
    data = tmp_path / "data"
    data.mkdir()
    (data / "install.secret").write_text(base64.b64encode(SECRET).decode())  # by which the store makes ids, too
    with opened(database_url, data) as store:
        asked = asking(store)
        ran, erased = asked.ask_once(), asked.ask()
        for intent in (ran, erased):
            asked.decide(intent, reason="Agreed")
            asked.finish(asked.start(intent).event, data={"receipt": "R-1"})
        asked.erase(erased.id)
    for name, value in environment(data, database_url=database_url).items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    return [ran.id, erased.id]


def test_a_receipt_of_this_install_is_explained(intents: list[UUID], capfd: pytest.CaptureFixture[str]) -> None:
    _run("receipt", str(intents[0]), "-o", "ran.json")
    _run("receipt", str(intents[1]))
    Path("erased.json").write_text(capfd.readouterr().out)

    node = json.loads(Path("ran.json").read_text())["node_did"]
    code, lines, _ = _verified(capfd, "ran.json", "--node", node)
    assert code == 0
    assert lines[0] == f"the receipt of 4 events of the log default verifies, node {node}"
    labels = [line.partition(":")[0] for line in lines if re.match(r"\w+: the user ", line)]
    assert labels == ["Asked", "Approved", "Started", "Executed"]
    assert 'Exactly this was asked for: {"amount":82000}' in lines
    code, lines, _ = _verified(capfd, "erased.json")
    assert code == 3
    assert lines[1].startswith("Asked: seq 1, logged as ")
    assert lines[-1] == "seq 1: its body is missing; its erasure may be recorded after this part"


def test_a_proof_that_travels_is_written_once_the_event_is_anchored(
    intents: list[UUID], database_url: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(OutputError, match="no proof that travels yet"):
        _run("receipt", str(intents[0]), "--tlog-proof")

    with opened(database_url, Path("data")) as store:
        Proved(store).anchor()
    _run("receipt", str(intents[0]), "--tlog-proof", "-o", "event.tlog-proof")

    code, [line], beside = _verified(capfd, "event.tlog-proof", "--node", store.node)
    assert code == 0
    assert line.startswith("1 event of the log default is under the checkpoint of _node of ")
    assert beside.startswith("synap: no cosignature was verified")


def test_what_cannot_be_written_is_one_sentence(intents: list[UUID]) -> None:
    Path("mine.json").write_text("mine")
    wrong = {
        ("x",): "EVENT_ID must be the UUID of an event, or its evt_<hash>.",
        (NOBODY,): f"There is no event {NOBODY} in the workspace default.",
        (NOBODY, "--workspace", "nosuch"): "There is no workspace 'nosuch'; see: synap workspaces list.",
        (str(intents[0]), "-o", "mine.json"): "mine.json exists already; add --force to replace it.",
    }

    for arguments, sentence in wrong.items():
        with pytest.raises((OutputError, UsageError, WorkspaceError)) as refused:
            _run("receipt", *arguments)
        assert str(refused.value) == sentence
    assert sorted(path.name for path in Path().iterdir()) == ["data", "mine.json"]


def test_a_receipt_is_judged_by_its_exit_code(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "receipt.json"
    text = write(refund().receipt)

    file.write_bytes(text)
    code, lines, beside = _verified(capfd, str(file))
    assert (code, lines[1:]) == (0, json.loads(VECTORS.read_text())["a refund"]["sentences"])
    assert beside.startswith("synap: not pinned: ")
    assert _verified(capfd, str(file), "--node", "did:key:z1")[:2] == (1, [f"receipt: it is of the node {_node(text)}"])

    file.write_bytes(text.replace(b'"amount":82000', b'"amount":820000'))
    assert _verified(capfd, str(file))[:2] == (1, ["seq 2: its body is not the one that was hashed"])

    file.write_bytes(write(SOUND["an event with a withheld cause"]().receipt))
    code, lines, _ = _verified(capfd, str(file))
    assert (code, lines[-1]) == (3, "seq 0: its body is withheld")

    file.write_bytes(text[:-1])
    with pytest.raises(UnreadableError, match=r"ends within its JSON; fetch it again\.$"):
        cli(["verify", str(file)])


def _node(text: bytes) -> str:
    node: str = json.loads(text)["node_did"]
    return node


def test_hidden_characters_are_printed_as_their_numbers(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "receipt.json"
    file.write_bytes(write(SOUND["hidden characters"]().receipt))

    _, lines, _ = _verified(capfd, str(file))

    assert r'The request describes itself as: "Line\none \u2066\"quoted\" \\u202e \u007f"' in lines
    assert lines[-1].startswith("Note: this receipt has characters that are invisible")
