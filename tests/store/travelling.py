"""Proofs that travel, made by the store without a server, with witnesses of the test's own."""

import json
from collections.abc import Callable
from typing import Any

import msgspec

from app.ledger import policy, tlogproof
from app.ledger.chain import NODE_LOG
from app.ledger.checkpoint import parse
from app.ledger.cosignature import cosign, key_of
from app.ledger.policy import Policy
from app.ledger.signer import Signer
from app.ledger.tlogproof import TlogProof
from app.ledger.vkeys import of_kid
from app.store.ledger.anchor import Anchor
from app.store.ledger.heads import Heads
from app.store.ledger.travelling import Travelling
from app.store.ledger.trees import Trees
from tests.store.opened import Store

WITNESSES = {name: Signer(bytes([number]) * 32) for number, name in enumerate(["w1", "w2", "w3"], 1)}
AT = 1_679_315_147


class Proved:
    """A store whose logs are anchored, and what makes its proofs."""

    def __init__(self, store: Store) -> None:
        self.store = store
        trees = Trees(store.database)
        self.travelling = Travelling(trees, store.ledger(), Heads(store.database, trees))

    def anchor(self) -> None:
        """Anchor what has grown."""
        heads = Heads(self.store.database, Trees(self.store.database))
        self.store.run(Anchor(heads, self.store.log, node=self.store.node).anchor(self.store.run(heads.lease(0))))

    def proof(self, seq: int, workspace: str | None = None) -> TlogProof:
        """The proof of the event at a seq."""
        log = workspace or self.store.workspace
        ledger = self.store.ledger()
        [hash_] = self.store.run(self.store.database.rows(HASH_AT, {"workspace": log, "seq": seq}))[0]
        found = self.store.run(ledger.find(log, hash_))
        return tlogproof.parse(self.store.run(self.travelling.proof(log, found)))

    def policy(self, quorum: str = "all w1 w2") -> Policy:
        """A policy with the log `_node` of the store, and three witnesses."""
        return policy.parse(self.policy_text(quorum).encode())

    def policy_text(self, quorum: str = "all w1 w2") -> str:
        """The text of that policy."""
        keys = [key["kid"] for key in json.loads(msgspec.json.encode(self.store.run(self.store.ledger().node()).keys))]
        origin = f"{self.store.node.removeprefix('did:key:')}/{NODE_LOG}"
        lines = [f"log {of_kid(origin, kid).spelled()}\n" for kid in keys]
        lines += [f"witness {name} {key_of(name, signer).spelled()}\n" for name, signer in WITNESSES.items()]
        return "".join([*lines, f"group g {quorum}\nquorum g\n"])


HASH_AT = "SELECT hash FROM event WHERE workspace_id = %(workspace)s AND seq = %(seq)s"


def cosigned(proof: TlogProof, *names: str) -> TlogProof:
    """The proof with the cosignatures of these witnesses."""
    lines = (cosign(parse(proof.note).text, name, WITNESSES[name], AT) for name in names)
    return msgspec.structs.replace(proof, note=proof.note + "".join(lines))


def changed(proof: TlogProof, change: Callable[[dict[str, Any]], Any]) -> TlogProof:
    """The proof with other members in its `extra`."""
    extra = msgspec.json.decode(proof.extra or b"")
    change(extra)
    return msgspec.structs.replace(proof, extra=msgspec.json.encode(extra))


CHANGES: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "another payload": (lambda extra: extra["event"].update(payload={"place": 9}), "seq 3: its body is not"),
    "another place": (lambda extra: extra["event"].update(seq=4), "seq 4: its hash is not"),
    "another log": (lambda extra: extra["event"].update(log="acme"), "its hash is not"),
    "a member more in the event": (lambda extra: extra["event"].update(more=1), "it is not an event"),
    "a hash less": (lambda extra: extra["proof"].pop(), "its event is not in the tree of its head"),
    "a hash that is no hash": (lambda extra: extra["proof"].__setitem__(0, "AA"), "its event is not in the tree"),
    "another size of the head": (lambda extra: extra["head"].update(size=6), "not among the heads"),
    "another root of the head": (
        lambda extra: extra["head"].update(root=f"sha256:{'0' * 64}"),
        "its event is not in the tree",
    ),
    "another salt": (lambda extra: extra["head"].update(salt="0" * 32), "not among the heads"),
    "another log of the head": (lambda extra: extra["head"].update(log="acme"), "belongs to another log"),
    "half a size": (lambda extra: extra["head"].update(size=5.5), "not the head of a log"),
    "a salt that is no salt": (lambda extra: extra["head"].update(salt="0"), "not a proof that travels"),
    "another place of the head": (lambda extra: extra.update(place=0), "not among the heads"),
    "a way too long": (lambda extra: extra["path"].append("A" * 43 + "="), "not among the heads"),
    "another count": (lambda extra: extra["heads"]["payload"].update(count=9), "does not anchor logs: its body"),
    "another event for the heads": (lambda extra: extra.update(heads=extra["event"]), "it is another one"),
    "no heads": (lambda extra: extra.pop("heads"), "lacks the way"),
    "no head": (lambda extra: extra.pop("head"), "lacks the way"),
    "no way": (lambda extra: extra.pop("path"), "lacks the way"),
    "another version": (lambda extra: extra.update(v=2), "version is 2"),
    "a member more": (lambda extra: extra.update(more=1), "not a proof that travels"),
    "no keys": (lambda extra: extra.update(keys=[]), "not a proof that travels"),
    "another node": (lambda extra: extra.update(node_did="did:key:z"), "not the node's"),
}
