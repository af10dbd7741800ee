"""Fixtures: a certificate authority, and both event loops."""

import asyncio
import os
import shutil
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
import uvloop

from tests.delivery.peers import Authority

Run = Callable[[Coroutine[Any, Any, Any]], Any]

LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {
    "asyncio": asyncio.new_event_loop,
    "uvloop": uvloop.new_event_loop,
}


@pytest.fixture(params=list(LOOPS))
def run(request: pytest.FixtureRequest) -> Run:
    """Run a coroutine, once in Python's own event loop and once in the server's."""

    def running(story: Coroutine[Any, Any, Any]) -> Any:
        with asyncio.Runner(loop_factory=LOOPS[request.param]) as runner:
            return runner.run(story)

    return running


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """A certificate authority for this run. Without openssl the tests are skipped; in CI they fail."""
    if shutil.which("openssl") is None:
        reason = "openssl not found: no certificates can be made"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return Authority(tmp_path_factory.mktemp("authority"))
