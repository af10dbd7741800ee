"""Logs of strangers that ask a witness for cosignatures, and `synap witness serve` as a process of its own."""

import os
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from hashlib import sha256
from pathlib import Path

import httpx
from msgspec import Struct

from app.ledger import vkeys
from app.ledger.checkpoint import Checkpoint, sign
from app.ledger.merkle import Frontier, consistency_proof
from app.ledger.notes import to_base64
from app.ledger.signer import Signer
from app.ledger.vkeys import VerifierKey, of_kid
from benchmarks.process import free_port
from tests.kit import web
from tests.kit.command import Process, start, synap
from tests.kit.servers import environment, until


class GrowingLog(ABC):
    """A process that has a log cosigned, one size after the other, until it gets SIGTERM."""

    process: "subprocess.Popen[bytes]"

    def __init__(self, output: Path) -> None:
        """The process prints each size that is cosigned into the file `output`."""
        self.output = output

    @property
    @abstractmethod
    def size(self) -> int:
        """The last size that it says is cosigned."""

    def grow(self, size: int) -> None:
        """Wait until this size is cosigned, and at least one size more than now."""
        until(partial(self._reached, max(size, self.size + 1)), seconds=600)

    def stop(self) -> None:
        """End it after the size that it works on now."""
        self.process.terminate()
        assert self.process.wait(timeout=600) == 0, self.output.read_text()

    def _reached(self, size: int) -> bool:
        assert self.process.poll() is None, self.output.read_text()
        return self.size >= size


class StrangeLog:
    """A log with a key of its own. Its leaves are the hashes of its name and of numbers."""

    def __init__(self, origin: str, signer: Signer, history: str = "") -> None:
        """Logs of one origin with another `history` have other leaves."""
        self.origin = origin
        self.signer = signer
        self._history = history

    @property
    def vkey(self) -> str:
        """The key for policies."""
        return of_kid(self.origin, self.signer.kid).spelled()

    def leaf(self, place: int) -> bytes:
        """One of its leaves."""
        return sha256(f"{self._history}{self.origin} {place}".encode()).digest()

    def root(self, size: int) -> bytes:
        """The root of its first leaves."""
        tree = Frontier()
        for place in range(size):
            tree.push(self.leaf(place))
        return tree.root()

    def note(self, size: int) -> str:
        """Its checkpoint of this size."""
        return sign(Checkpoint(self.origin, size, self.root(size)), self.signer)

    def proof(self, old: int, new: int) -> list[bytes]:
        """The proof that its tree of `new` leaves extends that of `old`."""
        return consistency_proof(old, new, self._node)

    def request(self, old: int, new: int) -> bytes:
        """The body with which it asks for a cosignature."""
        return asked(old, self.proof(old, new), self.note(new))

    def _node(self, height: int, place: int) -> bytes:
        tree = Frontier()
        for leaf in range(place << height, (place + 1) << height):
            tree.push(self.leaf(leaf))
        return tree.root()


def asked(old: int | str, proof: Sequence[bytes], note: str) -> bytes:
    """The body of a request for a cosignature."""
    hashes = "".join(f"{to_base64(each)}\n" for each in proof)
    return f"old {old}\n{hashes}\n{note}".encode()


class WitnessServer(Struct, frozen=True):
    """A running witness."""

    url: str
    key: VerifierKey
    process: Process
    log: Path

    def add(self, body: bytes, **headers: str) -> httpx.Response:
        """Ask for a cosignature."""
        return web.post(f"{self.url}/add-checkpoint", content=body, headers=headers, timeout=60)

    def checkpoint(self, origin: str) -> httpx.Response:
        """Read what was last cosigned of a log."""
        return web.get(f"{self.url}/{sha256(origin.encode()).hexdigest()}/checkpoint", timeout=60)

    def is_ready(self) -> bool:
        """Whether it is ready to serve."""
        assert self.process.poll() is None, self.log.read_text()
        try:
            return web.get(f"{self.url}/readyz", timeout=10).status_code == 200
        except httpx.HTTPError:
            return False


def make_witness(data_dir: Path, name: str, **settings: object) -> VerifierKey:
    """Run `synap witness init`. Returns the key that it prints."""
    data_dir.mkdir(exist_ok=True, parents=True)
    made = synap("witness", "init", name, env=environment(data_dir, **settings), cwd=data_dir)
    assert made.returncode == 0, made.stderr
    return vkeys.parse(made.stdout.strip())


@contextmanager
def witnessing(
    data_dir: Path, key: VerifierKey, logs: Path, *options: object, port: int = 0, **settings: object
) -> Iterator[WitnessServer]:
    """Run `synap witness serve` with these options and settings, until the end of the block."""
    port = port or free_port()
    log = data_dir / "witness.log"
    arguments = ("witness", "serve", "--logs", logs, "--port", port, *options)
    with log.open("ab") as output, Path(os.devnull).open("rb") as nothing:
        variables = environment(data_dir, **settings)
        process = start(*arguments, env=variables, files=(nothing, output, output), cwd=data_dir, new_session=True)
    server = WitnessServer(f"http://127.0.0.1:{port}", key, process, log)
    try:
        until(server.is_ready, seconds=120)
        yield server
    finally:
        process.terminate()
        process.wait(timeout=90)


def listed(*logs: StrangeLog) -> str:
    """A policy that names these logs."""
    return "".join(f"log {log.vkey}\n" for log in logs) + "quorum none\n"
