"""Fit what `restore.report.niqe` takes for good photographs, and see whether it knows good from bad.

    python scripts/fit_niqe.py ../shared/train/photos restore/report/niqe.npz

Photographs at least 600 pixels long; every seventh is held back. Of the rest, patches in focus are counted. Then the
held-back ones are spoilt, each kind worse step by step, and their mean is printed, beside the rank correlation with
basicsr's NIQE where that is installed (it has the paper's own photographs in it).
"""

from __future__ import annotations

import argparse
import io
import sys
import types
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from scipy.stats import spearmanr
from torchvision.transforms import functional

from restore.report import niqe as model

Plane = npt.NDArray[np.float32]
SEED = 7


def luma(path: Path) -> Plane | None:
    picture = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    return picture.astype(np.float32) if picture is not None and max(picture.shape) >= 600 else None


def blurred(sigma: float) -> Callable[[Plane], Plane]:
    return lambda picture: np.asarray(cv2.GaussianBlur(picture, (0, 0), sigma), np.float32)


def noisy(sigma: float) -> Callable[[Plane], Plane]:
    noise = np.random.default_rng(SEED)
    return lambda picture: (picture + noise.normal(0, sigma, picture.shape)).clip(0, 255).round().astype(np.float32)


def coded(quality: int) -> Callable[[Plane], Plane]:
    def through(picture: Plane) -> Plane:
        _, data = cv2.imencode(".jpg", picture.astype(np.uint8), [cv2.IMWRITE_JPEG_QUALITY, quality])
        return cv2.imdecode(data, cv2.IMREAD_GRAYSCALE).astype(np.float32)

    return through


SPOILT: dict[str, list[tuple[str, Callable[[Plane], Plane]]]] = {
    "blur, pixels": [(f"{sigma:g}", blurred(sigma)) for sigma in (1, 2, 4)],
    "noise, of 255": [(f"{sigma:g}", noisy(sigma)) for sigma in (4, 10, 25)],
    "JPEG quality": [(f"{quality}", coded(quality)) for quality in (60, 30, 10)],
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path)
    parser.add_argument("model", type=Path)
    parser.add_argument("--tested", type=int, default=12, help="held-back photographs that are spoilt")
    asked = parser.parse_args()
    pictures = [path for path in sorted(asked.photos.iterdir()) if luma(path) is not None]
    held = pictures[3::7]
    patches = []
    for path in pictures:
        if path not in held:
            found, sharp = model.features(luma(path))
            patches.append(found[model.sharpest(sharp)])
    rows = np.concatenate(patches)
    rows = rows[np.isfinite(rows).all(1)]
    facts = {"mean": rows.mean(0).astype(np.float32), "spread": np.cov(rows, rowvar=False).astype(np.float32)}
    data = io.BytesIO()
    np.savez(data, **facts)
    asked.model.write_bytes(data.getvalue())
    print(f"{len(rows)} patches of {len(pictures) - len(held)} photographs\n")
    tested = [luma(path) for path in held[: asked.tested]]
    print("| held-back photographs | as they are | a little | more | much |\n|---|---|---|---|---|")
    pairs: list[tuple[Plane, float]] = [(picture, model.niqe(picture)) for picture in tested]
    sound = np.mean([value for _, value in pairs])
    for kind, steps in SPOILT.items():
        cells = []
        for name, spoil in steps:
            scored = [(spoilt, model.niqe(spoilt)) for spoilt in map(spoil, tested)]
            pairs += scored
            cells.append(f"{np.mean([value for _, value in scored]):.2f} ({name})")
        print(f"| {kind} | {sound:.2f} | {' | '.join(cells)} |", flush=True)
    # basicsr imports a module that torchvision removed; its one function lives on elsewhere.
    stand_in = types.ModuleType("torchvision.transforms.functional_tensor")
    stand_in.rgb_to_grayscale = functional.rgb_to_grayscale  # type: ignore[attr-defined]
    sys.modules.setdefault(stand_in.__name__, stand_in)
    try:
        from basicsr.metrics.niqe import calculate_niqe
    except ImportError:
        print("\nbasicsr is not installed: nothing to compare with")
        return
    others = [calculate_niqe(picture, 0, input_order="HW", convert_to="gray") for picture, _ in pairs[::3]]
    print(f"\nrank correlation with basicsr's: {spearmanr([value for _, value in pairs[::3]], others).statistic:.3f}")


if __name__ == "__main__":
    main()
