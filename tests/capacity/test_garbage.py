"""Garbage is collected again after modules were loaded without it."""

import gc
from collections.abc import Iterator

import pytest

from app.capacity.garbage import collecting_nothing


@pytest.fixture(autouse=True)
def _thawed() -> Iterator[None]:
    yield
    gc.unfreeze()


def test_nothing_is_collected_while_modules_load() -> None:
    with collecting_nothing():
        is_collecting = gc.isenabled()

    assert not is_collecting
    assert gc.isenabled()


def test_garbage_is_collected_again_if_a_module_does_not_load() -> None:
    with pytest.raises(ImportError), collecting_nothing():
        raise ImportError

    assert gc.isenabled()
