"""Which frames of a shot stand for it: where the picture has become another than motion explains. Those worth painting
are written out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
import torch

from restore.analysis.flow import Small, flow_between, moved
from restore.colorimetry import luma_weights
from restore.frames import Frame, PixelFormat, Shot, VideoFormat
from restore.media import color
from restore.media.picture_files import SRGB
from restore.media.pictures import write_picture
from restore.media.source import Source
from restore.stages.colorize.enlarge import plan_size, reduced

LONGEST = 24
"""Frames after which a network is asked again, at the latest."""
_CHANGED = 14.0
"""Mean difference of luma (of 255) after which it is asked sooner."""
_SOONEST = 6
_LOOKS = 12
"""Frames between looks for new content."""
_UNLIKE = 14.0
_NEW = 0.3
"""Share of the picture that must be new for a frame to be worth painting."""


class ChangeChooser:
    """Frames to ask a network about: every second or so, sooner where much has changed. Cheap."""

    def __init__(self) -> None:
        self._last: tuple[int, Small] | None = None

    def wants(self, number: int, picture: Small) -> bool:
        """Whether a frame, by number from the shot's first, is one; frames are shown in order."""
        if self._last is not None:
            since = number - self._last[0]
            changed = np.abs(picture[::4, ::4].astype(np.int16) - self._last[1][::4, ::4]).mean()
            if since < LONGEST and (since < _SOONEST or changed <= _CHANGED):
                return False
        self._last = number, picture
        return True


def new_content(known: Small, now: Small) -> float:
    """Share of a picture, 0 to 1, that cannot be found in another by motion."""
    seen = moved(known.astype(np.float32), flow_between(now, known))
    unlike = cv2.blur(np.abs(now.astype(np.float32) - seen), (7, 7))
    return float((unlike > _UNLIKE).mean())


class ContentChooser:
    """Frames worth painting: the first of a shot that is not dark, and each that holds much that is new."""

    def __init__(self) -> None:
        self._known: list[Small] = []

    def wants(self, number: int, picture: Small) -> bool:
        """As `ChangeChooser.wants`."""
        if not self._known:
            if float(picture.mean()) < 16:  # black, or a fade's beginning
                return False
        elif number % _LOOKS or min(new_content(known, picture) for known in self._known[-3:]) < _NEW:
            return False
        self._known.append(picture)
        return True


def _luma(frame: Frame, format: VideoFormat) -> torch.Tensor:
    """(1, H, W) in [0, 1]."""
    planes = tuple(torch.from_numpy(plane)[None] for plane in frame.planes)
    if format.pixel.model == "rgb":
        kr, kb = luma_weights("bt709")
        red, green, blue = color.to_rgb(planes, format.pixel, format.color)[0]
        weighted: torch.Tensor = (kr * red + (1 - kr - kb) * green + kb * blue)[None].clamp(0, 1)
        return weighted
    luma: torch.Tensor = color.normalise(planes[0], format.pixel, format.color.range).clamp(0, 1)
    return luma


def name_of(shot: Shot, number: int) -> str:
    """What the picture of a frame is called; `stills_in` reads the frame from it."""
    return f"shot-{shot.number + 1:04d}_frame-{number:07d}.png"


def export(source: Source, shots: Sequence[Shot], folder: Path, on_frame: Callable[[], None]) -> list[Path]:
    """Write the frames worth painting as grey RGB pictures of 8 bits; those that are there already stay.

    Of a shot that is dark all through, the middle frame is written.
    """
    size = plan_size(source.format.height, source.format.width)
    written: list[Path] = []
    frames = iter(source.frames())
    for shot in shots:
        chooser, chosen, middle = ContentChooser(), 0, None
        for number in range(shot.start, shot.end):
            luma = _luma(next(frames), source.format)
            picture = (reduced(luma, size)[0] * 255 + 0.5).to(torch.uint8).numpy()
            if number == (shot.start + shot.end) // 2:
                middle = number, luma
            if chooser.wants(number - shot.start, picture):
                written.append(_write(folder / name_of(shot, number), luma))
                chosen += 1
            on_frame()
        if not chosen and middle is not None:
            written.append(_write(folder / name_of(shot, middle[0]), middle[1]))
    return written


def _write(path: Path, luma: torch.Tensor) -> Path:
    if not path.exists():
        plane = (luma[0] * 255 + 0.5).to(torch.uint8).numpy()
        write_picture(path, (plane, plane, plane), PixelFormat("rgb", 8), SRGB)
    return path
