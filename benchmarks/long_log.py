"""Writes the export of a long log event by event, so that it takes little memory."""

import base64
import json
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from uuid import UUID

import msgspec

from app.ledger import checkpoint
from app.ledger.canonical import canonical
from app.ledger.chain import GENESIS, Body, body_bytes, header_bytes, instant, leaf_hash, signed_text
from app.ledger.checkpoint import Checkpoint
from app.ledger.merkle import Frontier
from benchmarks.contestants import EVENT
from benchmarks.progress import progress
from tests.kit.bundles import OPENED, ORIGIN, proof_of, sealed, signer_of

NAME = "default"
SIGNER = signer_of(0)
BODY = Body(
    user_id="u1",
    source="api",
    data=canonical(msgspec.json.encode(EVENT["data"]), "data").decode(),
    metadata=canonical(msgspec.json.encode(EVENT["metadata"]), "metadata").decode(),
)


def write(file: Path, events: int) -> None:
    """Write the export of a log that repeats one client's event, each time with its own salt and id."""
    hashes, frontier = list[str](), Frontier()
    with file.open("wb") as out, progress("events written", events) as show:
        out.write(b'{"events":[')
        for seq in range(events):
            text, hash_ = _event(seq, bytes.fromhex(hashes[-1]) if hashes else GENESIS)
            signature = base64.b64encode(SIGNER.sign(signed_text(hash_)))
            out.write(b'%b\n%b,"signature":"%b"}' % (b"," if seq else b"", text, signature))
            frontier.push(hash_)
            hashes.append(hash_.hex())
            show(seq + 1)
        bundle = {
            "export_id": f"exp_{'0' * 32}",
            "node_did": SIGNER.did,
            "log": NAME,
            "first_seq": 0,
            "last_seq": events - 1,
            "count": events,
            "chain_root_hash": f"sha256:{hashes[0]}",
            "chain_tip_hash": f"sha256:{hashes[-1]}",
            "generated_at": instant(OPENED + timedelta(days=365)),
            "keys": [{"kid": SIGNER.kid}],
            "kid": SIGNER.kid,
            "checkpoint": checkpoint.sign(Checkpoint(f"{ORIGIN}/{NAME}", events, frontier.root()), SIGNER),
            "inclusion_proof": proof_of(hashes, events - 1),
        }
        out.write(b"\n]," + json.dumps(sealed(bundle, SIGNER)).encode()[1:])


def _event(seq: int, last: bytes) -> tuple[bytes, bytes]:
    """The text of an event without its signature and its end, and its hash."""
    chosen = sha256(b"%d" % seq).digest()
    body = body_bytes(BODY, chosen[:16])
    header = {
        "node": SIGNER.did,
        "kid": SIGNER.kid,
        "log": NAME,
        "seq": seq,
        "id": str(UUID(bytes=chosen[16:], version=4)),
        "type": EVENT["type"],
        "timestamp": instant(OPENED + timedelta(seconds=seq)),
    }
    body_hash = sha256(body).digest()
    hash_ = leaf_hash(header_bytes(**header, prev_hash=last, body_hash=body_hash))
    context = json.loads(body)
    shown = {
        **header,
        "event_id": header["id"],
        "id": f"evt_{hash_.hex()}",
        "prev_hash": f"sha256:{last.hex()}",
        "body_hash": f"sha256:{body_hash.hex()}",
        "hash": f"sha256:{hash_.hex()}",
        "payload": context.pop("data"),
        "context": context,
    }
    return msgspec.json.encode(shown)[:-1], hash_
