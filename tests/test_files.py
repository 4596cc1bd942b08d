"""Files appear whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from restore.files import whole, write_text


def test_what_goes_wrong_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    write_text(path, "old\n")

    def fail() -> None:
        with whole(path) as file:
            file.write(b"half of the new")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert path.read_bytes() == b"old\n"
    with whole(path) as file:
        file.write(b"new")
        assert path.read_bytes() == b"old\n"
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


def test_names_that_are_no_unicode_can_be_written(tmp_path: Path) -> None:
    write_text(tmp_path / "a", "r\udce9el", errors="surrogateescape")
    assert (tmp_path / "a").read_bytes() == b"r\xe9el"
    with pytest.raises(UnicodeEncodeError):
        write_text(tmp_path / "b", "r\udce9el")
    assert not (tmp_path / "b").exists()
