"""The files of the signing keys are found by kid, and change without a moment in which a key is missing."""

import shutil
import stat
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from app.ledger.keyring import Keyring
from app.ledger.signer import Signer


@pytest.fixture
def keys(tmp_path: Path) -> Keyring:
    """A keyring whose first key is in force."""
    Signer.create(tmp_path / "node.key")
    return Keyring(tmp_path / "node.key")


def _loaded(path: Path) -> Signer:
    found = Signer.load(path)
    assert found is not None
    return found


def _found(keys: Keyring, kid: str) -> bool:
    """Whether a process that has not read any file yet finds the key."""
    signer = Keyring(keys.path).signer(kid)
    return signer is not None and signer.kid == kid


def test_no_file_is_no_key(tmp_path: Path) -> None:
    assert Keyring(tmp_path / "node.key").signer(Signer(bytes(32)).kid) is None


def test_a_new_key_is_beside_and_only_its_owners(keys: Keyring) -> None:
    first = _loaded(keys.path)

    made = keys.make()

    assert _loaded(keys.path).kid == first.kid
    assert keys.beside(made.kid).name == f"node.key.{made.kid}"
    assert stat.S_IMODE(keys.beside(made.kid).stat().st_mode) == 0o600
    assert _found(keys, made.kid)
    assert _found(keys, first.kid)


def test_the_one_before_keeps_a_file(keys: Keyring) -> None:
    first, made = _loaded(keys.path), keys.make()

    for _ in range(2):  # the second call changes nothing
        keys.put_in_force(made.kid)

        assert _loaded(keys.path).kid == made.kid
        assert _loaded(keys.beside(first.kid)).kid == first.kid
        assert {path.name for path in keys.path.parent.iterdir()} == {"node.key", f"node.key.{first.kid}"}
        assert {stat.S_IMODE(path.stat().st_mode) for path in keys.path.parent.iterdir()} == {0o600}
    assert _found(keys, first.kid)
    assert _found(keys, made.kid)


def test_a_change_that_stopped_between_its_two_steps_is_finished(keys: Keyring) -> None:
    first, made = _loaded(keys.path), keys.make()
    shutil.copy(keys.path, keys.beside(first.kid))

    keys.put_in_force(made.kid)

    assert _loaded(keys.path).kid == made.kid
    assert _found(keys, first.kid)


def test_a_key_that_is_nowhere_is_not_put_in_force(keys: Keyring) -> None:
    first = _loaded(keys.path)

    with pytest.raises(FileNotFoundError):
        keys.put_in_force(Signer(bytes(32)).kid)

    assert _loaded(keys.path).kid == first.kid


def test_both_keys_are_found_while_several_processes_change_them(keys: Keyring) -> None:
    kids = [_loaded(keys.path).kid]
    done = threading.Event()
    missed: list[str] = []

    def look() -> int:
        looks = 0
        while not done.is_set():
            missed.extend(kid for kid in list(kids[-2:]) if not _found(keys, kid))
            looks += 1
        return looks

    with ThreadPoolExecutor(4) as pool:
        looking = [pool.submit(look) for _ in range(2)]
        for _ in range(60):
            kids.append(keys.make().kid)
            changing = [pool.submit(Keyring(keys.path).put_in_force, kids[-1]) for _ in range(2)]
            assert [change.result() for change in changing] == [None, None]
        done.set()
        assert min(looker.result() for looker in looking) > 0

    assert missed == []
    assert _loaded(keys.path).kid == kids[-1]
    assert all(_found(keys, kid) for kid in kids)
