"""Retouch: damage found in single pictures and filled, sound pictures left alone, masks in and out."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from restore.damage.creases import PrintDamage
from restore.errors import OptionError, SourceNotFoundError, WeightsError
from restore.frames import ColorInfo, FrameBatch, PixelFormat, VideoFormat
from restore.pipeline.contract import Device
from restore.stages import build_stage
from restore.stages.retouch.detect import load_net
from restore.stages.retouch.fill import fill

CPU = Device(torch.device("cpu"), "fp32")
HEIGHT, WIDTH = 160, 200


def scene(seed: int = 2) -> torch.Tensor:
    """(1, 3, H, W): soft shapes with a little grain."""
    random = np.random.default_rng(seed)
    coarse = random.random((6, 8, 3)).astype(np.float32) * 0.6 + 0.1
    picture = cv2.resize(coarse, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
    picture += random.normal(0, 0.01, (HEIGHT, WIDTH, 1)).astype(np.float32)
    return torch.from_numpy(picture.clip(0, 1)).permute(2, 0, 1)[None]


def scratched(clean: torch.Tensor) -> tuple[torch.Tensor, np.ndarray[Any, np.dtype[np.bool_]]]:
    """A white line across, and where it is."""
    layer = np.zeros((HEIGHT, WIDTH), np.uint8)
    cv2.line(layer, (20, 30), (180, 120), 255, 2, cv2.LINE_AA)
    cover = torch.from_numpy(layer / np.float32(255))
    return clean + cover * (0.97 - clean), layer > 20


def retouched(
    pixels: torch.Tensor, options: dict[str, Any] | None = None, edits: dict[str, Any] | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """(result, mask) of one picture."""
    height, width = pixels.shape[-2:]
    form = VideoFormat(width, height, PixelFormat("rgb", 8), ColorInfo(), Fraction(1, 25), Fraction(25))
    stage = build_stage("retouch", options)
    stage.check(form)
    told = stage.told({})
    if edits:
        told |= {k: [{"from": 0, "to": 1, "value": v}] for k, v in stage.checked_edit(edits).items()}
    with stage:
        stage.open(CPU, form)
        done = stage.process(FrameBatch(pixels, (0,), slice(0, 1), (True,), 0, form), told)
    assert isinstance(done, tuple)
    return done[0], done[1]


def psnr_at(one: torch.Tensor, other: torch.Tensor, where: Any) -> float:
    difference = (one - other)[:, :, torch.from_numpy(np.asarray(where))]
    return float(-10 * torch.log10((difference**2).mean()))


def test_a_scratch_is_found_and_filled() -> None:
    clean = scene()
    worn, where = scratched(clean)
    done, mask = retouched(worn)
    found = mask[0, 0].numpy()
    assert (found & where).sum() > 0.8 * where.sum()
    assert psnr_at(done, clean, where) > psnr_at(worn, clean, where) + 12
    assert torch.equal(done[:, :, ~mask[0, 0]], worn[:, :, ~mask[0, 0]])


def test_a_sound_picture_passes() -> None:
    clean = scene()
    done, mask = retouched(clean)
    assert float(mask.float().mean()) < 0.001
    assert torch.equal(done[:, :, ~mask[0, 0]], clean[:, :, ~mask[0, 0]])


def test_sensitivity_finds_more() -> None:
    worn = PrintDamage(seed=4).apply(scene())
    shares = [float(retouched(worn, {"sensitivity": s})[1].float().mean()) for s in (0.0, 0.5, 1.0)]
    assert shares[0] <= shares[1] <= shares[2]
    assert shares[2] > shares[0]


def test_what_a_person_draws(tmp_path: Path) -> None:
    clean = scene()
    square = [[[40, 40], [60, 40], [60, 60], [40, 60]]]
    done, mask = retouched(clean, edits={"add": square})
    assert mask[0, 0, 45:55, 45:55].all()
    assert not torch.equal(done[..., 45:55, 45:55], clean[..., 45:55, 45:55])
    worn, where = scratched(clean)
    _, mask = retouched(worn, edits={"forbid": [[[0, 0], [WIDTH, 0], [WIDTH, HEIGHT], [0, HEIGHT]]]})
    assert not mask.any()
    for wrong in ({"add": [[[1, 2]]]}, {"forbid": "all"}, {"polygon": []}):
        with pytest.raises(OptionError, match="retouch"):
            build_stage("retouch").checked_edit(wrong)
    del where, tmp_path


def test_a_mask_handed_in(tmp_path: Path) -> None:
    clean = scene()
    drawn = np.zeros((HEIGHT, WIDTH), np.uint8)
    drawn[70:80, 90:120] = 255
    path = tmp_path / "mask.png"
    cv2.imwrite(str(path), drawn)
    options = {"mask_in": str(path), "sensitivity": 0}
    _, mask = retouched(clean, options)
    assert mask[0, 0, 70:80, 90:120].all()
    first = build_stage("retouch", options).effective()
    drawn[0, 0] = 255
    cv2.imwrite(str(path), drawn)
    assert build_stage("retouch", options).effective() != first, "another mask, another result"
    cv2.imwrite(str(path), drawn[:-1])
    with pytest.raises(OptionError, match="200x159"):
        retouched(clean, options)
    path.write_bytes(b"no picture")
    with pytest.raises(OptionError, match="not a picture"):
        retouched(clean, options)
    path.unlink()
    with pytest.raises(SourceNotFoundError, match=r"mask\.png"):
        retouched(clean, options)


def test_the_mask_is_shown() -> None:
    worn, _ = scratched(scene())
    _, mask = retouched(worn)
    shown, everywhere = retouched(worn, {"show": "mask"})
    assert everywhere.all()
    assert torch.equal(shown, mask.expand(-1, 3, -1, -1).float())


@pytest.mark.parametrize("size", [(1, 1), (3, 90), (33, 35), (90, 31)])
def test_odd_sizes(size: tuple[int, int]) -> None:
    worn = torch.rand((1, 3, *size), generator=torch.Generator().manual_seed(1))
    done, _ = retouched(worn, {"sensitivity": 1})
    assert done.shape == worn.shape
    assert done.isfinite().all()


def test_filling_keeps_texture_and_grain() -> None:
    """A gap in a striped, grainy picture: stripes go on, grain is there, nothing else moves."""
    random = np.random.default_rng(1)
    stripes = 0.5 + 0.25 * np.sin(np.arange(WIDTH) / 2.0)[None, :, None]
    picture = (stripes + random.normal(0, 0.03, (HEIGHT, WIDTH, 1))).astype(np.float32).repeat(3, 2)
    hole = np.zeros((HEIGHT, WIDTH), bool)
    hole[78:83, 20:180] = True
    filled = fill(picture, hole, seed=1)
    assert np.array_equal(filled[~hole], picture[~hole])
    columns = filled[hole].reshape(5, 160, 3).mean((0, 2))
    assert np.corrcoef(columns, stripes[0, 20:180, 0])[0, 1] > 0.9
    fine = np.diff(filled[78:83, 20:180, 0], axis=0).std() / np.diff(picture[40:60, 20:180, 0], axis=0).std()
    assert 0.5 < fine < 1.5
    assert np.array_equal(filled, fill(picture, hole, seed=1))
    whole = np.ones_like(hole)
    assert fill(picture, whole, seed=1) is picture


def test_weights_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(SourceNotFoundError, match="none"):
        load_net(tmp_path / "none.safetensors")
    path = tmp_path / "bad.safetensors"
    path.write_bytes(b"12345678")
    with pytest.raises(WeightsError, match="does not hold"):
        load_net(path)


def test_damage_is_the_same_for_a_seed() -> None:
    clean = scene()
    pair = torch.cat((clean, clean))
    worn = PrintDamage(seed=6).apply(pair)
    assert torch.equal(worn[:1], PrintDamage(seed=6).apply(clean))
    assert torch.equal(worn[1:], PrintDamage(seed=6).apply(clean, first=1))
    assert not torch.equal(worn[0], worn[1])
    changed = ((worn - pair).abs().amax(1) > 6 / 255).float().mean()
    assert 0.0005 < float(changed) < 0.15
    assert 0 <= float(worn.min()) <= float(worn.max()) <= 1
