"""How much a page that calls a server has to load."""

import gzip
from pathlib import Path

import pytest

from tests.browser.bundle import bundle

MAX_BYTES = 12_000


@pytest.mark.usefixtures("chromium")
def test_a_page_with_a_query_a_mutation_and_a_stream_loads_little(tmp_path: Path) -> None:
    bundle("calls", tmp_path)

    scripts = [path for path in tmp_path.glob("*.js") if not path.name.startswith("ws-")]
    size = sum(len(gzip.compress(path.read_bytes(), compresslevel=9, mtime=0)) for path in scripts)
    print(f"{size} bytes, gzip")  # noqa: T201 # for whoever runs this
    assert (tmp_path / "calls.js") in scripts
    assert size <= MAX_BYTES
