"""An independent witness (`aics-witness serve`) cosigns `_node`, whatever is killed meanwhile."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from hashlib import sha256
from pathlib import Path

import httpx

from app.ledger import checkpoint
from app.ledger.chain import NODE_LOG
from app.ledger.policy import judge
from app.ledger.verify import verify_anchored
from app.store.install.install import connect
from app.store.install.rotation import rotate_key
from app.store.ledger.heads import Heads
from app.store.ledger.travelling import Travelling
from app.store.ledger.trees import Trees
from benchmarks.process import free_port
from tests.delivery.test_witnesses import Witnessed
from tests.kit import web
from tests.kit.paths import ROOT
from tests.kit.servers import until
from tests.kit.witness import GrowingLog
from tests.store.opened import Store, opened
from tests.store.travelling import HASH_AT

CHECKPOINTS = int(os.environ.get("WITNESS_CHECKPOINTS", "6"))
KILLS = max(2, CHECKPOINTS // 50)
"""The log and the witness are killed in turns. After the first two, the log changes its key."""


NAME = "witness.example/strange"


class StrangeWitness:
    """The witness of somebody else, with a folder of its own."""

    def __init__(self, python: Path, folder: Path) -> None:
        folder.mkdir()
        self.folder = folder
        self.port = free_port()
        self._program = str(python.with_name("aics-witness"))
        self._config = folder / "witness.json"
        made = [self._program, "init", "--name", NAME]
        ran = subprocess.run(made, cwd=folder, capture_output=True, text=True, timeout=60, check=True)
        self.vkey = ran.stdout.strip()

    def trust(self, *vkeys: str) -> None:
        """Let it accept the keys of one log, from its next start or SIGHUP on."""
        config = json.loads(self._config.read_text())
        config["logs"] = [{"origin": vkeys[0].partition("+")[0], "vkeys": vkeys}]
        self._config.write_text(json.dumps(config))

    def cosigned(self, origin: str) -> str:
        """The newest checkpoint of a log that it cosigned."""
        return web.get(
            f"http://127.0.0.1:{self.port}/{sha256(origin.encode()).hexdigest()}/checkpoint", timeout=60
        ).text

    @contextmanager
    def serving(self) -> Iterator["subprocess.Popen[bytes]"]:
        """Run it until the end of the block."""
        listen = f"127.0.0.1:{self.port}"
        with (self.folder / "log").open("ab") as log:
            command = [self._program, "serve", "--listen", listen]
            process = subprocess.Popen(command, cwd=self.folder, stdout=log, stderr=log)
        try:
            until(self.is_ready)
            yield process
        finally:
            process.kill()
            process.wait(timeout=60)

    def is_ready(self) -> bool:
        """Whether it answers."""
        try:
            return web.get(f"http://127.0.0.1:{self.port}/healthz", timeout=10).status_code == 200
        except httpx.HTTPError:
            return False


class Log(GrowingLog):
    """Our side, which goes on after it was killed."""

    def __init__(self, url: str, folder: Path) -> None:
        self._url, self._folder = url, folder
        super().__init__(folder / "cosigned")
        self.process = self.start()

    def start(self) -> "subprocess.Popen[bytes]":
        """Start it where it stopped."""
        arguments = [self._url, str(self._folder), str(self._folder / "policy")]
        with self.output.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.delivery.witnessed_log", *arguments],
                cwd=ROOT,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        return self.process

    @property
    def size(self) -> int:
        """The last size that was cosigned."""
        sizes = [line for line in self.output.read_text().splitlines() if line.isdigit()]
        return int(sizes[-1]) if sizes else 0

    def kill(self) -> None:
        """End it without notice."""
        self.process.kill()
        self.process.wait(timeout=60)


def test_an_independent_witness_cosigns_us(strangers: Path, database_url: str, tmp_path: Path) -> None:
    witness = StrangeWitness(strangers, tmp_path / "witness")
    quorum = f"witness strange {witness.vkey} http://127.0.0.1:{witness.port}\nquorum strange\n"
    policy_file = tmp_path / "policy"
    with opened(database_url, tmp_path) as store:
        keys = [store.run(store.ledger().current(NODE_LOG)).vkey]
    witness.trust(keys[0])
    policy_file.write_text(f"log {keys[0]}\n{quorum}")

    with ExitStack() as running:
        process = running.enter_context(witness.serving())
        log = Log(database_url, tmp_path)
        for kill in range(KILLS):
            log.grow(CHECKPOINTS * (kill + 1) // (KILLS + 1))
            if kill % 2:
                process.kill()
                process.wait(timeout=60)
                process = running.enter_context(witness.serving())
                continue
            log.kill()
            if len(keys) == 1:
                keys.append(_rotated(database_url, tmp_path))
                witness.trust(*keys)
                process.send_signal(signal.SIGHUP)  # it reads the keys of its logs again
                policy_file.write_text("".join(f"log {key}\n" for key in keys) + quorum)
            log.start()
        log.grow(CHECKPOINTS)
        log.stop()
        known = checkpoint.parse(witness.cosigned(keys[0].partition("+")[0])).checkpoint

    with opened(database_url, tmp_path) as store:
        witnessed = Witnessed.of(store, policy_file.read_text())
        served, proof = witnessed.served(), _proof(store, witnessed)
    assert judge(witnessed.policy, checkpoint.parse(served.note)).is_accepted
    assert served.size == known.size >= CHECKPOINTS
    verdict = verify_anchored(proof.encode(), witnessed.policy)
    assert verdict.broken is None
    assert [each.witness.name for each in verdict.cosigned or []] == ["strange"]


def _proof(store: Store, witnessed: Witnessed) -> str:
    """The proof that travels of the first event of a workspace."""
    trees = Trees(store.database)
    [(hash_,)] = store.run(store.database.rows(HASH_AT, {"workspace": store.workspace, "seq": 0}))
    found = store.run(witnessed.ledger.find(store.workspace, hash_))
    travelling = Travelling(trees, witnessed.ledger, Heads(store.database, trees))
    proof: str = store.run(travelling.proof(store.workspace, found))
    return proof


def _rotated(database_url: str, folder: Path) -> str:
    """Change the signing key. Returns the verifier key of the new one."""
    with opened(database_url, folder) as store, connect(database_url) as connection:
        rotate_key(connection, store.keys)
        key: str = store.run(store.ledger().current(NODE_LOG)).vkey
        return key
