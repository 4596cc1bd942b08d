"""Measure how near the true colours a network's proposals come, on colour pictures turned grey; print Markdown.

    RESTORE_TEST_MATERIAL=... python scripts/bench_color_pictures.py --pictures PICTURES

Protocol. A colour picture's BT.709 luma, rounded to 8 bits, is what the stage is given. CIEDE2000 is the mean over all
pixels of a picture, then over pictures, against the picture it was made from; "left grey" is the luma itself.
Saturation is the mean CIELAB chroma of all results beside that of the truth. Nobody helps: no hints, no references.
"""

from __future__ import annotations

import argparse
import csv
import os
import platform
import subprocess
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import torch

from restore import api
from restore.colorimetry import delta_e, rgb_to_lab

ROOT = Path(__file__).resolve().parent.parent
LUMA = np.array((0.2126, 0.7152, 0.0722))
Picture = npt.NDArray[np.uint8]


def read_picture(path: Path) -> Picture:
    """(H, W, 3) RGB bytes."""
    found = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if found is None:
        raise SystemExit(f"cannot read {path}")
    return np.ascontiguousarray(found[..., ::-1])


def grey_of(picture: Picture) -> Picture:
    """Its luma in all three channels."""
    luma = np.round(picture @ LUMA).astype(np.uint8)
    return np.repeat(luma[..., None], 3, -1)


def lab_of(picture: Picture) -> torch.Tensor:
    """(1, 3, H, W) CIELAB."""
    return rgb_to_lab(torch.from_numpy(picture).permute(2, 0, 1)[None].float() / 255)


def chroma_of(lab: torch.Tensor) -> float:
    """Mean chroma."""
    return float(lab[:, 1:].norm(dim=1).mean())


def held_back_pictures(sources: Path, pictures: Path) -> dict[str, list[Path]]:
    """The pictures that reel-colorize did not learn from, photographs and portraits apart."""
    with sources.open(newline="", encoding="utf-8") as file:
        names = [row["file"] for row in csv.DictReader(file) if row["use"] != "training"]
    return {
        f"held-back {kind}": [pictures / name for name in names if name.startswith(f"{kind}/")]
        for kind in ("photos", "portraits")
    }


class Results:
    """What one network, or none, made of pictures: error, error of grey, chroma, true chroma of each."""

    def __init__(self, found: list[tuple[float, float, float, float]]) -> None:
        self.error, self.grey, self.chroma, self.true_chroma = np.array(found).T

    def row(self, name: str, model: str) -> str:
        """A row of the Markdown table."""
        below = 1 - self.error.mean() / self.grey.mean()
        worse = int((self.error > self.grey).sum())
        saturation = self.chroma.mean() / self.true_chroma.mean()
        figures = f"{self.grey.mean():.2f} | {self.error.mean():.2f} | {below:.1%} | {worse} | {saturation:.2f}"
        return f"| {name} ({len(self.error)}) | {model} | {figures} |"


def measured(paths: list[Path], model: str) -> list[tuple[float, float, float, float]]:
    """Each picture's figures, as `Results` takes them."""
    found = []
    for path in paths:
        truth = read_picture(path)
        grey = grey_of(truth)
        lab, said = lab_of(truth), lab_of(api.apply("colorize", grey[None], model=model)[0])
        errors = float(delta_e(said, lab).mean()), float(delta_e(lab_of(grey), lab).mean())
        found.append((*errors, chroma_of(said), chroma_of(lab)))
    return found


def table(sets: dict[str, list[Path]], models: list[str]) -> list[str]:
    """A Markdown table: for each network, each set; those held back also together."""
    rows = ["| pictures | network | left grey | coloured | below grey | worse than grey | saturation |"]
    rows += ["|---|---|---|---|---|---|---|"]
    for model in models:
        found = {name: measured(paths, model) for name, paths in sets.items()}
        rows += [Results(figures).row(name, model) for name, figures in found.items()]
        together = [figure for name in found if name.startswith("held-back") for figure in found[name]]
        if together:
            rows.append(Results(together).row("held-back, all", model))
    return rows


def machine() -> str:
    """What it ran on, and at which commit."""
    command = ["git", "rev-parse", "--short", "HEAD"]
    commit = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return f"{platform.machine()}, {os.cpu_count()} cores, torch {torch.__version__}, commit {commit.stdout.strip()}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=Path, help="the training folder, for the pictures held back from it")
    parser.add_argument("--model", action="append", dest="models", help="networks to measure; default reel-colorize")
    args = parser.parse_args()
    cv2.setNumThreads(1)
    material = Path(os.environ.get("RESTORE_TEST_MATERIAL", ROOT.parent / "shared" / "test"))
    print(f"\n{machine()}\n")
    sets = {"Kodak 1–12": sorted((material / "images" / "kodak").glob("kodim*.png"))}
    if args.pictures:
        sets |= held_back_pictures(ROOT / "models" / "reel-colorize" / "SOURCES.csv", args.pictures)
    print("\n".join(table(sets, args.models or ["reel-colorize"])))


if __name__ == "__main__":
    main()
