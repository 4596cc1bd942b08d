"""Fit what `refade` judges a shot by: which share of each dye is left and how much stain lies on it, from its levels.

    python scripts/fit_refade.py ../shared/train/photos

Photographs are faded by `restore.damage.fading` with seeds of their own; of every seven photographs two are used, and
the fourth is left for measuring. Prints the tables of `restore/stages/refade/estimate.py`.
"""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import torch

from restore.damage.fading import KINDS, density, sample_fading
from restore.stages.refade.estimate import Levels

Array = npt.NDArray[np.float64]


def picture(path: Path) -> torch.Tensor:
    """(1, 3, H, W), at most 448 pixels long."""
    loaded = cv2.imread(str(path))
    assert loaded is not None, path
    scale = 448 / max(loaded.shape[:2])
    small = cv2.resize(loaded, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)[:, :, ::-1]
    return torch.from_numpy(small.copy()).permute(2, 0, 1)[None].float() / 255


def line_through(clean: torch.Tensor, faded: torch.Tensor) -> list[float]:
    """Share and stain of red, green and blue that explain a fading best where the picture is not black."""
    shares, stains = [], []
    for x, y in zip(density(clean)[0].double(), density(faded)[0].double(), strict=True):
        weight = (x < 2.8) * 10 ** (-x / 2.2)
        total = weight.sum() + 1e-9
        middle_x, middle_y = (weight * x).sum() / total, (weight * y).sum() / total
        spread = (weight * (x - middle_x) ** 2).sum().clamp(min=1e-6)
        shares.append(float((weight * (x - middle_x) * (y - middle_y)).sum() / spread))
        stains.append(float(middle_y - shares[-1] * middle_x))
    return shares + stains


def solved(rows: list[Array], truths: list[list[float]], weights: list[float]) -> Array:
    """Ridge regression."""
    x, y, w = np.stack(rows), np.array(truths), np.array(weights)[:, None]
    found: Array = np.linalg.solve((x * w).T @ x + 0.3 * np.eye(x.shape[1]), (x * w).T @ y)
    return found


def main() -> None:
    torch.set_num_threads(1)
    rows: list[Array] = []
    truths, weights = [], []
    for number, path in enumerate(sorted(Path(sys.argv[1]).iterdir())):
        if number % 7 > 1:
            continue
        clean = picture(path)
        grey = clean.mean(1, keepdim=True).expand_as(clean)
        for sound in (clean, grey):
            rows.append(Levels.of(sound).features())
            truths.append([1.0] * 3 + [0.0] * 3)
            weights.append(2.0)
        for place, kind in enumerate(KINDS):
            faded = (sample_fading(1000 + number * 10 + place, kind).apply(clean) * 255).round() / 255
            rows.append(Levels.of(faded).features())
            truths.append(line_through(grey if kind == "silver" else clean, faded))
            weights.append(1.0)
    only = [n for n, weight in enumerate(weights) if weight == 1.0]
    for name, chosen in (("_JUDGE", range(len(rows))), ("_REPAIR", only)):
        table = solved([rows[n] for n in chosen], [truths[n] for n in chosen], [weights[n] for n in chosen])
        print(f"{name} =", [[round(float(value), 4) for value in row] for row in table])


if __name__ == "__main__":
    main()
