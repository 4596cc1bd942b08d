"""The engine `fran`: a network behind the interface of `restore reage`."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from restore.errors import OptionError, UnknownModelError, WeightsError
from restore.nets.fran import ReagingUNet
from restore.pipeline.contract import Device
from restore.stages.reage import fran
from restore.stages.reage.alignment import FRAMING
from restore.stages.reage.engines import Faces, Wishes, choose_engine
from restore.stages.reage.fran import FranEngine, windowed

CPU = Device(torch.device("cpu"), "fp32")


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(2)
    path = tmp_path_factory.mktemp("fran") / "tiny.safetensors"
    save_file(ReagingUNet((4, 8, 16, 32, 64)).state_dict(), path)
    return path


def faces(count: int, side: int) -> Faces:
    random = torch.Generator().manual_seed(count)
    crops = torch.rand((count, 3, side, side), generator=random) * 1.2 - 0.1
    points = torch.from_numpy(FRAMING.points(side)).float().expand(count, -1, -1)
    years = torch.linspace(30, 60, count)
    return Faces(crops, points, years, years.flip(0) + 5, [Wishes()] * count)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_all_faces_of_a_batch_in_one_call(checkpoint: Path, precision: str) -> None:
    engine = choose_engine(str(checkpoint))
    assert isinstance(engine, FranEngine)
    engine.open(Device(torch.device("cpu"), precision))  # type: ignore[arg-type]
    shown = faces(3, engine.side(40.0))
    deltas = engine.deltas(shown)
    assert deltas.shape == shown.crops.shape
    assert deltas.dtype == torch.float32
    for n in range(3):
        one = Faces(shown.crops[n : n + 1], shown.points[n : n + 1], shown.source[n : n + 1],
                    shown.target[n : n + 1], shown.wishes[n : n + 1])  # fmt: skip
        assert torch.equal(engine.deltas(one)[0], deltas[n]), "a face's delta does not depend on the others"


def test_its_weights_are_named(checkpoint: Path) -> None:
    [(name, digest)] = choose_engine(str(checkpoint)).weights().items()
    assert name == "tiny"
    assert len(digest) == 64


def test_the_published_form_is_used_as_it_was_taught(checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Larger crops, wider round the face, window by window."""
    monkeypatch.setattr(fran, "PUBLISHED", (4, 8, 16, 32, 64))
    monkeypatch.setattr(fran, "PUBLISHED_SIDE", 128)
    monkeypatch.setattr(fran, "WINDOW", 64)
    engine = FranEngine(str(checkpoint))
    engine.open(CPU)
    assert (engine.side(40.0), engine.framing) == (128, fran.PUBLISHED_FRAMING)
    shown = faces(1, 128)
    delta = engine.deltas(shown)
    alone = engine.network.module(shown.crops[..., :64, :64].clamp(0, 1), shown.source, shown.target)
    torch.testing.assert_close(delta[..., :32, :32], alone[..., :32, :32], msg="a corner lies in one window only")


def test_windows_leave_no_seam() -> None:
    crops = torch.rand(2, 3, 1024, 1024, generator=torch.Generator().manual_seed(0))
    ages = torch.zeros(2)
    torch.testing.assert_close(windowed(lambda crop, source, target: 2 * crop, crops, ages, ages), 2 * crops)


def test_wrong_weights_are_refused_in_one_line(tmp_path: Path) -> None:
    save_file({"weight": torch.ones(3)}, tmp_path / "other.safetensors")
    with pytest.raises(WeightsError, match="not a re-ageing network") as caught:
        choose_engine(str(tmp_path / "other.safetensors")).weights()
    assert "\n" not in str(caught.value)
    with pytest.raises(OptionError, match="reel-x2 does not re-age"):
        choose_engine("reel-x2").weights()
    with pytest.raises(UnknownModelError, match="no model is called 'shift'"):
        choose_engine("shift")
