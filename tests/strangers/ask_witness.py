"""Has a log of its own cosigned by an independent client: `ask_witness.py URL VKEY STATE SEED FIRST`.

It submits a checkpoint of each size from FIRST on, and prints each size once it is cosigned. After SIGTERM it ends with
the next one. The leaves of the log are numbers. It runs in its own environment, and imports none of our code.
"""

import signal
import sys
from itertools import count
from threading import Event

from aics_tlog import Checkpoint, MerkleTree, sign_checkpoint
from aics_witness import WitnessClient
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

url, vkey, state, seed, first = sys.argv[1:]
ORIGIN = "log.example/stranger"
stopping = Event()
signal.signal(signal.SIGTERM, lambda *_: stopping.set())
key = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(seed))
tree = MerkleTree(b"%d" % place for place in range(int(first) - 1))
with WitnessClient(url, vkey, state_path=state, max_attempts=200, backoff=0.1, max_backoff=0.5) as client:
    for size in count(int(first)):
        tree.append(b"%d" % (size - 1))
        note = sign_checkpoint(Checkpoint(ORIGIN, size, tree.root()), key, ORIGIN)
        assert client.submit(note.to_bytes(), tree.consistency_proof)
        sys.stdout.write(f"{size}\n")
        sys.stdout.flush()
        if stopping.is_set():
            break
