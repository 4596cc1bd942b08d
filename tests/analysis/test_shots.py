"""Cuts: found where they are, and the same ones by a detector that was stopped and started again."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from restore.analysis.shots import LOOKBACK, ShotDetector, preview_of


def luma(count: int, cuts: tuple[int, ...]) -> list[npt.NDArray[np.uint8]]:
    borders = [0, *cuts, count]
    frames = []
    for shot, (first, stop) in enumerate(zip(borders, borders[1:], strict=False)):
        texture = np.random.default_rng(shot).integers(-20, 20, (48, 64)) + (60 if shot % 2 else 170)
        frames += [np.roll(texture, n % 4, axis=1).astype(np.uint8) for n in range(stop - first)]
    return frames


def found(frames: list[npt.NDArray[np.uint8]], start: int = 0) -> list[int]:
    detector = ShotDetector()
    return sorted({cut for n in range(start, len(frames)) for cut in detector.add(n, preview_of(frames[n], 8))})


@pytest.mark.parametrize("cuts", [(), (1,), (20,), (20, 21, 22, 23), (7, 40, 59)])
def test_cuts_are_found(cuts: tuple[int, ...]) -> None:
    assert [cut for cut in found(luma(60, cuts)) if cut] == list(cuts)


@settings(max_examples=15, deadline=None)
@given(st.sets(st.integers(1, 59), max_size=6), st.integers(LOOKBACK + 1, 58))
def test_starting_again_finds_the_same(cuts: set[int], known: int) -> None:
    """As the listing does: from LOOKBACK frames before what is known, and nothing said of the first three."""
    frames = luma(60, tuple(sorted(cuts)))
    whole = found(frames)
    start = known - LOOKBACK
    detector = ShotDetector()
    first = {cut for n in range(known) for cut in detector.add(n, preview_of(frames[n], 8))}
    again = {cut for cut in found(frames, start) if cut >= start + 3}
    assert sorted(first | again) == whole


@pytest.mark.parametrize(
    ("dtype", "depth", "peak"), [(np.uint8, 8, 255), (np.uint16, 10, 1023), (np.uint16, 16, 65535), (np.float32, 32, 1)]
)
@pytest.mark.parametrize("size", [(1, 1), (2, 300), (480, 640), (64, 16384)])
def test_previews(dtype: type, depth: int, peak: int, size: tuple[int, int]) -> None:
    for level in (0, peak):
        preview = preview_of(np.full(size, level, dtype), depth)
        assert preview.dtype == np.uint8
        assert min(preview.shape) >= 8
        assert preview.shape[1] <= 256
        assert np.all(preview == (255 if level else 0))
