"""Makes `docs/pictures/`: crops of the samples side by side, as found, enlarged plainly, enlarged by `restore`.

    python scripts/make_pictures.py [FOLDER]

Everything shown is what `restore.run` makes of the samples with the default options; nothing is touched up. Run it
again after the default network or the samples change.
"""

from __future__ import annotations

import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import av
import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

import restore

ROOT = Path(__file__).parent.parent
SAMPLES = ROOT / "samples"
Picture = npt.NDArray[np.uint8]
"""(H, W, 3) RGB."""

_GAP, _CAPTION, _FONT, _ZOOM = 8, 36, 20, 2


@dataclass(frozen=True)
class View:
    """What to show of a sample: a frame, and a window in the pixels of the source."""

    name: str
    source: str
    original: str
    frame: int
    box: tuple[int, int, int, int]
    """Left, top, width, height."""


VIEWS = (
    View("cameraman", "old_reel.mp4", "old_reel_clean.mp4", 40, (66, 22, 96, 84)),
    View("cafe", "old_reel.mp4", "old_reel_clean.mp4", 84, (84, 34, 96, 84)),
    View("portrait", "portrait.mp4", "portrait_clean.mp4", 40, (82, 22, 96, 84)),
)


def frames_of(path: Path, wanted: set[int]) -> dict[int, Picture]:
    """Some frames of a film, as RGB."""
    with av.open(str(path)) as film:
        return {n: f.to_ndarray(format="rgb24") for n, f in enumerate(film.decode(video=0)) if n in wanted}


def window(picture: Picture, box: tuple[int, int, int, int], scale: int) -> Picture:
    """The window `box` of a picture that is `scale` times the source's size, each pixel shown as `_ZOOM` squared."""
    left, top, width, height = (side * scale for side in box)
    return np.repeat(np.repeat(picture[top : top + height, left : left + width], _ZOOM, axis=0), _ZOOM, axis=1)


def row(panels: list[tuple[str, Picture]]) -> Image.Image:
    """Pictures of one size side by side, a caption under each."""
    height, width = panels[0][1].shape[:2]
    sheet = Image.new("RGB", (len(panels) * (width + _GAP) - _GAP, height + _CAPTION), "white")
    draw = ImageDraw.Draw(sheet)
    for number, (caption, picture) in enumerate(panels):
        left = number * (width + _GAP)
        sheet.paste(Image.fromarray(np.ascontiguousarray(picture)), (left, 0))
        face = ImageFont.load_default(_FONT)
        draw.text((left + width / 2, height + _CAPTION / 2), caption, fill="black", font=face, anchor="mm")
    return sheet


def compare(view: View, enlarged: Path) -> Image.Image:
    """Source, bicubic, restore and the clean original of one view."""
    source, ours, truth = (
        frames_of(path, {view.frame})[view.frame] for path in (SAMPLES / view.source, enlarged, SAMPLES / view.original)
    )
    size = (source.shape[1] * 2, source.shape[0] * 2)
    found = cv2.resize(source, size, interpolation=cv2.INTER_NEAREST)
    bicubic = cv2.resize(source, size, interpolation=cv2.INTER_CUBIC)
    panels = (("source", found), ("bicubic", bicubic), ("restore upscale", ours), ("clean original", truth))
    return row([(caption, window(np.asarray(picture, np.uint8), view.box, 2)) for caption, picture in panels])


def make(folder: Path) -> None:
    """Enlarge the samples and write one picture a view."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        enlarged = {}
        for name in {view.source for view in VIEWS}:
            enlarged[name] = Path(scratch, name)
            restore.run(SAMPLES / name, enlarged[name], restore.Recipe.of("upscale", scale=2))
        for view in VIEWS:
            path = folder / f"{view.name}.png"
            compare(view, enlarged[view.source]).save(path, optimize=True)
            print(f"{path.stat().st_size:9,}  {path}")


if __name__ == "__main__":
    make(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs" / "pictures")
