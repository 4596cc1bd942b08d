"""The committed samples are what `scripts/make_samples.py` makes, and what `samples/README.md` says of them."""

from __future__ import annotations

import importlib
import itertools
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import av
import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).parent.parent
SAMPLES = ROOT / "samples"
FILMS = {
    "old_reel.mp4": (288, 216, 18, 162, True),
    "old_reel_clean.mp4": (576, 432, 18, 162, True),
    "portrait.mp4": (256, 256, 24, 48, False),
    "portrait_clean.mp4": (512, 512, 24, 48, False),
}


@pytest.fixture(scope="module")
def script() -> Iterator[ModuleType]:
    pytest.importorskip("skimage", reason="the samples' photographs come with scikit-image")
    sys.path.insert(0, str(ROOT / "scripts"))
    yield importlib.import_module("make_samples")
    sys.path.remove(str(ROOT / "scripts"))


def luma(path: Path, count: int) -> list[np.ndarray]:
    with av.open(str(path)) as film:
        frames = itertools.islice(film.decode(video=0), count)
        return [frame.to_ndarray()[: frame.height].astype(float) for frame in frames]  # yuv420p: luma comes first


def psnr(one: np.ndarray, other: np.ndarray) -> float:
    return float(10 * np.log10(255**2 / np.mean((one - other) ** 2)))


@pytest.mark.parametrize("name", FILMS)
def test_films_are_as_described(name: str) -> None:
    width, height, rate, count, has_sound = FILMS[name]
    with av.open(str(SAMPLES / name)) as film:
        video = film.streams.video[0]
        assert (video.width, video.height, video.average_rate, video.pix_fmt) == (width, height, rate, "yuv420p")
        assert sum(1 for _ in film.decode(video=0)) == count
        assert bool(film.streams.audio) == has_sound
    if has_sound:
        with av.open(str(SAMPLES / name)) as film:
            sound = np.concatenate([frame.to_ndarray()[0] for frame in film.decode(audio=0)])
            assert len(sound) / film.streams.audio[0].rate == pytest.approx(count / rate, abs=0.05)
            assert 0.05 < np.sqrt(np.mean(sound**2)) < 0.5


def test_all_samples_are_small_and_described() -> None:
    files = [path for path in SAMPLES.iterdir() if path.name != "README.md"]
    assert sum(path.stat().st_size for path in files) < 5_000_000
    described = (SAMPLES / "README.md").read_text(encoding="utf-8")
    assert [path.name for path in files if f"`{path.name}`" not in described] == []


def test_the_worn_reel_shows_its_original() -> None:
    """Frame for frame the same pictures: no other frame of the original is nearer."""
    worn, clean = luma(SAMPLES / "old_reel.mp4", 60), luma(SAMPLES / "old_reel_clean.mp4", 60)
    reduced = [picture.reshape(216, 2, 288, 2).mean((1, 3)) for picture in clean]
    for number in (30, 45, 59):
        scores = [np.corrcoef(worn[number].ravel(), reduced[other].ravel())[0, 1] for other in range(60)]
        assert abs(int(np.argmax(scores)) - number) <= 1
        assert max(scores) > 0.9


def test_wear_is_told_for_every_frame() -> None:
    story = json.loads((SAMPLES / "old_reel_wear.json").read_text(encoding="utf-8"))
    assert len(story["frames"]) == FILMS["old_reel.mp4"][3]
    assert all(abs(shift) < 4 for frame in story["frames"] for shift in frame["weave"])
    assert sum(len(frame["dust"]) for frame in story["frames"]) > 100


def test_making_them_again_gives_the_same_frames(script: ModuleType) -> None:
    frames = list(itertools.islice(script.portrait_frames(script.portrait_original()), 3))
    again = list(itertools.islice(script.portrait_frames(script.portrait_original()), 3))
    assert all(np.array_equal(one, other) for one, other in zip(frames, again, strict=True))
    for made, stored in zip(frames, luma(SAMPLES / "portrait.mp4", 3), strict=True):
        expected = script._frame(made).to_ndarray()[: stored.shape[0]].astype(float)
        assert psnr(expected, stored) > 30  # what the encoder took away


def test_the_photograph_is_the_script_s(script: ModuleType, tmp_path: Path) -> None:
    script.write_picture(tmp_path / "photo.jpg", script.photo_found(script.photo_original()), 78)
    made, stored = (np.asarray(Image.open(path), float) for path in (tmp_path / "photo.jpg", SAMPLES / "photo.jpg"))
    assert np.abs(made - stored).mean() < 1
