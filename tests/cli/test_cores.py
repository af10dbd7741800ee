"""Runs a function on all cores: the results come in order, whatever happens to the processes."""

import os
import signal
from contextlib import closing
from typing import Any

import psutil
import pytest

from app.cli.cores import CoreError, on_all_cores


def _square(number: int) -> int:
    return number * number


def _end_at_three(number: int) -> int:
    if number == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def _large(number: int) -> bytes:
    return bytes([number]) * 2**20


def test_results_come_in_the_order_of_the_items() -> None:
    assert list(on_all_cores(_square, range(50))) == [number * number for number in range(50)]


def test_large_items_and_results_pass() -> None:
    assert [result[0] for result in on_all_cores(_large, iter(range(8)))] == list(range(8))


def test_no_items_have_no_results() -> None:
    assert list(on_all_cores(_square, [])) == []


def test_a_process_that_ends_is_one_sentence() -> None:
    with pytest.raises(CoreError, match=r"^A process [^\n]*\.$"):
        list(on_all_cores(_end_at_three, range(10)))


def test_processes_end_with_the_one_that_reads_the_results() -> None:
    before = _children()
    results: Any = on_all_cores(_square, range(100))

    with closing(results):
        assert next(results) == 0
        assert _children() > before

    assert _children() <= before


def _children() -> set[int]:
    """Our child processes, without Python's resource tracker, which stays."""
    children = psutil.Process().children(recursive=True)
    return {child.pid for child in children if "resource_tracker" not in " ".join(child.cmdline())}
