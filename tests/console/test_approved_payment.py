"""A whole story: a program asks with the Python client, a person approves in a browser, and exactly that runs."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

import pytest

from tests.clients.conftest import SOURCE
from tests.console.conftest import Console
from tests.console.test_inbox import person
from tests.kit.command import synap
from tests.kit.servers import environment

assert SOURCE.exists()  # importing it puts the client on the module path

from synap_client import Conflict, Intent, Synap, agent, approved  # noqa: E402

ORDER = {"order_id": "order-7", "amount": 82_000}


@pytest.fixture
def client(console: Console) -> Iterator[Synap]:
    """The client of an agent that asks."""
    key = person(console.server, f"agent-{uuid4()}", "events:write", "events:read-own")
    with Synap(key.url, key.token) as made:
        yield made


def test_a_program_asks_a_person_approves_and_the_receipt_proves_it(
    console: Console, client: Synap, tmp_path: Path
) -> None:
    ran: list[int] = []

    @approved("payment.refund")
    def refund(order_id: str, amount: int) -> str:
        ran.append(amount)
        return order_id

    work = f"refund-{uuid4()}"

    def ask() -> Intent:
        with agent("refunds", client) as a:
            return a.ask("payment.refund", ORDER, key=work, summary=work, risk="high", wait_seconds=120)

    with ThreadPoolExecutor(1) as pool:
        asking = pool.submit(ask)
        _approve(console, work)
        intent = asking.result(120)
    with agent("refunds", client) as a:
        with pytest.raises(Conflict) as other:
            a.start(intent, ORDER | {"amount": 820_000})
        assert (other.value.reason, ran) == ("parameters_differ", [])
        assert refund.keyed(work)("order-7", 82_000) == "order-7"

    assert (ran, intent.reason) == ([82_000], "Agreed by phone")
    chain = console.whole.role("region", "What became of it")
    chain.role("link", "Executed").wait()
    assert chain.role("listitem").role("link").contents() == ["Asked", "Approved", "Started", "Executed"]
    file = console.whole.role("button", "Receipt").download()
    assert _verdicts(console, tmp_path / "receipt.json", file["text"]) == (0, True)
    assert _verdicts(console, tmp_path / "forged.json", file["text"].replace("82000", "82001", 1)) == (1, False)


def _approve(console: Console, summary: str) -> None:
    """Decide in the inbox, as the boss."""
    own = person(console.server, "control", "*", "intents:decide-own")
    boss = person(own, "boss", "events:read", "intents:decide", "ledger:read")
    console.open("/default/inbox", token=boss.token)
    console.whole.role("link", summary).click()
    console.whole.label("Reason").fill("Agreed by phone")
    console.whole.role("button", "Approve").click()
    console.whole.role("region", "What became of it").text("Agreed by phone").wait()


def _verdicts(console: Console, receipt: Path, text: str) -> tuple[int, bool]:
    """What `synap verify` and the browser say of a receipt, both without asking the server."""
    receipt.write_text(text)
    verified = synap("verify", str(receipt), env=environment(receipt.parent), cwd=receipt.parent)
    console.go("/default/ledger")
    console.whole.label("File").choose(receipt)
    shown = console.whole.role("region", "Verify a file")
    verdict = shown.role("status" if verified.returncode == 0 else "alert")
    verdict.text(f"{receipt.name}: ").wait()
    return verified.returncode, f"{receipt.name}: verified" in verdict.content()
