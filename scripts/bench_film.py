"""Measure the stages of old-film repair beside FFmpeg's filters; print Markdown.

    RESTORE_TEST_MATERIAL=... python scripts/bench_film.py [--only deflicker]

Real clips are damaged by frozen seeds, which tuning never saw, and repaired; the truth is known. Each stage's rows are
made in a module of its own (`bench_film_….py`).
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from pathlib import Path

import torch
from bench_film_steady import Row, flicker_rows, weave_rows

ROOT = Path(__file__).resolve().parent.parent
ROWS: dict[str, Callable[[Path], list[Row]]] = {"deflicker": flicker_rows, "stabilize": weave_rows}


@torch.inference_mode()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    material = os.environ.get("RESTORE_TEST_MATERIAL", str(ROOT.parent / "shared" / "test"))
    parser.add_argument("--material", type=Path, default=Path(material), help="default: RESTORE_TEST_MATERIAL")
    parser.add_argument("--only", choices=sorted(ROWS), action="append")
    args = parser.parse_args()
    if not (args.material / "video").is_dir():
        raise SystemExit(f"there are no films in {args.material}/video: set RESTORE_TEST_MATERIAL")
    print("| stage | measure | ours | FFmpeg |\n|---|---|---|---|")
    for name in args.only or ROWS:
        for row in ROWS[name](args.material):
            print("| " + " | ".join(row) + " |", flush=True)


if __name__ == "__main__":
    main()
