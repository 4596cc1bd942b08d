"""Stills kept while rendering are the film's own frames, and what was repaired is marked."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
from films import FilmSpec, decode, write_film

import restore
from restore import pages
from restore.engines.local import LocalEngine
from restore.frames import Planes
from restore.pipeline.stills import Kept
from restore.recipe import Recipe
from restore.report.measures import flicker, psnr
from restore.report.moments import Moments, Pair
from restore.report.page import Page, html

SPECK = (slice(20, 24), slice(30, 34))


def dirty(path: Path) -> Path:
    """Smooth waves; a white speck on frames 7 and 40."""

    def planes(number: int) -> Planes:
        y, x = np.mgrid[0:96, 0:128]
        luma = 120 + 40 * np.sin(x / 9 + number / 20) * np.cos(y / 7)
        if number in (7, 40):
            luma[SPECK] = 235
        grey = np.full((48, 64), 128, np.uint8)
        return luma.round().astype(np.uint8), grey, grey

    return write_film(path, FilmSpec(codec="ffv1", size=(128, 96), frames=60, pictures=planes))


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("stills")
    result = restore.run(dirty(folder / "in.mkv"), folder / "out.mkv", Recipe.of("dedust", scratches=False))
    return result.folder


def test_pairs_are_frames_of_source_and_output(job: Path) -> None:
    films = [decode(job.parent / name) for name in ("in.mkv", "out.mkv")]
    pairs = list(Kept(job, range(60)).pairs())
    assert len(pairs) == 6
    for pair in pairs:
        for still, film in zip(pair, films, strict=True):
            [shown] = [frame for frame in film if float(frame.time - film[0].time) == pytest.approx(still.seconds)]
            luma = (shown.planes[0].astype(np.float64) - 16) * 255 / 219
            assert psnr(still.picture, np.repeat(luma.clip(0, 255)[..., None], 3, 2)) > 38


def test_flicker_is_measured_over_all_frames(tmp_path: Path) -> None:
    random = np.random.default_rng(5)

    def planes(number: int) -> Planes:
        luma = np.full((48, 64), (60 if number < 40 else 160) * (1 + 0.05 * random.standard_normal()))
        grey = np.full((24, 32), 128, np.uint8)
        return luma.round().astype(np.uint8), grey, grey

    source = write_film(tmp_path / "in.mkv", FilmSpec(codec="ffv1", frames=80, pictures=planes))
    folder = restore.run(source, tmp_path / "out.mkv", Recipe.of("deflicker")).folder
    runs = list(Kept(folder, range(80)).brightness())
    assert sum(run.shape[1] for run in runs) == 80
    before, after = (flicker([run[side] for run in runs]) for side in (0, 1))
    assert before is not None
    assert after is not None
    assert before == pytest.approx(0.05 * 110 / 255, rel=0.5)
    assert after < before / 5
    assert "<td>flicker</td>" in pages.report(folder).read_text()
    assert flicker([]) is None


def test_what_was_repaired_is_marked(job: Path) -> None:
    [repaired] = Kept(job, range(60)).repaired()
    assert repaired.stage == "dedust"
    assert set(np.flatnonzero(repaired.shares)) == {7, 40}
    worst = repaired.worst
    assert worst is not None
    assert worst.mask[SPECK].mean() > 0.8
    assert worst.mask.mean() < 0.02
    assert worst.before[SPECK].mean() > worst.after[SPECK].mean() + 50
    page = pages.report(job).read_text()
    assert 'id="repairs"' in page
    assert "dedust</h3><p class=small>2 frames" in page


def test_workers_keep_the_same_and_a_part_keeps_its_own(job: Path, tmp_path: Path) -> None:
    recipe = Recipe.of("dedust", scratches=False)
    source = job.parent / "in.mkv"
    other = restore.run(source, tmp_path / "out.mkv", recipe, engine=LocalEngine(1)).folder
    names = [sorted(path.name for path in (folder / "stills").iterdir()) for folder in (job, other)]
    assert names[0] == names[1]
    restore.run(source, tmp_path / "out.mkv", recipe, start="30f", end="50f")
    [part] = (other / "stills").iterdir()
    assert part.name.startswith("0000030-0000050-")
    assert 'id="pairs"' in pages.report(other).read_text()


def test_a_still_that_cannot_be_read_is_left_out(job: Path, tmp_path: Path) -> None:
    (tmp_path / "stills").mkdir()
    (tmp_path / "stills" / "0000000-0000060-x.npz").write_bytes(b"no zip")
    kept = Kept(tmp_path, range(60))
    assert not list(kept.pairs()) + list(kept.strips()) + list(kept.repaired())


def test_a_page_of_the_hardest_pictures_stays_small() -> None:
    grain = np.random.default_rng(3).integers(0, 256, (720, 960, 3), np.uint8)
    soft = np.asarray(cv2.GaussianBlur(grain, (0, 0), 0.8), np.uint8)
    pairs = tuple(Pair(Fraction(n), "typical", grain, soft, 1.0) for n in range(6))
    assert len(html(Page("noise", ("source", "restored"), (), Moments(pairs, ()), ()))) < 5_000_000
