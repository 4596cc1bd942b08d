"""Measure the stages of old-film repair on damage whose truth is known, beside FFmpeg's filters; print Markdown.

    RESTORE_TEST_MATERIAL=... python scripts/bench_film.py [deflicker stabilize dust marked rain grain harm ...]

Real clips are damaged with seeds and shapes that nothing was tuned on, and repaired. Each part's rows are made, and its
protocol told, in a module of its own: `bench_film_steady.py`, `film_dust.py`, `film_grain.py`,
`film_whole.py`, `film_fading.py`, `film_retouch.py`.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import film_dust
import film_fading
import film_grain
import film_retouch
import film_whole
import torch
from bench_film_steady import Row, flicker_rows, weave_rows


def table(rows: Callable[[Path], Iterable[Row]]) -> Callable[[Path], Iterator[str]]:
    """Rows of a stage against FFmpeg as lines of Markdown."""

    def lines(material: Path) -> Iterator[str]:
        yield "| stage | measure | ours | FFmpeg |\n|---|---|---|---|"
        for row in rows(material):
            yield "| " + " | ".join(row) + " |"

    return lines


PARTS: dict[str, Callable[[Path], Iterable[str]]] = {
    "deflicker": table(flicker_rows),
    "stabilize": table(weave_rows),
    "dust": lambda material: film_dust.rows(material / "video"),
    "marked": lambda material: film_dust.real(material / "video"),
    "rain": lambda material: film_dust.rain_rows(material / "video"),
    "grain": film_grain.rows,
    "fading": film_fading.rows,
    "retouch": film_retouch.rows,
    "harm": film_whole.harm_rows,
    "speed": film_whole.speed_rows,
}


@torch.inference_mode()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help="which parts; all by default")
    wanted = parser.parse_args().parts or list(PARTS)
    default = Path(__file__).resolve().parent.parent.parent / "shared" / "test"
    material = Path(os.environ.get("RESTORE_TEST_MATERIAL", default))
    if not (material / "video").is_dir():
        raise SystemExit(f"there are no films in {material}/video: set RESTORE_TEST_MATERIAL")
    for part in wanted:
        print(f"## {part}\n", flush=True)
        for line in PARTS[part](material):
            print(line, flush=True)


if __name__ == "__main__":
    main()
