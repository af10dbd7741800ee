"""Files that are replaced while other processes read them."""

import stat
from pathlib import Path

import pytest

from app.files import replace_file


@pytest.mark.parametrize("durable", [True, False])
def test_a_file_is_replaced_whole_and_only_its_user_reads_it(tmp_path: Path, durable: bool) -> None:  # noqa: FBT001
    path = tmp_path / "0.json"
    path.write_text("before")
    path.chmod(0o644)

    replace_file(path, b"after", durable=durable)

    assert path.read_text() == "after"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [tmp_path / "0.json"]


def test_a_link_in_the_place_of_a_file_is_replaced_and_not_followed(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("untouched")
    path = tmp_path / "0.json"
    path.symlink_to(victim)

    replace_file(path, b"after", durable=False)

    assert victim.read_text() == "untouched"
    assert not path.is_symlink()


def test_a_link_in_the_place_of_the_folder_is_rejected(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "metrics").symlink_to(tmp_path / "elsewhere")

    with pytest.raises(OSError, match="metrics"):
        replace_file(tmp_path / "metrics" / "0.json", b"after", durable=False)

    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_file_that_cannot_be_replaced_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "0.json").mkdir()

    with pytest.raises(IsADirectoryError):
        replace_file(tmp_path / "0.json", b"after", durable=False)

    assert list(tmp_path.iterdir()) == [tmp_path / "0.json"]
