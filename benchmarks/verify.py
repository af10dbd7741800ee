"""Verifying an export by the server's own code and by `clients/verify/verify.mjs`, compared with signatures only.

Each verifier reads a file from the disk and decodes it. The limit is how fast the same runtime verifies Ed25519
signatures if it does nothing else: PyNaCl on one core or on all, and node's WebCrypto with as many signatures at once
as the verifier. `synap verify` on all cores is timed from its start, on a larger file (`--events 1000000`). It needs
node.
"""

import argparse
import base64
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from statistics import median

import msgspec
import psutil
from nacl.bindings import crypto_sign_open

from app.cli.cores import cores
from app.ledger.canonical import canonical
from app.ledger.chain import Body, signed_text
from app.ledger.signer import public_key
from app.ledger.verify import verify_bundle
from benchmarks import long_log, machine
from benchmarks.contestants import EVENT
from benchmarks.errors import BenchmarkError
from tests.kit.bundles import Log, Record, write

ROOT = Path(__file__).parents[1]

WATCH_SECONDS = 0.2

BARE_NODE = """
import { readFileSync } from 'node:fs';
const decode = (parts) => parts.map((part) => Buffer.from(part, 'base64'));
const [key, ...signed] = JSON.parse(readFileSync(process.argv[2])).map(decode);
const ed25519 = { name: 'Ed25519' };
const imported = await crypto.subtle.importKey('raw', key[0], ed25519, false, ['verify']);
const verify = ([text, signature]) => crypto.subtle.verify(ed25519, imported, signature, text);
await Promise.all(signed.slice(0, 100).map(verify));
const began = performance.now();
for (let at = 0; at < signed.length; at += 100) {
  const right = await Promise.all(signed.slice(at, at + 100).map(verify));
  if (right.includes(false)) process.exit(1);
}
console.log((performance.now() - began) / 1000);
"""
"""A script that prints the seconds that node takes to verify the signatures in a file."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `verify`."""
    parser.add_argument("--events", type=int, default=100_000, help="in the export for all cores (%(default)s)")
    parser.add_argument("--sample", type=int, default=20_000, help="in the export for one core and node (%(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each, of which the median counts (%(default)s)")


def run(arguments: argparse.Namespace) -> None:
    """Measure and print one table. Raises BenchmarkError if the export does not verify."""
    node = machine.program("node")
    events, rounds = arguments.sample, arguments.rounds
    bundle = _bundle(events)
    with tempfile.TemporaryDirectory(prefix="bench-") as workspace:
        file, signatures, bare = (Path(workspace) / name for name in ("export.json", "signatures.json", "bare.mjs"))
        file.write_bytes(write(bundle))
        signed = _signed(bundle)
        signatures.write_bytes(msgspec.json.encode([[_key(bundle)], *signed]))
        bare.write_text(BARE_NODE)
        verifier = [node, str(ROOT / "clients" / "verify" / "verify.mjs"), str(file)]
        measured: dict[str, list[tuple[float, float]]] = {"Python, one core": [], "node": []}
        for _ in range(rounds):
            limit = _timed(lambda: _verify_bare(_key(bundle), signed))
            measured["Python, one core"].append((_timed(lambda: _verify_here(file)), limit))
            limit = float(_output([node, str(bare), str(signatures)]))
            measured["node"].append((_timed(lambda: _output(verifier)), limit))
        size = file.stat().st_size
        long = Path(workspace) / "long.json"
        long_log.write(long, arguments.events)
        whole = [_verify_long(long) for _ in range(rounds)]
    rows = {
        name: (events / median(took for took, _ in runs), events / median(limit for _, limit in runs))
        for name, runs in measured.items()
    }
    seconds = median(took for took, _ in whole)
    rows["Python, all cores"] = (arguments.events / seconds, rows["Python, one core"][1] * cores())
    print(f"{'':20}{'events/s':>12}{'signatures/s':>14}{'ratio':>8}")
    for name, (rate, limit) in rows.items():
        print(f"{name:20}{rate:12,.0f}{limit:14,.0f}{rate / limit:7.2f}x")
    print()
    print(
        f"{events:,} events, {size / events:,.0f} bytes each, median of {rounds}; a run of node counts from its start. "
        "Ratios are to the rate at which the same runtime verifies signatures alone."
    )
    print(
        f"On all cores: `synap verify` of {arguments.events:,} events in {seconds:.1f} s, a million in "
        f"{seconds * 1e6 / arguments.events:.0f} s; its processes held {max(held for _, held in whole) / 1e6:.0f} MB "
        "together at most."
    )
    print(", ".join(f"{name} {value}" for name, value in {**machine.facts(), "node": machine.node_version()}.items()))


def _bundle(events: int) -> Record:
    """The export of a log that repeats one client's event, each time with its own salt and id."""
    log = Log()
    data, metadata = (canonical(msgspec.json.encode(EVENT[name]), name).decode() for name in ("data", "metadata"))
    body = Body(user_id="u1", source="api", data=data, metadata=metadata)
    for _ in range(events):
        log.append(EVENT["type"], body=body)
    return log.bundle()


def _key(bundle: Record) -> bytes:
    key = public_key(bundle["kid"])
    if key is None:
        raise BenchmarkError(f"{bundle['kid']} names no key.")
    return key


def _signed(bundle: Record) -> list[tuple[bytes, bytes]]:
    """The text and the signature of each event."""
    return [
        (signed_text(bytes.fromhex(event["hash"].removeprefix("sha256:"))), base64.b64decode(event["signature"]))
        for event in bundle["events"]
    ]


def _verify_bare(key: bytes, signed: list[tuple[bytes, bytes]]) -> None:
    for text, signature in signed:
        crypto_sign_open(signature + text, key)


def _verify_here(file: Path) -> None:
    verdict = verify_bundle(file.read_bytes())
    if verdict.broken:
        raise BenchmarkError(f"The export does not verify: {verdict.broken}.")


def _verify_long(file: Path) -> tuple[float, int]:
    """Verify a file with the command. Returns the seconds, and the maximum memory of its processes in bytes."""
    began, held, ended = time.perf_counter(), [0], threading.Event()
    command = [str(Path(sys.executable).with_name("synap")), "verify", str(file)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        watching = threading.Thread(target=_watch, args=(psutil.Process(process.pid), held, ended))
        watching.start()
        said, _ = process.communicate()
        took = time.perf_counter() - began
        ended.set()
        watching.join()
    if process.returncode:
        raise BenchmarkError(f"The export does not verify: {said}.")
    return took, held[0]


def _watch(command: psutil.Process, held: list[int], ended: threading.Event) -> None:
    """Record the maximum memory of the command and its processes."""
    while not ended.wait(WATCH_SECONDS):
        with suppress(psutil.Error):
            processes = [command, *command.children(recursive=True)]
            held[0] = max(held[0], sum(process.memory_info().rss for process in processes))


def _output(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BenchmarkError(f"{command[1]} ended with {done.returncode}: {done.stdout}{done.stderr}")
    return done.stdout


def _timed(work: Callable[[], object]) -> float:
    """The seconds that some work takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began
