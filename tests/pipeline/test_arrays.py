"""Arrays of the plan: written one by one, read one by one, known by their content."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from restore.errors import PlanError
from restore.pipeline.arrays import Array, PlanArrays, save_arrays
from restore.pipeline.segments import digest


@settings(deadline=None)
@given(
    st.dictionaries(
        st.text("abc0123", min_size=1, max_size=4),
        arrays(np.int8, array_shapes(max_dims=3, max_side=5)),
        min_size=1, max_size=4,
    )
)  # fmt: skip
def test_what_was_saved_is_read(tmp_path_factory: pytest.TempPathFactory, values: dict[str, Array]) -> None:
    path = tmp_path_factory.mktemp("plan") / "shot.npz"
    assert save_arrays(path, values.items())
    read = pickle.loads(pickle.dumps(PlanArrays(path)))
    assert set(read) == set(values)
    assert all(np.array_equal(read[name], array) for name, array in values.items())
    with np.load(path) as stored:
        assert set(stored.files) == set(values), "numpy itself opens it"
    with pytest.raises(KeyError):
        read["nothing"]


def test_none_leave_no_file(tmp_path: Path) -> None:
    path = tmp_path / "shot.npz"
    save_arrays(path, [("a", np.zeros(3))])
    assert not save_arrays(path, [])
    assert list(tmp_path.iterdir()) == []


def test_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "shot.npz"
    save_arrays(path, [("a", np.zeros(3))])
    before = path.read_bytes()

    def stopped() -> Iterator[tuple[str, Array]]:
        yield "b", np.ones(3)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        save_arrays(path, stopped())
    assert path.read_bytes() == before


def test_content_makes_the_key(tmp_path: Path) -> None:
    keys = []
    for number, values in enumerate(([("a", np.zeros(9))], [("a", np.zeros(9))], [("a", np.arange(9.0))])):
        save_arrays(tmp_path / f"{number}.npz", values)
        keys.append(digest({"arrays": PlanArrays(tmp_path / f"{number}.npz")}))
    assert keys[0] == keys[1] != keys[2]


def test_damage_is_named(tmp_path: Path) -> None:
    path = tmp_path / "shot.npz"
    save_arrays(path, [("a", np.arange(1000))])
    data = bytearray(path.read_bytes())
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(PlanError, match=r"shot\.npz.*delete it"):
        PlanArrays(path)
    data[60:80] = bytes(20)
    path.write_bytes(data)
    with pytest.raises(PlanError, match=r"shot\.npz.*delete it"):
        PlanArrays(path)["a"]


def test_no_pickles(tmp_path: Path) -> None:
    path = tmp_path / "shot.npz"
    np.savez(path, a=np.array([{}], dtype=object))
    with pytest.raises(PlanError):
        PlanArrays(path)["a"]
