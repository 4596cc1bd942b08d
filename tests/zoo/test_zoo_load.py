from __future__ import annotations

import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from safetensors.torch import save_file
from torch import Tensor

from restore import zoo
from restore.errors import WeightsError
from restore.zoo.tensor_hash import half_sha256, tensor_sha256

MakeState = Callable[[int], dict[str, Tensor]]

arrays = hnp.arrays(
    st.sampled_from([np.float32, np.float16, np.int64, np.bool_]), hnp.array_shapes(min_dims=0, max_dims=3, max_side=3)
)
states = st.dictionaries(st.text("ab.é", min_size=1, max_size=4), arrays.map(torch.from_numpy), min_size=1, max_size=4)


@given(states, st.randoms())
@settings(max_examples=50, deadline=None)
def test_the_tensor_hash_ignores_order_and_layout(state: dict[str, Tensor], random: Any) -> None:
    names = list(state)
    random.shuffle(names)
    relaid = {name: state[name].mT.contiguous().mT if state[name].ndim > 1 else state[name].clone() for name in names}
    assert tensor_sha256(relaid) == tensor_sha256(state)


@given(states, st.data())
@settings(max_examples=50, deadline=None)
def test_the_tensor_hash_sees_every_number_name_and_shape(state: dict[str, Tensor], data: Any) -> None:
    before = tensor_sha256(state)
    name = data.draw(st.sampled_from(sorted(state)))
    tensor = state[name]
    assert tensor_sha256({**state, name: tensor[None]}) != before
    assert tensor_sha256({(k + "x" if k == name else k): v for k, v in state.items()}) != before
    flipped = tensor.clone().reshape(-1)
    index = data.draw(st.integers(0, flipped.numel() - 1))
    bits = flipped.view(torch.uint8).reshape(flipped.numel(), -1)
    bits[index, 0] ^= 1
    if not (tensor.is_floating_point() and bool(tensor.isnan().any())):
        assert tensor_sha256({**state, name: flipped.reshape(tensor.shape)}) != before


def test_the_tensor_hash_is_the_documented_one() -> None:
    import hashlib

    state = {"b": torch.tensor([[1.0, 2.0]]), "a": torch.tensor(3)}
    text = b"a\0int64\0\0" + (3).to_bytes(8, "little") + b"b\0float32\0001,2\0"
    text += np.array([1, 2], "<f4").tobytes()
    assert tensor_sha256(state) == hashlib.sha256(text).hexdigest()


def test_half_precision_copies_hash_alike_however_stored(tiny_state: MakeState) -> None:
    state = tiny_state(0)
    stored_half = {name: tensor.half() for name, tensor in state.items()}
    stored_single = {name: tensor.half().float() for name, tensor in state.items()}
    assert tensor_sha256(stored_half) == tensor_sha256(stored_single) == half_sha256(state) == half_sha256(stored_half)
    assert tensor_sha256(state) != half_sha256(state)


@pytest.mark.parametrize("wrap", [{}, {"params": 0}, {"params_ema": 0, "params": 1}, {"state_dict": 0, "epoch": 7}])
def test_state_dicts_are_found_in_any_wrapping(wrap: dict[str, int], tiny_state: MakeState, tmp_path: Path) -> None:
    state = tiny_state(0)
    decoy = {name: tensor + 1 for name, tensor in state.items()}
    prefixed = {f"module.{name}": tensor for name, tensor in state.items()}
    content = {key: {0: prefixed, 1: decoy}.get(value, value) for key, value in wrap.items()} or prefixed
    torch.save(content, tmp_path / "wrapped.pth")
    assert tensor_sha256(zoo.load_state_dict(tmp_path / "wrapped.pth")) == tensor_sha256(state)


def test_old_pickles_and_safetensors_are_read(tiny_state: MakeState, tmp_path: Path) -> None:
    state = tiny_state(0)
    torch.save(state, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    save_file(state, tmp_path / "new.safetensors")
    for name in ("old.pth", "new.safetensors"):
        assert tensor_sha256(zoo.load_state_dict(tmp_path / name)) == tensor_sha256(state)


class Bomb:
    """Unpickling this would create the file `path`."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (open, (str(self.path), "w"))


@pytest.mark.parametrize("zipped", [True, False])
def test_code_in_a_checkpoint_is_never_run(zipped: bool, tmp_path: Path) -> None:
    torch.save(
        {"w": torch.ones(1), "x": Bomb(tmp_path / "ran")}, tmp_path / "a.pth", _use_new_zipfile_serialization=zipped
    )
    (tmp_path / "b.pth").write_bytes(pickle.dumps(Bomb(tmp_path / "ran")))
    for name in ("a.pth", "b.pth"):
        with pytest.raises(WeightsError) as caught:
            zoo.load_state_dict(tmp_path / name)
        assert "\n" not in str(caught.value)
    with pytest.raises(WeightsError, match="could run code"):
        zoo.load_state_dict(tmp_path / "a.pth")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
@pytest.mark.parametrize("part", [0, 0.01, 0.5, 0.99])
def test_a_truncated_file_is_one_clear_line(suffix: str, part: float, tiny_state: MakeState, tmp_path: Path) -> None:
    path = tmp_path / f"cut{suffix}"
    if suffix == ".pth":
        torch.save(tiny_state(0), path)
    else:
        save_file(tiny_state(0), path)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * part)])
    with pytest.raises(WeightsError) as caught:
        zoo.load_network(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("suffix", [".pth", ".safetensors", ".txt"])
def test_a_text_file_is_not_weights(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"letter{suffix}"
    path.write_text("Dear archivist, " * 100)
    with pytest.raises(WeightsError, match="letter"):
        zoo.load_network(path)


def test_things_that_are_no_weights(tmp_path: Path) -> None:
    torch.save([torch.ones(2)], tmp_path / "list.pth")
    torch.save({"epoch": 3}, tmp_path / "numbers.pth")
    torch.save({"w": torch.tensor([1.0, float("nan")])}, tmp_path / "nan.pth")
    torch.save({"w": torch.zeros(1).expand(1 << 34)}, tmp_path / "vast.pth")
    with zipfile.ZipFile(tmp_path / "script.pt", "w") as archive:
        archive.writestr("script/constants.pkl", b"")
    for name, words in {
        "list.pth": "named weights",
        "numbers.pth": "no tensors",
        "nan.pth": "undefined",
        "vast.pth": "claims",
        "script.pt": "TorchScript",
    }.items():
        with pytest.raises(WeightsError, match=words):
            zoo.load_state_dict(tmp_path / name)
