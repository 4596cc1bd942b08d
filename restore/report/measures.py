"""Numbers that say how a picture looks: noise, sharpness, contrast, and likeness where there is a truth."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from restore.pipeline.stills import Rgb
from restore.report.niqe import niqe

Luma = npt.NDArray[np.float32]
"""(H, W), 0 to 255."""
_NATURAL = 6
"""Pairs at most whose naturalness is measured: it is the slowest measure."""
_EQUAL = 99.0
"""dB that stand for equal pictures in means."""


def luma(picture: Rgb) -> Luma:
    """BT.709 luma."""
    weights = np.array([0.2126, 0.7152, 0.0722], np.float32)
    return np.asarray(picture.astype(np.float32) @ weights, np.float32)


def noise(picture: Luma) -> float:
    """Standard deviation of the noise, of 255: the median response of a Laplacian difference in the flatter half of
    the picture (after Immerkær 1996, with the median against edges)."""
    kernel = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)
    response = np.abs(cv2.filter2D(picture, cv2.CV_32F, kernel))[1:-1, 1:-1]
    edges = cv2.blur(np.abs(cv2.Laplacian(cv2.GaussianBlur(picture, (0, 0), 2), cv2.CV_32F)), (9, 9))[1:-1, 1:-1]
    flat = response[edges <= np.median(edges)] if edges.size else response
    return float(np.median(flat) / (0.6745 * 6)) if flat.size else 0.0


def sharpness(picture: Luma) -> float:
    """How steep the steepest edges are: the 99th percentile of the gradient over that of a blurred copy.

    1 where blurring changes nothing, because the picture is soft already.
    """
    soft = np.asarray(cv2.GaussianBlur(picture, (0, 0), 1.5), np.float32)
    sharp, blurred = (float(np.percentile(_gradient(p), 99)) for p in (picture, soft))
    return sharp / blurred if blurred > 1e-3 else 1.0


def _gradient(picture: Luma) -> Luma:
    steepness = np.hypot(cv2.Sobel(picture, cv2.CV_32F, 1, 0), cv2.Sobel(picture, cv2.CV_32F, 0, 1))
    return np.asarray(steepness, np.float32)


def psnr(picture: Rgb, truth: Rgb) -> float:
    """Peak signal-to-noise ratio in dB, over RGB; infinite for equal pictures."""
    error = float(np.mean((picture.astype(np.float64) - truth) ** 2))
    return 10 * float(np.log10(255**2 / error)) if error else float("inf")


def ssim(picture: Luma, truth: Luma) -> float:
    """Structural similarity of luma (Wang and others 2004), with a Gaussian window of 1.5 pixels."""

    def mean(values: Luma) -> Luma:
        return np.asarray(cv2.GaussianBlur(values, (11, 11), 1.5), np.float32)

    first, second = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    a, b = mean(picture), mean(truth)
    spread_a, spread_b = mean(picture * picture) - a * a, mean(truth * truth) - b * b
    together = mean(picture * truth) - a * b
    found = (2 * a * b + first) * (2 * together + second) / ((a * a + b * b + first) * (spread_a + spread_b + second))
    return float(found.mean())


def flicker(brightness: Sequence[Luma]) -> float | None:
    """How far a frame's brightness is from its neighbours' mean, of frames' mean brightness in runs; None of too few.

    The standard deviation of independent changes that would look so, from the median, which knows nothing of cuts.
    """
    bends = [run[1:-1] - (run[:-2] + run[2:]) / 2 for run in brightness if len(run) > 2]
    every = np.concatenate(bends) if bends else np.zeros(0)
    every = every[np.isfinite(every)]
    return float(np.median(np.abs(every))) / 0.6745 / 1.5**0.5 if len(every) else None


@dataclass(frozen=True)
class Measured:
    """One measure of both films."""

    name: str
    before: float
    after: float
    unit: str
    meaning: str


def measure(
    looks: Sequence[tuple[Rgb, Rgb]], truths: Sequence[Rgb] = (), size: tuple[int, int] | None = None
) -> list[Measured]:
    """Means over pairs of pictures (before, after) of one size; with a truth for each, likeness to it too.

    Noise and sharpness are read at `size` (width, height), that of the smaller film: enlarging blurs what it shows.
    """
    if not looks:
        return []
    lumas = [(luma(before), luma(after)) for before, after in looks]
    if size is not None and size < looks[0][0].shape[1::-1]:
        lumas = [(_reduced(before, size), _reduced(after, size)) for before, after in lumas]

    def row(name: str, function: Callable[[Luma], float], unit: str, meaning: str) -> Measured:
        before, after = (float(np.mean([function(pair[side]) for pair in lumas])) for side in (0, 1))
        return Measured(name, before, after, unit, meaning)

    rows = [
        row("noise", noise, "of 255", "standard deviation in flat parts"),
        row("sharpness", sharpness, "", "steepest edges over those of a blurred copy; 1 is soft"),
        row("contrast", lambda picture: float(np.std(picture)), "of 255", "standard deviation of luma"),
    ]
    looked = looks[:: -(-len(looks) // _NATURAL)]
    natural = [[niqe(luma(pair[side])) for pair in looked] for side in (0, 1)]
    known = [(a, b) for a, b in zip(*natural, strict=True) if a is not None and b is not None]
    if known:
        before, after = (_mean([pair[side] for pair in known]) for side in (0, 1))
        rows.append(
            Measured("NIQE", before, after, "", "distance from good photographs, as shown here; less is better")
        )
    if truths:
        equal = [
            [min(_EQUAL, psnr(pair[side], true)) for pair, true in zip(looks, truths, strict=True)] for side in (0, 1)
        ]
        alike = [[ssim(luma(pair[side]), luma(true)) for pair, true in zip(looks, truths, strict=True)]
                 for side in (0, 1)]  # fmt: skip
        rows.append(Measured("PSNR", _mean(equal[0]), _mean(equal[1]), "dB", "against the truth"))
        rows.append(Measured("SSIM", _mean(alike[0]), _mean(alike[1]), "", "of luma, against the truth"))
    return rows


def _reduced(picture: Luma, size: tuple[int, int]) -> Luma:
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.float32)


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values))
