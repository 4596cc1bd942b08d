"""The committed estimator on damage made on the fly: more of it must measure as more."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from restore.analysis.degradation import Degradation, DegradationEstimator, load_estimator
from restore.damage import Damage
from restore.damage.optics import resize
from restore.errors import SourceNotFoundError, WeightsError

WEIGHTS = Path(__file__).parents[2] / "models" / "reel-degradation" / "reel-degradation.safetensors"


@pytest.fixture(scope="module")
def estimator() -> DegradationEstimator:
    return load_estimator(WEIGHTS)


@pytest.fixture(scope="module")
def picture() -> torch.Tensor:
    """A photograph in the public domain, reduced so that it is sharp to the pixel, (1, 3, 256, 256)."""
    data = pytest.importorskip("skimage.data", reason="the photograph comes with scikit-image (the train extra)")
    pixels = torch.from_numpy(np.ascontiguousarray(data.astronaut())).permute(2, 0, 1)[None].float() / 255
    return resize(pixels, 256, 256, "area")


def test_a_clean_picture_measures_next_to_nothing(estimator: DegradationEstimator, picture: torch.Tensor) -> None:
    found = estimator.measure(picture)
    assert found.blur < 0.12
    assert found.noise < 0.05
    assert found.compression < 0.15


@pytest.mark.parametrize(
    ("what", "damages"),
    [
        ("blur", [Damage(), Damage(blur=0.6), Damage(blur=1.2), Damage(blur=2.2)]),
        ("noise", [Damage(), Damage(grain=0.02), Damage(grain=0.045), Damage(grain=0.08)]),
        ("compression", [Damage(), Damage(jpeg=75), Damage(jpeg=45), Damage(jpeg=20)]),
    ],
)
def test_worse_measures_as_worse(
    estimator: DegradationEstimator, picture: torch.Tensor, what: str, damages: list[Damage]
) -> None:
    found = [getattr(estimator.measure(damage.apply(picture)), what) for damage in damages]
    assert found == sorted(found)
    assert found[-1] - found[0] > 0.3


def test_black_and_white_measures_alike(estimator: DegradationEstimator, picture: torch.Tensor) -> None:
    colored, colorless = (Damage(grain=0.05, grain_color=0, black_and_white=b) for b in (False, True))
    expected = estimator.measure(colored.apply(picture)).noise
    assert estimator.measure(colorless.apply(picture)).noise == pytest.approx(expected, abs=0.1)


def test_measuring_twice_gives_the_same(estimator: DegradationEstimator, picture: torch.Tensor) -> None:
    frames = Damage(grain=0.03, jpeg=60).apply(picture.expand(3, -1, -1, -1))
    assert estimator.measure(frames) == estimator.measure(frames)


@pytest.mark.parametrize("size", [(1, 1), (3, 200), (15, 15), (16, 16), (17, 400)])
def test_tiny_frames_are_measured_without_complaint(estimator: DegradationEstimator, size: tuple[int, int]) -> None:
    found = estimator.measure(torch.rand(2, 3, *size, generator=torch.Generator().manual_seed(0)))
    assert all(0 <= value <= 1 for value in (found.blur, found.noise, found.compression))
    if min(size) < 16:
        assert found == Degradation(0.0, 0.0, 0.0)


def test_black_frames_are_measured_without_complaint(estimator: DegradationEstimator) -> None:
    assert estimator.measure(torch.zeros(1, 3, 120, 160)).noise < 0.1


def test_files_that_are_not_its_weights_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceNotFoundError):
        load_estimator(tmp_path / "none.safetensors")
    (text := tmp_path / "text.safetensors").write_text("not weights")
    save_file({"a": torch.zeros(2)}, other := tmp_path / "other.safetensors")
    for path in (text, other):
        with pytest.raises(WeightsError):
            load_estimator(path)
