"""The tiles of logs follow the specification (C2SP tlog-tiles), and an independent library reads them."""

import gzip
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from app.ledger import checkpoint
from app.ledger.chain import NODE_LOG, leaf_hash
from app.ledger.merkle import Frontier
from app.ledger.tiles import Tile, bundle, parse, spelled
from app.store.install.install import connect
from app.store.install.workspaces import create_workspace
from tests.kit import web
from tests.kit.paths import ROOT
from tests.kit.servers import Server, cloned, serving
from tests.procedures.conftest import Keyed, answered

READER = ROOT / "tests" / "strangers" / "read_tiles.py"

FULL = 256
COUNT = 2 * FULL + 88
"""The number of events of the public log, whose tree has two full tiles and a partial one."""

PUBLIC, GROWING, PRIVATE = "default", "growing", "private"


@pytest.fixture(scope="module")
def keyed(postgres_url: str, template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Keyed]:
    """A server with a public log, in which one event is erased, and a private log."""
    with (
        cloned(postgres_url, template, "test_tiles") as url,
        serving(tmp_path_factory.mktemp("tiles"), database_url=url, public_logs=f"{PUBLIC}, {GROWING}") as server,
    ):
        with connect(url) as connection:
            for slug in (GROWING, PRIVATE):
                assert create_workspace(connection, slug)
        first, *_ = log(server, PUBLIC, COUNT - 1)
        answered(server.mutate("events.erase", {"ids": [first]}))  # this logs an event too
        log(server, PRIVATE, FULL)
        yield Keyed(server, url)


def log(server: Server, workspace: str, count: int) -> list[str]:
    """Log so many events, and return their ids."""
    events = [{"type": "tile.made", "data": {"place": place}} for place in range(count)]
    logged = answered(server.mutate("events.logBatch", {"events": events}, **{"x-workspace-id": workspace}))
    return [event["id"] for event in logged]


def read(server: Server, path: str, log: str = PUBLIC, **headers: str) -> httpx.Response:
    """Request a file of a log without a key."""
    return web.get(f"{server.url}/tiles/{log}/{path}", headers=headers, timeout=30)


def tile(server: Server, tile: Tile) -> bytes:
    """The content of a tile of the public log."""
    answer = read(server, f"tile/{spelled(tile)}")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/octet-stream"
    return answer.content


def hashes(content: bytes) -> list[bytes]:
    """The hashes of a tile."""
    return [content[at : at + 32] for at in range(0, len(content), 32)]


def root_of(leaves: list[bytes]) -> bytes:
    """The root of a tree, computed leaf by leaf."""
    tree = Frontier()
    for leaf in leaves:
        tree.push(leaf)
    return tree.root()


LEAVES = [Tile(0, 0), Tile(0, 1), Tile(0, 2, COUNT % FULL)]
ENTRIES = [Tile(None, each.index, each.width) for each in LEAVES]


def test_the_tiles_of_a_log_add_up_to_its_signed_checkpoint(keyed: Keyed) -> None:
    answer = read(keyed.server, "checkpoint")
    leaves = [hash_ for each in LEAVES for hash_ in hashes(tile(keyed.server, each))]
    above = hashes(tile(keyed.server, Tile(1, 0, 2)))

    note = checkpoint.parse(answer.text)
    kid = answered(keyed.server.query("ledger.node"))["kid"]
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.headers["cache-control"] == "no-store"
    assert checkpoint.is_signed_by(note, kid)
    assert (note.checkpoint.size, note.checkpoint.root) == (COUNT, root_of(leaves))
    assert above == [root_of(leaves[:FULL]), root_of(leaves[FULL : 2 * FULL])]


def test_each_entry_hashes_to_its_leaf_though_one_is_erased(keyed: Keyed) -> None:
    for leaves, entries in zip(LEAVES, ENTRIES, strict=True):
        content, headers = tile(keyed.server, entries), []
        while content:
            length = int.from_bytes(content[:2], "big")
            headers.append(content[2 : 2 + length])
            content = content[2 + length :]

        assert [leaf_hash(header) for header in headers] == hashes(tile(keyed.server, leaves))
        assert [json.loads(header)["seq"] for header in headers] == list(
            range(entries.range.first, entries.range.last + 1)
        )


@pytest.mark.parametrize("width", [1, 87, 255])
def test_a_partial_tile_is_the_beginning_of_the_full_one(keyed: Keyed, width: int) -> None:
    assert tile(keyed.server, Tile(0, 1, width)) == tile(keyed.server, Tile(0, 1))[: 32 * width]


@pytest.mark.parametrize(
    ("path", "log", "kept"),
    [
        pytest.param("tile/0/000", PUBLIC, "public, max-age=31536000, immutable", id="full"),
        pytest.param("tile/entries/001", PUBLIC, "public, max-age=31536000, immutable", id="full entries"),
        pytest.param("tile/0/002.p/88", PUBLIC, "no-store", id="partial"),
        pytest.param("tile/1/000.p/2", PUBLIC, "no-store", id="partial of level 1"),
        pytest.param("tile/0/000", PRIVATE, "private, max-age=31536000, immutable", id="full of a private log"),
    ],
)
def test_full_tiles_are_kept_for_good(keyed: Keyed, path: str, log: str, kept: str) -> None:
    answer = read(keyed.server, path, log, **keyed.server.headers)

    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == kept


@pytest.mark.parametrize(
    ("coding", "sent"), [("gzip", "gzip"), ("br, gzip;q=0.5", "gzip"), ("gzip;q=0", None), ("identity", None)]
)
def test_entries_are_compressed_for_who_accepts_it(keyed: Keyed, coding: str, sent: str | None) -> None:
    with web.stream(
        "GET", f"{keyed.server.url}/tiles/{PUBLIC}/tile/entries/000", headers={"accept-encoding": coding}
    ) as answer:
        content = b"".join(answer.iter_raw())

    assert answer.headers.get("content-encoding") == sent
    assert answer.headers["vary"].lower() == "accept-encoding"
    assert (gzip.decompress(content) if sent else content) == tile(keyed.server, ENTRIES[0])


@pytest.mark.parametrize(
    ("path", "log", "scopes", "status"),
    [
        pytest.param("checkpoint", PRIVATE, None, 401, id="no key"),
        pytest.param("tile/0/000", PRIVATE, None, 401, id="no key, a tile"),
        pytest.param("checkpoint", PRIVATE, ["events:read"], 403, id="another scope"),
        pytest.param("checkpoint", "elsewhere", ["ledger:read"], 403, id="another workspace"),
        pytest.param("checkpoint", NODE_LOG, ["ledger:read"], 403, id="the log of the node"),
        pytest.param("tile/entries/000", PRIVATE, ["ledger:read", "events:read-own"], 403, id="others' headers"),
        pytest.param("tile/0/000", PRIVATE, ["ledger:read", "events:read-own"], 200, id="hashes only"),
        pytest.param("tile/0/000", PRIVATE, ["ledger:read"], 200, id="the scope"),
        pytest.param("tile/entries/000", PRIVATE, ["ledger:read"], 200, id="the scope, entries"),
        pytest.param("tile/0/001", PRIVATE, ["ledger:read"], 404, id="beyond the end"),
        pytest.param("tile/0/001.p/1", PRIVATE, ["ledger:read"], 404, id="one beyond the end"),
        pytest.param("tile/63/000.p/1", PRIVATE, ["ledger:read"], 404, id="a level beyond the tree"),
        pytest.param("tile/1/000", PRIVATE, ["ledger:read"], 404, id="a full tile of level 1"),
        pytest.param("tile/0/0", PRIVATE, ["ledger:read"], 404, id="another spelling"),
        pytest.param("tile/0/000.p/256", PRIVATE, ["ledger:read"], 404, id="a partial tile that is full"),
        pytest.param("tile/0/../checkpoint", PRIVATE, ["ledger:read"], 404, id="a way up"),
    ],
)
def test_who_may_read_what(keyed: Keyed, path: str, log: str, scopes: list[str] | None, status: int) -> None:
    headers = {} if scopes is None else keyed.key(*scopes, workspaces=(PRIVATE,))[1].headers

    assert read(keyed.server, path, log, **headers).status_code == status


def test_the_log_of_the_node_needs_a_key_for_everything(keyed: Keyed) -> None:
    assert read(keyed.server, "checkpoint", NODE_LOG, **keyed.server.headers).status_code == 200


def test_an_index_is_spelled_as_the_specification_shows() -> None:
    assert spelled(Tile(0, 1234067)) == "0/x001/x234/067"
    assert spelled(Tile(None, 5, 7)) == "entries/005.p/7"


NO_TILES = ["", "0", "0/", "00/000", "64/000", "-1/000", "0/x000/001", "0/001/000", "0/x001", "checkpoint", "/0/000"]
NO_TILES += ["0/000.p/", "0/000.p/0", "0/000.p/01", "0/000/", "0/000\n", "entries/000.p/300", "0/\u0660\u0660\u0660"]


@pytest.mark.parametrize("path", NO_TILES)
def test_no_other_path_is_a_tile(path: str) -> None:
    assert parse(path) is None


def test_an_entry_that_no_length_can_say_is_no_entry() -> None:
    with pytest.raises(OverflowError):
        bundle([b"x" * 2**16])


def test_a_strangers_library_reads_and_verifies_a_log(keyed: Keyed, strangers: Path) -> None:
    log(keyed.server, GROWING, COUNT)
    older = answered(keyed.server.query("ledger.checkpoint", **{"x-workspace-id": GROWING}))
    log(keyed.server, GROWING, 1)

    ran = subprocess.run(
        [strangers, READER, f"{keyed.server.url}/tiles/{GROWING}/", older["vkey"], "0", "300", str(COUNT)],
        input=older["note"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert ran.returncode == 0, ran.stderr
    found = json.loads(ran.stdout)
    assert found["sizes"] == [COUNT, COUNT + 1]
    assert 0 < found["most"] <= 40 * 1024
    assert [json.loads(entry)["seq"] for entry in found["entries"].values()] == [0, 300, COUNT]
