"""Rows of `bench_film.py` for single pictures: scratches, creases and specks, with seeds that nothing was tuned on.

F1 over pixels (changed by 6/255 or more, a pixel's tolerance), PSNR won inside the damage, and samples outside it that
were changed by more than 2/255: ours as it comes; our filling told the true mask; OpenCV's inpainting told the true
mask; a median, which needs none.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import torch
from film_dust import changed, f1, gain, grown, off_outside, quantised
from film_fading import picture

from restore.damage.creases import PrintDamage
from restore.frames import ColorInfo, FrameBatch, PixelFormat, VideoFormat
from restore.pipeline.contract import Device
from restore.stages import build_stage
from restore.stages.retouch.fill import fill

SEED = 9501
DAMAGES = {
    "as worn": {},
    "scratches": {"creases": 0.0, "specks": 0.0, "hairs": 0.0, "scratches": 8.0},
    "creases": {"creases": 2.0, "specks": 0.0, "hairs": 0.0, "scratches": 0.0},
    "specks": {"creases": 0.0, "specks": 45.0, "hairs": 2.0, "scratches": 0.0},
}


def retouched(pixels: torch.Tensor) -> tuple[torch.Tensor, np.ndarray]:
    """Our repair of one picture, and its mask, (1, H, W)."""
    height, width = pixels.shape[-2:]
    form = VideoFormat(width, height, PixelFormat("rgb", 8), ColorInfo(), Fraction(1, 25), Fraction(25))
    stage = build_stage("retouch")
    with stage:
        stage.open(Device(torch.device("cpu"), "fp32"), form)
        done = stage.process(FrameBatch(pixels, (0,), slice(0, 1), (True,), 0, form), stage.told({}))
    assert isinstance(done, tuple)
    return quantised(done[0]), done[1][:, 0].numpy()


def closed(pixels: torch.Tensor, mask: np.ndarray, method: int) -> torch.Tensor:
    """OpenCV's inpainting of a picture whose damage is known."""
    eight = np.ascontiguousarray((pixels[0] * 255).round().byte().permute(1, 2, 0).numpy())
    return torch.from_numpy(cv2.inpaint(eight, mask[0].astype(np.uint8), 3, method)).permute(2, 0, 1)[None] / 255


def rows(material: Path) -> Iterator[str]:
    """Markdown, a line at a time."""
    held = sorted((material.parent / "train" / "photos").glob("*"))
    held = [path for number, path in enumerate(held) if number % 7 == 3][::24]
    groups = {"held-back photographs": held, "Kodak": sorted((material / "images" / "kodak").glob("*.png"))}
    yield "| pictures, damage | F1 | ours, dB / % off | our filling, true mask | Telea, so | NS, so | median 5 |"
    yield "|---|---|---|---|---|---|---|"
    for group, paths in groups.items():
        for kind, settings in DAMAGES.items():
            scores = []
            for number, path in enumerate(paths):
                clean = quantised(picture(path))
                worn = quantised(PrintDamage(seed=SEED + number, **settings).apply(clean))
                truth = changed(worn, clean)
                if not truth.any():
                    continue
                done, mask = retouched(worn)
                told = grown(truth)
                eight = np.ascontiguousarray((worn[0] * 255).round().byte().permute(1, 2, 0).numpy())
                here = np.ascontiguousarray(worn[0].permute(1, 2, 0).numpy())
                others = (
                    quantised(torch.from_numpy(fill(here, told[0], 0)).permute(2, 0, 1)[None]),
                    closed(worn, told, cv2.INPAINT_TELEA),
                    closed(worn, told, cv2.INPAINT_NS),
                    torch.from_numpy(cv2.medianBlur(eight, 5)).permute(2, 0, 1)[None] / 255,
                )
                scores.append(
                    [f1(mask, truth), gain(done, worn, clean, truth), off_outside(done, worn, truth)]
                    + [gain(other, worn, clean, truth) for other in others]
                )
            mean = np.mean(scores, axis=0)
            won = " | ".join(f"{value:.1f}" for value in mean[3:])
            yield f"| {group}, {kind} | {mean[0]:.3f} | {mean[1]:.1f} / {mean[2]:.3f} | {won} |"
    for group, paths in groups.items():
        shares = [100 * float(retouched(quantised(picture(path)))[1].mean()) for path in paths]
        yield f"\nRepaired of sound {group}: {np.mean(shares):.4f} % of pixels, at most {max(shares):.4f} %"
