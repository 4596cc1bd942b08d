"""Measure an engine of `restore reage`: ages, texture, identity, steadiness, whom it touches, speed; print Markdown.

    RESTORE_TEST_MATERIAL=... python scripts/bench_reage.py [ages steady still only coverage ...] [--model sift]
    python scripts/bench_reage.py ages --faces held-back --train PICTURES --every 4     # to tune by

Tune by the portraits that are held back of a training folder (`reage_stills.held_back`), never by the test material.
Each part's protocol is told in the module that makes its rows: `reage_stills.py` (with `reage_ages.py`,
`reage_measures.py`, `reage_peers.py`) and `reage_clips.py`.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterable
from pathlib import Path

import cv2
import reage_clips
import reage_stills
import torch

PARTS = ("ages", "steady", "still", "only", "coverage", "speed", "memory")


@torch.inference_mode()
def main() -> None:
    shared = Path(__file__).resolve().parent.parent.parent / "shared"
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"which parts: {', '.join(PARTS)}; all by default")
    parser.add_argument("--model", default="auto", help="engine, or a checkpoint's path")
    parser.add_argument("--faces", choices=("test", "held-back"), default="test")
    parser.add_argument("--train", type=Path, default=shared / "train", help="folder with portraits.csv and portraits/")
    parser.add_argument("--limit", type=int, help="portraits at most")
    parser.add_argument("--every", type=int, default=1, help="only one portrait in so many")
    parser.add_argument(
        "--keep", type=Path, help="file in which portraits' measures are noted: a run goes on from there"
    )
    parser.add_argument("--frames", type=int, default=24, help="of each clip")
    args = parser.parse_args()
    material = Path(os.environ.get("RESTORE_TEST_MATERIAL", shared / "test"))
    if not (material / "weights").is_dir():
        raise SystemExit(f"there is no test material in {material}: set RESTORE_TEST_MATERIAL")
    cv2.setNumThreads(1)
    parts: dict[str, Callable[[], Iterable[str]]] = {
        "ages": lambda: reage_stills.rows(
            args.faces, args.model, material, args.train, args.limit, args.every, args.keep
        ),
        "steady": lambda: reage_clips.steady_rows(args.model, material, args.frames),
        "still": lambda: reage_clips.still_rows(args.model, material),
        "only": lambda: reage_clips.only_rows(args.model, material),
        "coverage": lambda: reage_clips.coverage_rows(args.model, material),
        "speed": lambda: reage_clips.speed_rows(args.model, material, args.frames),
        "memory": lambda: reage_clips.memory_rows(args.model, material),
    }
    for part in args.parts or PARTS:
        if part not in parts:
            raise SystemExit(f"there is no part {part}: {', '.join(PARTS)}")
    print(f"| what ({args.model}) | at least | measured |\n|---|---|---|")
    for part in args.parts or PARTS:
        for line in parts[part]():
            print(line, flush=True)


if __name__ == "__main__":
    main()
