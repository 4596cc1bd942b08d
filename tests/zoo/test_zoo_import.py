from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from restore import zoo
from restore.errors import LicenceError, OptionError, SourceNotFoundError, WeightsError
from restore.zoo.cache import copy_to_part
from restore.zoo.spec import Licence, ModelSpec
from restore.zoo.table import MODELS
from restore.zoo.tensor_hash import half_sha256, tensor_sha256

MakeState = Callable[[int], dict[str, Tensor]]


@pytest.fixture
def known(
    make_spec: Callable[..., ModelSpec], tiny_state: MakeState, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[ModelSpec, Path]:
    """A model of the table, and its published file."""
    path = tmp_path / "published.pth"
    torch.save({"params": tiny_state(1)}, path)
    hashes = {"tensor_sha256": tensor_sha256(tiny_state(1)), "half_sha256": half_sha256(tiny_state(1))}
    spec = make_spec(path.read_bytes(), "tiny", state_dict_key="params", **hashes)
    monkeypatch.setitem(MODELS, "tiny", spec)
    return spec, path


def test_the_published_file_is_recognised_whatever_its_name(known: tuple[ModelSpec, Path], cache: Path) -> None:
    spec, path = known
    imported = zoo.import_file(path.rename(path.with_name("download (1).bin")))
    assert (imported.id, imported.note) == ("tiny", "")
    assert imported.path == cache / "models" / spec.file_name
    assert zoo.verify("tiny").status == "ok"
    assert "tiny" in [file.id for file in zoo.available()]


def test_a_resaved_copy_is_recognised_by_its_tensors(
    known: tuple[ModelSpec, Path], tiny_state: MakeState, tmp_path: Path
) -> None:
    save_file(tiny_state(1), tmp_path / "whatever.safetensors")
    imported = zoo.import_file(tmp_path / "whatever.safetensors")
    assert imported.id == "tiny"
    assert "same numbers" in imported.note
    network = zoo.load_network("tiny", download=False)
    assert network.tensor_sha256 == known[0].tensor_sha256
    assert network.note == imported.note
    assert zoo.verify("tiny").status == "copy"


def test_a_half_precision_copy_is_recognised_and_said_to_be_one(
    known: tuple[ModelSpec, Path], tiny_state: MakeState, tmp_path: Path
) -> None:
    torch.save({name: tensor.half() for name, tensor in tiny_state(1).items()}, tmp_path / "half.pth")
    imported = zoo.import_file(tmp_path / "half.pth")
    assert imported.id == "tiny"
    assert "half precision" in imported.note


def test_the_published_file_wins_over_an_imported_copy(
    known: tuple[ModelSpec, Path], tiny_state: MakeState, tmp_path: Path
) -> None:
    save_file(tiny_state(1), tmp_path / "copy.safetensors")
    zoo.import_file(tmp_path / "copy.safetensors")
    zoo.pull("tiny")
    assert zoo.resolve("tiny").note == ""


def test_a_network_of_ones_own_is_kept_under_a_name(tiny_state: MakeState, tmp_path: Path, cache: Path) -> None:
    path = tmp_path / "my finetune.pth"
    torch.save(tiny_state(5), path)
    with pytest.raises(OptionError, match="--name"):
        zoo.import_file(path)
    imported = zoo.import_file(path, name="my-finetune")
    assert (imported.id, imported.spec, imported.scale) == ("my-finetune", None, 2)
    path.unlink()
    assert zoo.load_network("my-finetune").scale == 2
    record = json.loads((cache / "imported.json").read_text())["my-finetune"]
    assert record["original"] == "my finetune.pth"
    assert record["tensor_sha256"] == tensor_sha256(tiny_state(5))


def test_an_imported_file_that_changes_is_refused(tiny_state: MakeState, tmp_path: Path) -> None:
    torch.save(tiny_state(5), tmp_path / "own.pth")
    imported = zoo.import_file(tmp_path / "own.pth")
    assert imported.path is not None
    torch.save(tiny_state(6), imported.path)
    with pytest.raises(WeightsError, match="SHA-256"):
        zoo.load_network("own")
    assert zoo.verify("own").status == "wrong"


def test_names_already_taken(tiny_state: MakeState, known: tuple[ModelSpec, Path], tmp_path: Path) -> None:
    torch.save(tiny_state(5), tmp_path / "own.pth")
    torch.save(tiny_state(6), tmp_path / "other.pth")
    zoo.import_file(tmp_path / "own.pth")
    zoo.import_file(tmp_path / "own.pth")
    with pytest.raises(OptionError, match="another network"):
        zoo.import_file(tmp_path / "other.pth", name="OWN")
    with pytest.raises(OptionError, match="known model"):
        zoo.import_file(tmp_path / "other.pth", name="RealESRGAN_x4plus")
    with pytest.raises(OptionError, match="kept under that name"):
        zoo.import_file(known[1], name="mine")
    with pytest.raises(OptionError, match="cannot be a model's name"):
        zoo.import_file(tmp_path / "other.pth", name="../../escape")


def test_a_licence_is_asked_for_on_import_too(
    known: tuple[ModelSpec, Path], make_spec: Callable[..., ModelSpec], monkeypatch: pytest.MonkeyPatch, cache: Path
) -> None:
    terms = Licence(id="NC", summary="Research only.", url="https://example.org/nc", non_commercial=True)
    monkeypatch.setitem(MODELS, "tiny", make_spec(known[1].read_bytes(), "tiny", licence=terms))
    with pytest.raises(LicenceError, match="Research only"):
        zoo.import_file(known[1])
    assert not list(cache.glob("models/*"))
    assert zoo.import_file(known[1], accept_licence=True).id == "tiny"


def test_bad_files_leave_nothing_behind(tmp_path: Path, cache: Path) -> None:
    (tmp_path / "text.pth").write_text("no weights")
    torch.save({"some.weight": torch.ones(3)}, tmp_path / "strange.pth")
    with pytest.raises(SourceNotFoundError, match=r"absent\.pth"):
        zoo.import_file(tmp_path / "absent.pth")
    with pytest.raises(WeightsError, match="not a file"):
        zoo.import_file(tmp_path)
    with pytest.raises(WeightsError, match="not a checkpoint"):
        zoo.import_file(tmp_path / "text.pth")
    with pytest.raises(WeightsError, match="not a network this version knows"):
        zoo.import_file(tmp_path / "strange.pth")
    assert not [path for path in cache.rglob("*") if path.is_file() and path.suffix != ".lock"]


def test_a_medium_that_cannot_be_read(cache: Path, tmp_path: Path) -> None:
    unreadable = Path("/proc/self/mem")  # its first page is not mapped: reading it is an input/output error
    if not unreadable.exists():
        pytest.skip("no /proc")
    with pytest.raises(WeightsError, match=r"cannot read /proc/self/mem"):
        zoo.import_file(unreadable)
    with pytest.raises(WeightsError, match="another medium"):
        copy_to_part(unreadable, cache / "copy.part")
    assert not (cache / "copy.part").exists()


def test_a_record_that_was_tampered_with_cannot_point_elsewhere(cache: Path) -> None:
    cache.mkdir()
    entry = dict.fromkeys(("sha256", "tensor_sha256", "note", "architecture", "original"), "")
    (cache / "imported.json").write_text(json.dumps({"x": {**entry, "file_name": "../../etc/passwd", "scale": 2}}))
    with pytest.raises(WeightsError, match="points outside"):
        zoo.resolve("x")
    (cache / "imported.json").write_text("{not json")
    with pytest.raises(WeightsError, match="repair"):
        zoo.resolve("x")


def test_the_trap_is_named_and_the_genuine_file_taken(material: Path, cache: Path) -> None:
    with pytest.raises(WeightsError, match=r"is not RetinaFace mobile 0\.25.*wrong boxes"):
        zoo.import_file(material / "trap_mobilenet0.25_Final.pth")
    with pytest.raises(WeightsError, match="wrong boxes"):
        zoo.verify(material / "trap_mobilenet0.25_Final.pth")
    assert not list(cache.glob("imported/*"))
    taken = zoo.import_file(material / "retinaface_mobilenet0.25.pth")
    assert (taken.id, taken.scale) == ("retinaface", None)
    assert "re-saved" in taken.note
    assert zoo.verify("retinaface").status == "copy"


def test_published_copies_are_recognised(material: Path) -> None:
    assert zoo.import_file(material / "realesr-animevideov3.pth").id == "realesr-animevideov3"
    general = zoo.import_file(material / "realesr-general-x4v3.fp16-copy.pth")
    companion = zoo.import_file(material / "realesr-general-wdn-x4v3.fp16-copy.pth")
    assert (general.id, companion.id) == ("realesr-general-x4v3", "realesr-general-wdn-x4v3")
    blended = zoo.load_network("realesr-general-x4v3", denoise_strength=0.5, download=False)
    assert blended.scale == 4
    assert "half precision" in blended.note
