"""Fit how `restore dedust` judges patches (`restore/stages/dedust/judge.py`), and print the weights.

    python scripts/fit_dedust.py CLIPS...

Films and photographs are dirtied with `Dust` of the polygon shape (the benchmark's shapes and seeds are others), with
and without grain; photographs become films by panning over them while pieces of them fly past.
A logistic regression over the features, their squares and products then tells the patches that lie on dirt from those
that do not, weighted by the root of their area. Cross-validated clip by clip.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import numpy.typing as npt
import torch

from restore.damage import Damage, Dust
from restore.stages.dedust.detect import Limits, candidate_levels
from restore.stages.dedust.judge import expanded
from restore.stages.dedust.neighbours import Lumas

FRAMES = 7
GRAINS = (0.0, 0.02)
FILMS: tuple[dict[str, Any], ...] = ({}, {"specks": 120.0, "radius": 1.0, "hairs": 3.0, "opacity": (0.2, 0.9)})
"""An ordinary print, and one that is dirty all over."""
LOOSE = Limits(odds=-np.inf)
"""All patches are measured wholly."""


def read_clip(path: Path) -> torch.Tensor:
    """(FRAMES, 3, H, W): consecutive frames a third into a film, or a pan over a photograph."""
    if path.suffix.lower() in (".jpg", ".png"):
        rows = panned(np.ascontiguousarray(cv2.imread(str(path))[..., ::-1]))
    else:
        with av.open(str(path)) as container:
            frames = [frame.to_ndarray(format="rgb24") for _, frame in zip(range(60), container.decode(video=0))]  # noqa: B905
        start = len(frames) // 3
        rows = frames[start : start + FRAMES]
    return torch.from_numpy(np.stack(rows)).permute(0, 3, 1, 2).float() / 255


def panned(picture: npt.NDArray[np.uint8]) -> list[npt.NDArray[np.uint8]]:
    """A pan over a photograph, before which three pieces of it fly past, fast, each in its own direction."""
    height, width = picture.shape[:2]
    small = (width // 4 * 3, height // 4 * 3)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    rows = []
    for number in range(FRAMES):
        matrix = np.array(((0.8, 0, 5 + 4.3 * number), (0, 0.8, 10 + 1.7 * number)), np.float32)
        frame = cv2.warpAffine(picture, matrix, small, flags=flags)
        for piece, (vx, vy, radius) in enumerate(((11.0, 3.0, 34), (-16.0, 1.0, 18), (6.0, -9.0, 9))):
            x = small[0] * (0.3 + 0.2 * piece) + vx * (number - FRAMES // 2)
            y = small[1] * (0.35 + 0.15 * piece) + vy * (number - FRAMES // 2)
            mask = np.zeros((small[1], small[0]), np.float32)
            cv2.ellipse(mask, (round(x), round(y)), (round(radius * 1.6), radius), 20.0 * piece, 0, 360, 1.0, -1)
            blur = (max(3, round(abs(vx) / 2)), max(3, round(abs(vy) / 2)))
            mask = cv2.blur(mask, blur)[..., None]
            shift = np.array(((0.8, 0, width * 0.2 - 0.8 * x), (0, 0.8, height * 0.6 - 0.8 * y)), np.float32)
            flying = cv2.warpAffine(picture, shift, small, flags=flags, borderMode=cv2.BORDER_REFLECT)
            frame = (frame * (1 - mask) + cv2.blur(flying, blur) * mask).astype(np.uint8)
        rows.append(frame)
    return rows


def luma(pixels: torch.Tensor) -> npt.NDArray[np.float32]:
    return np.asarray(torch.einsum("nchw,c->nhw", pixels, torch.tensor([0.2126, 0.7152, 0.0722])), np.float32)


def patches(film: torch.Tensor, truth: npt.NDArray[np.bool_]) -> Iterator[tuple[npt.NDArray[np.float64], float, float]]:
    """(features, share that is dirt, weight) of every candidate on the middle frames."""
    lumas = Lumas()
    lumas.see(list(range(len(film))), list(luma(film)))
    for n in range(2, FRAMES - 2, 2):
        spread = cv2.dilate(truth[n].astype(np.float32), np.ones((3, 3), np.uint8))
        for level, (labels, table) in enumerate(
            candidate_levels(lumas.views(n), lumas.spikes(n), LOOSE, lumas.context(n))
        ):
            here = cv2.resize(spread, labels.shape[::-1], interpolation=cv2.INTER_AREA)
            areas = np.bincount(labels.ravel(), minlength=len(table))
            share = np.bincount(labels.ravel(), (here > 0.3).ravel(), len(table)) / np.maximum(areas, 1)
            for label in range(1, len(table)):
                yield table[label], float(share[label]), min(60.0, areas[label] * 4.0**level) ** 0.5


def fit(x: torch.Tensor, y: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Weights and offset of a logistic regression, a little ridge on standardised features."""
    mean, deviation = x.mean(0), x.std(0)
    scaled = torch.cat(((x - mean) / deviation, torch.ones(len(x), 1, dtype=x.dtype)), 1)
    found = torch.zeros(x.shape[1] + 1, dtype=x.dtype, requires_grad=True)
    optimiser = torch.optim.LBFGS([found], max_iter=200, line_search_fn="strong_wolfe")

    def step() -> torch.Tensor:
        optimiser.zero_grad()
        each = torch.nn.functional.binary_cross_entropy_with_logits(scaled @ found, y, reduction="none")
        loss = (weight * each).sum() / weight.sum() + 1e-3 * (found[:-1] ** 2).sum()
        loss.backward()
        return loss

    optimiser.step(step)
    weights = found[:-1].detach() / deviation
    return torch.cat((weights, (found[-1].detach() - (weights * mean).sum())[None]))


def quality(odds: torch.Tensor, y: torch.Tensor, area: torch.Tensor) -> str:
    best = max(
        (float(2 * area[(odds > t) & (y > 0)].sum() / (area[odds > t].sum() + area[y > 0].sum())), t)
        for t in np.arange(-3, 4, 0.25)
    )
    return f"best F1 over candidates' areas {best[0]:.3f} at odds {best[1]:+.2f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", nargs="+", type=Path)
    clips = parser.parse_args().clips
    rows: list[tuple[npt.NDArray[np.float64], float, float, int]] = []
    for number, path in enumerate(clips):
        clip = read_clip(path)
        for grain, print_ in product(GRAINS, FILMS):
            clean = Damage(seed=number, grain=grain, grain_color=0).apply(clip)
            dirty = (Dust(seed=number + 1, **print_).apply(clean) * 255).round() / 255
            truth = ((dirty - clean).abs().amax(1) >= 5.9 / 255).numpy()
            for film, is_dirt in ((dirty, truth), (clean, truth & False)):
                rows += [(*row, number) for row in patches(film, is_dirt)]
    clear = [row for row in rows if row[1] < 0.1 or row[1] > 0.5]
    features = np.stack([row[0] for row in clear])
    means, deviations = features.mean(0).round(3), features.std(0).round(3)
    x = torch.tensor(expanded((features - means) / deviations))
    y = torch.tensor([float(row[1] > 0.5) for row in clear], dtype=x.dtype)
    weight = torch.tensor([row[2] for row in clear], dtype=x.dtype)
    clip_of = torch.tensor([row[3] for row in clear])
    odds = torch.zeros_like(y)
    for held in clip_of.unique():
        found = fit(x[clip_of != held], y[clip_of != held], weight[clip_of != held])
        odds[clip_of == held] = x[clip_of == held] @ found[:-1] + found[-1]
    print(f"{len(y)} patches, {int(y.sum())} of them dirt; held-out clips: {quality(odds, y, weight**2)}")
    found = fit(x, y, weight).tolist()
    for name, values in (("MEANS", means), ("DEVIATIONS", deviations), ("WEIGHTS", found[:-1])):
        print(f"{name} = ({', '.join(f'{value:.3f}' for value in values)})")
    print(f"OFFSET = {found[-1]:.3f}")


if __name__ == "__main__":
    main()
