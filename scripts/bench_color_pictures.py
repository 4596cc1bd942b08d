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


def automatic(sets: dict[str, list[Path]], models: list[str]) -> list[str]:
    """Rows of a Markdown table: for each set, grey and each network."""
    rows = ["| pictures | | CIEDE2000 | below grey | worse than grey | saturation |", "|---|---|---|---|---|---|"]
    for name, paths in sets.items():
        truths = [read_picture(path) for path in paths]
        labs = [lab_of(truth) for truth in truths]
        greys = [grey_of(truth) for truth in truths]
        left = [float(delta_e(lab_of(grey), lab).mean()) for grey, lab in zip(greys, labs, strict=True)]
        rows.append(f"| {name} ({len(paths)}) | left grey | {np.mean(left):.2f} | | | 0 |")
        true_chroma = np.mean([chroma_of(lab) for lab in labs])
        for model in models:
            said = [lab_of(api.apply("colorize", grey[None], model=model)[0]) for grey in greys]
            errors = [float(delta_e(out, lab).mean()) for out, lab in zip(said, labs, strict=True)]
            worse = sum(error > grey for error, grey in zip(errors, left, strict=True))
            rows.append(
                f"| | {model} | {np.mean(errors):.2f} | {1 - np.mean(errors) / np.mean(left):.1%} | {worse}"
                f" | {np.mean([chroma_of(out) for out in said]) / true_chroma:.2f} |"
            )
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
    print("\n".join(automatic(sets, args.models or ["reel-colorize"])))


if __name__ == "__main__":
    main()
