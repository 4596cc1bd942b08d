"""Measure the old-film stages on damage whose truth is known, beside FFmpeg's filters; print Markdown.

    RESTORE_TEST_MATERIAL=... python scripts/bench_film.py [dust ...]

Protocol: clips are reduced to 640 pixels in width at most, damaged with seeds and shapes that nothing was tuned on, and
repaired; F1 is over pixels, the truth being a change of 6/255 or more, with a tolerance of one pixel.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import film_dust

PARTS = {"dust": film_dust.rows}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help="which stages; all by default")
    wanted = parser.parse_args().parts or list(PARTS)
    default = Path(__file__).resolve().parent.parent.parent / "shared" / "test"
    material = Path(os.environ.get("RESTORE_TEST_MATERIAL", default)) / "video"
    for part in wanted:
        print(f"## {part}\n", flush=True)
        for row in PARTS[part](material):
            print(row, flush=True)


if __name__ == "__main__":
    main()
