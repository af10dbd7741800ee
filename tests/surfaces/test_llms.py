"""`/llms.txt` leads a program that has nothing else, command by command."""

import json
import re
import shutil
import subprocess
from pathlib import Path

from app.ledger.verify import verify_receipt
from tests.kit import web
from tests.procedures.conftest import Keyed
from tests.surfaces.conftest import Observed

COMMANDS = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)

LINKS = re.compile(r"\]\((http[^)]+)\)")


def test_its_commands_lead_to_a_receipt(observed: Observed, tmp_path: Path) -> None:
    keyed = Keyed(observed.server, observed.database_url)
    workspace = (keyed.workspace(),)
    _, agent = keyed.key("events:write", "events:read-own", "ledger:read", user="agent", workspaces=workspace)
    _, ann = keyed.key("events:read", "intents:decide", user="ann", workspaces=workspace)
    script = "".join(COMMANDS.findall(web.get(f"{observed.server.url}/llms.txt").text))

    bash = [shutil.which("bash") or "bash", "-euo", "pipefail", "-c", script]
    environment = {"PATH": "/usr/bin:/bin", "TOKEN": agent.token, "ANN": ann.token}
    ran = subprocess.run(bash, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120, check=False)
    receipt = (tmp_path / "receipt.json").read_bytes()

    assert ran.returncode == 0, ran.stderr
    assert '"error"' not in ran.stdout
    assert verify_receipt(receipt).broken is None
    assert [entry["event"]["type"].rpartition(".")[2] for entry in json.loads(receipt)["chain"]] == [
        "requested",
        "approved",
        "started",
        "executed",
    ]


def test_it_names_the_address_that_was_asked(observed: Observed) -> None:
    asked = {"x-forwarded-proto": "https", "x-forwarded-host": "events.example.org"}

    text = web.get(f"{observed.server.url}/llms.txt").text
    behind = web.get(f"{observed.server.url}/llms.txt", headers=asked).text

    assert [web.get(link).status_code for link in LINKS.findall(text)] == [200, 200, 200]
    assert "https://events.example.org/trpc/events.log" in behind
    assert "http://127.0.0.1" not in behind


def test_a_path_that_is_not_there_leads_to_what_is(observed: Observed) -> None:
    answer = web.get(f"{observed.server.url}/nosuch")

    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found")
    assert "/openapi.json" in answer.json()["error"]["message"]
    assert "`/llms.txt`" in web.get(f"{observed.server.url}/openapi.json").json()["info"]["description"]
