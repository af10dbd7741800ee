"""An independent client (aics-witness) is cosigned by us, whatever is killed meanwhile."""

import os
import signal
import subprocess
from contextlib import ExitStack
from pathlib import Path

from app.ledger.checkpoint import is_signed_by, parse_foreign
from app.ledger.cosignature import cosigned_at
from app.ledger.signer import Signer
from app.ledger.vkeys import VerifierKey, of_kid
from benchmarks.process import free_port
from tests.kit.paths import ROOT
from tests.kit.servers import cloned
from tests.kit.witness import GrowingLog, StrangeLog, make_witness, witnessing

CHECKPOINTS = int(os.environ.get("WITNESS_CHECKPOINTS", "6"))
KILLS = max(2, CHECKPOINTS // 50)
"""The client and the witness are killed in turns."""

CLIENT = ROOT / "tests" / "strangers" / "ask_witness.py"
ORIGIN = "log.example/stranger"
SEEDS = (bytes(32), b"\x01" * 32)
"""The keys of the log: after the first kill it signs with the second."""


class Client(GrowingLog):
    """The independent client, which goes on after it was killed."""

    def __init__(self, python: Path, url: str, key: VerifierKey, folder: Path) -> None:
        self._command = [python, CLIENT, url, key.spelled(), folder / "state.json"]
        super().__init__(folder / "cosigned")
        self.process = self.start(SEEDS[0])

    def start(self, seed: bytes) -> "subprocess.Popen[bytes]":
        """Start it where it stopped."""
        with self.output.open("ab") as output:
            arguments = [*map(str, self._command), seed.hex(), str(self.size + 1)]
            self.process = subprocess.Popen(arguments, stdout=output, stderr=subprocess.STDOUT)
        return self.process

    @property
    def size(self) -> int:
        """The last size that it says is cosigned."""
        lines = self.output.read_text().splitlines() if self.output.exists() else []
        assert all(line.isdigit() for line in lines), lines
        return int(lines[-1]) if lines else 0


def test_an_independent_client_is_cosigned(strangers: Path, postgres_url: str, template: str, tmp_path: Path) -> None:
    keys = [of_kid(ORIGIN, Signer(seed).kid).spelled() for seed in SEEDS]
    (tmp_path / "logs").write_text("".join(f"log {key}\n" for key in keys) + "quorum none\n")
    fork = StrangeLog(ORIGIN, Signer(SEEDS[0]), history="another ")
    data_dir, port = tmp_path / "witness", free_port()
    with cloned(postgres_url, template, "test_strange_witness") as url, ExitStack() as running:
        key = make_witness(data_dir, "witness.example/w", database_url=url)
        witness = running.enter_context(witnessing(data_dir, key, tmp_path / "logs", port=port, database_url=url))
        client = Client(strangers, witness.url, key, tmp_path)
        for kill in range(KILLS):
            client.grow(CHECKPOINTS * (kill + 1) // (KILLS + 1))
            if kill % 2:
                os.killpg(witness.process.pid, signal.SIGKILL)
                witness.process.wait(timeout=60)
                witness = running.enter_context(
                    witnessing(data_dir, key, tmp_path / "logs", port=port, database_url=url)
                )
            else:
                client.process.kill()
                client.process.wait(timeout=60)
                client.start(SEEDS[1])
        client.grow(CHECKPOINTS)
        client.stop()

        note = parse_foreign(witness.checkpoint(ORIGIN).text)
        refused = witness.add(fork.request(client.size, client.size))

    assert note.checkpoint.size == client.size >= CHECKPOINTS
    assert is_signed_by(note, Signer(SEEDS[1]).kid)
    assert cosigned_at(note, key) is not None
    assert refused.status_code == 422
