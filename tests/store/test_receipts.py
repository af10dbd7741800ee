"""Receipts as the store makes them: of long chains, and of events far apart in a log with rotated keys."""

import json
from uuid import UUID

from app.ledger.verify import Verdict, verify_receipt
from app.store.ledger.receipts import PROOFS_AT_ONCE, Receipts
from app.store.ledger.trees import Trees
from tests.store.asking import asking
from tests.store.opened import INTENT_IDS, Store, draft


def _made(store: Store, id_: UUID) -> tuple[int, Verdict]:
    """How many events the receipt of an event has, and the verdict on it."""
    receipts = Receipts(store.database, store.ledger(), Trees(store.database), INTENT_IDS)
    text = store.run(receipts.make(store.workspace, id_, None)).json
    return len(json.loads(text)["chain"]), verify_receipt(text)


def test_a_chain_may_need_more_proofs_than_are_made_at_once(store: Store) -> None:
    asked = asking(store)
    intent = asked.approved(uses=40)
    for number in range(40):
        start = asked.start(intent, f"r{number}").event
        asked.finish(start)

    events, verdict = _made(store, start.id)

    assert events == 82 > PROOFS_AT_ONCE
    assert verdict.broken is None
    assert len([line for line in verdict.sentences if line.startswith("Executed: ")]) == 40


def test_a_chain_may_span_the_log(store: Store) -> None:
    asked = asking(store)
    intent = asked.ask()
    store.append(*[draft() for _ in range(600)])
    asked.decide(intent)

    events, verdict = _made(store, intent.id)

    assert (events, verdict.broken) == (2, None)
    assert (verdict.first_seq, verdict.last_seq) == (0, 601)
