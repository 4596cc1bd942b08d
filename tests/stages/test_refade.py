"""Refade: sound pictures pass to the bit, faded ones come closer to the truth, and a person has the last word."""

from __future__ import annotations

import os
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from restore.damage.fading import KINDS, Fading, density, display, sample_fading
from restore.errors import OptionError
from restore.frames import ColorInfo, FrameBatch, PixelFormat, Shot, VideoFormat
from restore.stages import build_stage
from restore.stages.refade.estimate import CURVE_LEVELS, Levels, correction, measured, reels, settled


def scene(seed: int = 1, height: int = 96, width: int = 128) -> torch.Tensor:
    """(1, 3, H, W): coloured patches from black to white under a soft light."""
    random = np.random.default_rng(seed)
    coarse = torch.from_numpy(random.random((1, 3, 8, 10)).astype(np.float32)) ** 1.6
    picture = torch.nn.functional.interpolate(coarse, (height, width), mode="nearest")
    picture[:, :, 20:36, 20:44], picture[:, :, 50:70, 60:90] = 0.01, 0.97
    return picture


def rendered(pixels: torch.Tensor, options: dict[str, Any] | None = None, edits: dict[str, Any] | None = None) -> Any:
    """(result, plan) of one shot."""
    count, _, height, width = pixels.shape
    form = VideoFormat(width, height, PixelFormat("rgb", 8), ColorInfo(), Fraction(1, 25), Fraction(25))
    stage = build_stage("refade", options)
    analyzer = stage.analyzer()
    assert analyzer is not None
    analyzer.begin(Shot(0, 0, count), form)
    for number in range(count):
        analyzer.add(FrameBatch(pixels[number : number + 1], (number,), slice(0, 1), (True,), 0, form))
    [plan] = stage.settle([analyzer.finish()])
    told = {**stage.told(plan), **(stage.checked_edit(edits) if edits else {})}
    batch = FrameBatch(pixels, tuple(range(count)), slice(0, count), (True,) * count, 0, form)
    done = stage.process(batch, told)
    if isinstance(done, tuple):
        assert not done[1].any()
        return pixels, plan
    return done, plan


def psnr(one: torch.Tensor, other: torch.Tensor) -> float:
    return float(-10 * torch.log10(((one - other) ** 2).mean()))


def test_a_sound_picture_passes_to_the_bit() -> None:
    clean = scene()
    done, plan = rendered(clean)
    assert torch.equal(done, clean)
    assert plan["amount"] == 0
    assert "red" not in plan


def test_warm_light_is_no_fading() -> None:
    """A sunset: whites are orange, blacks are black."""
    sunset = scene() * torch.tensor((1.0, 0.62, 0.35))[:, None, None]
    assert torch.equal(rendered(sunset)[0], sunset)


def test_tinted_film_keeps_its_tint() -> None:
    """Silent film dyed blue: the base is dyed, silver stays black."""
    tinted = scene().mean(1, keepdim=True) * torch.tensor((0.45, 0.6, 1.0))[:, None, None]
    assert torch.equal(rendered(tinted)[0], tinted)


def test_haze_is_no_fading() -> None:
    haze = scene().mean(1, keepdim=True) * 0.3 + torch.tensor((0.38, 0.42, 0.47))[:, None, None]
    assert torch.equal(rendered(haze)[0], haze)


def test_a_red_print_gets_its_colours_back() -> None:
    clean = scene()
    faded = Fading((0.45, 0.9, 0.65), (0.02, 0.04, 0.08)).apply(clean)
    done, plan = rendered(faded)
    assert psnr(done, clean) > psnr(faded, clean) + 4
    assert plan["kept"][0] < plan["kept"][2] < plan["kept"][1]
    assert all(len(plan[name]) == CURVE_LEVELS for name in ("red", "green", "blue", "tone"))
    assert rendered(faded, {"strength": 0})[0] is faded


def test_sepia_is_kept_if_asked() -> None:
    faded = Fading((0.5, 0.58, 0.66), (0.03, 0.08, 0.16), silver=True).apply(scene())
    neutral, plan = rendered(faded)
    kept, _ = rendered(faded, {"keep_tint": True})
    assert plan["monochrome"]

    def cast(pixels: torch.Tensor) -> float:
        return float((pixels[:, 0] - pixels[:, 2]).abs().mean())

    assert cast(neutral) < 0.5 * cast(faded)
    assert cast(kept) > 0.7 * cast(faded)
    assert kept.std() > 1.1 * faded.std()


def test_one_correction_a_shot() -> None:
    """A frame's result is the same whatever else its batch holds, and the same values get the same everywhere."""
    faded = Fading((0.45, 0.9, 0.65)).apply(torch.cat([scene(n) for n in range(4)]))
    done, _ = rendered(faded)
    for channel in range(3):
        order = faded[:, channel].flatten().argsort()
        assert (done[:, channel].flatten()[order].diff() >= -1e-6).all()


def test_a_person_overrules() -> None:
    clean = scene()
    done, _ = rendered(clean, edits={"red": [1.0, 0.0]})
    assert torch.allclose(done[:, 0], 1 - clean[:, 0], atol=1e-6)
    assert torch.equal(done[:, 1:], clean[:, 1:])
    for wrong in ({"red": [0.5]}, {"red": "up"}, {"red": [0, 99]}, {"redd": [0, 1]}, {"strength": 2}):
        with pytest.raises(OptionError, match="refade"):
            build_stage("refade").checked_edit(wrong)


@pytest.mark.parametrize("value", [0.0, 0.2, 1.0])
def test_empty_frames_say_nothing(value: float) -> None:
    flat = torch.full((1, 3, 32, 32), value)
    for sensitivity in (0.5, 1.0):
        assert torch.equal(rendered(flat, {"sensitivity": sensitivity})[0], flat)


@given(seed=st.integers(0, 500), sensitivity=st.floats(0, 1))
@settings(max_examples=25, deadline=None)
def test_curves_rise(seed: int, sensitivity: float) -> None:
    """Whatever was found, no curve turns dark into light."""
    faded = sample_fading(seed).apply(scene(seed))
    plan = correction(measured(Levels.of(faded)), sensitivity)
    for name in ("red", "green", "blue", "tone"):
        curve = np.array(plan.get(name, [0, 1]))
        assert (np.diff(curve) >= 0).all()
        assert 0 <= curve[0] <= curve[-1] <= 1


@pytest.mark.parametrize("kind", KINDS)
def test_fading_is_the_same_for_a_seed(kind: Any) -> None:
    assert sample_fading(5, kind) == sample_fading(5, kind)
    faded = sample_fading(5, kind).apply(scene())
    assert 0 <= float(faded.min()) < float(faded.max()) <= 1
    assert faded.std() < scene().std()


def test_density_and_back() -> None:
    values = torch.linspace(0, 1, 50)
    assert torch.allclose(display(density(values)), values, atol=1e-3)
    assert torch.allclose(Fading((1.0, 1.0, 1.0)).apply(scene()), scene(), atol=2e-3)


KODAK = (
    Path(os.environ.get("RESTORE_TEST_MATERIAL", Path(__file__).parents[3] / "shared" / "test")) / "images" / "kodak"
)


@pytest.mark.skipif(not KODAK.is_dir(), reason="no test material (RESTORE_TEST_MATERIAL)")
def test_photographs_of_today_pass() -> None:
    import cv2

    for path in sorted(KODAK.glob("*.png")):
        loaded = cv2.imread(str(path))
        assert loaded is not None
        picture = torch.from_numpy(loaded[:, :, ::-1].copy()).permute(2, 0, 1)[None].float() / 255
        assert torch.equal(rendered(picture)[0], picture), path.name


def shot(fading: Fading | None, seed: int, darkest: float = 0.0) -> dict[str, Any]:
    picture = scene(seed) * (1 - darkest) + darkest
    return measured(Levels.of(picture if fading is None else fading.apply(picture)))


def test_shots_of_a_reel_agree() -> None:
    """Three reels: a red one, a sound one, another red one; fog in one shot of each."""
    red, pale = Fading((0.42, 0.9, 0.65), (0.02, 0.04, 0.08)), Fading((0.5, 0.45, 0.5), (0.02, 0.04, 0.1))
    parts = [red] * 6 + [None] * 7 + [pale] * 6
    film = [shot(fading, number, 0.3 if number % 6 == 4 else 0.0) for number, fading in enumerate(parts)]
    plans = settled(film, 0.5)
    assert [run.stop for run in reels(film)] == [6, 13, 19]
    curves = [plan.get("red") for plan in plans]
    assert curves[0] is not None
    assert curves[:6] == [curves[0]] * 6
    assert curves[6:13] == [None] * 7, "fog amid sound shots is no fading"
    assert curves[13:] == [curves[13]] * 6
    assert curves[13] not in (None, curves[0])


def test_black_leader_goes_with_its_reel() -> None:
    black = measured(Levels.of(torch.zeros((1, 3, 32, 32))))
    red = Fading((0.42, 0.9, 0.65), (0.02, 0.04, 0.08))
    film = [black, *(shot(red, number) for number in range(5)), black]
    plans = settled(film, 0.5)
    assert len({str(plan.get("red")) for plan in plans}) == 1
    assert settled([black, black], 0.5) == [{**black, "left": 1.0, "amount": 0.0}] * 2
    assert settled([], 0.5) == []


def test_a_part_has_the_pixels_of_the_whole(tmp_path: Path) -> None:
    """The first shot alone has no black; the film has. What a part is given is what the film as a whole decided."""
    import restore

    red = Fading((0.42, 0.9, 0.65), (0.02, 0.04, 0.08))
    folder = tmp_path / "film"
    folder.mkdir()
    import cv2

    for number in range(12):
        picture = red.apply(scene(number // 6) * (0.6 if number < 6 else 1.0) + (0.35 if number < 6 else 0.0))
        cv2.imwrite(
            str(folder / f"f_{number:03d}.png"),
            (picture[0].permute(1, 2, 0).numpy()[:, :, ::-1] * 255).round().astype(np.uint8),
        )
    for name in ("whole", "part"):
        (tmp_path / name).mkdir()
    recipe = restore.Recipe.from_dict({"stage": [{"name": "refade"}], "input": {"fps": "24"}})
    restore.run(str(folder), tmp_path / "whole" / "f_%03d.png", recipe)
    restore.run(str(folder), tmp_path / "part" / "f_%03d.png", recipe, start="2f", end="4f")
    whole, part = (sorted((tmp_path / name).glob("*.png")) for name in ("whole", "part"))
    assert len(part) == 2
    assert part[0].read_bytes() == whole[2].read_bytes()
