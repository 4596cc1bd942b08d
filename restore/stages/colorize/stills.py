"""Coloured stills that a person hands in: read, checked before anything is rendered, laid onto their frames."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F

from restore.analysis.flow import Plane, Small, flow_between, moved
from restore.errors import OptionError, SourceError, SourceNotFoundError
from restore.frames import VideoFormat
from restore.media import color
from restore.media.pictures import is_picture, read_picture, upright
from restore.stages.colorize import chroma
from restore.times import parse_time

_NAMED = re.compile(r"frame-(\d+)")
_SMALLEST = 32
_LARGEST = 640
"""Stills are reduced to this longer side: the plan's chroma is smaller still."""
_COLOURLESS = 3.0
"""Length of a*, b* that the strongest hundredth of a still must reach."""
_SQUEEZE = 0.03
"""How far the shapes of a still and of its frame may differ."""
FITS = 0.55
"""Likeness from which a still is taken for the frame at its time."""


@dataclass(frozen=True)
class Still:
    """A coloured picture, and the time of its frame if it is one of the film's."""

    path: Path
    time: str | None = None

    @classmethod
    def parse(cls, text: str) -> Still:
        """Read ``PATH`` or ``PATH@TIME``. Raises OptionError."""
        head, mark, tail = text.rpartition("@")
        if not mark or Path(text).exists():
            return cls(Path(text))
        parse_time(tail, Fraction(120000, 1001))  # any rate: only the form counts here
        return cls(Path(head), tail)

    @cached_property
    def digest(self) -> str:
        """Of the file's content: another picture under the same name is another one."""
        try:
            return hashlib.sha256(self.path.read_bytes()).hexdigest()
        except OSError as error:
            raise SourceNotFoundError(f"{self.path}: a reference that cannot be read ({error.strerror})") from None

    def __getstate__(self) -> dict[str, object]:
        # Workers need what the analysis made of it, not the picture.
        return {"path": self.path, "time": self.time}

    def __setstate__(self, state: dict[str, object]) -> None:
        self.__dict__.update(state)

    @cached_property
    def rgb(self) -> torch.Tensor:
        """(1, 3, h, w) R'G'B', reduced. It is taken to be in the film's own primaries and transfer, as stills are that
        FFmpeg and paint programs take out of films. Raises SourceError, SourceNotFoundError."""
        picture = upright(read_picture(self.path))
        planes = tuple(torch.from_numpy(np.ascontiguousarray(plane))[None] for plane in picture.planes)
        rgb = color.to_rgb(planes, picture.pixel, picture.color)
        scale = min(1.0, _LARGEST / max(rgb.shape[2:]))
        size = [max(1, round(side * scale)) for side in rgb.shape[2:]]
        return F.interpolate(rgb, size, mode="area").clamp(0, 1) if scale < 1 else rgb.clamp(0, 1).contiguous()

    @property
    def has_colour(self) -> bool:
        """Whether it was painted, or taken, in colour."""
        chromas = chroma.ab_of(self.rgb).norm(dim=1).flatten()
        return float(chromas.kthvalue(max(1, round(0.99 * len(chromas))))[0]) >= _COLOURLESS

    def check(self, format: VideoFormat | None) -> None:
        """Raise OptionError, SourceError or SourceNotFoundError if this cannot lend a film of this format its colours;
        without a format, any film."""
        if not self.path.exists():
            raise SourceNotFoundError(f"{self.path}: no such reference")
        if not is_picture(self.path):
            raise SourceError(f"{self.path}: a reference must be a picture (PNG, TIFF, JPEG, WebP, DPX, OpenEXR)")
        height, width = self.rgb.shape[2:]
        if min(height, width) < _SMALLEST:
            raise OptionError(f"{self.path}: a reference of {width}x{height} is too small to tell anything")
        if not self.has_colour:
            raise OptionError(f"{self.path}: has no colour to lend; a reference is a picture in colour")
        if self.time is None or format is None:
            return
        w, h = format.width, format.height
        shapes = [w / h * aspect for aspect in (1.0, float(format.sample_aspect))]
        if all(abs(width / height / shape - 1) > _SQUEEZE for shape in shapes):
            raise OptionError(
                f"{self.path}: has the shape {width / height:.3f}:1, and the film's frames {shapes[0]:.3f}:1; crop or "
                "scale it to the frame, or leave out its time to have it matched by likeness"
            )


def stills_in(folder: Path) -> list[Still]:
    """The coloured frames in a folder, by the frame their names end in; those not painted yet are left out.

    Raises SourceNotFoundError, OptionError, SourceError.
    """
    if not folder.is_dir():
        raise SourceNotFoundError(f"{folder}: no such folder of references")
    named = [(path, _NAMED.search(path.stem)) for path in sorted(folder.iterdir()) if is_picture(path)]
    found = [Still(path, f"{int(name[1])}f") for path, name in named if name]
    if not found:
        raise OptionError(f"{folder}: holds no pictures named as --export-keyframes names them (…frame-0000066)")
    painted = [still for still in found if still.has_colour]
    if not painted:
        raise OptionError(f"{folder}: none of its {len(found)} pictures is in colour yet: paint some first")
    return painted


def _detail(luma: Plane) -> Plane:
    """Luma without its slow course and its contrast: what two prints of one frame have in common."""
    mean = cv2.GaussianBlur(luma, (0, 0), 6)
    contrast = cv2.GaussianBlur((luma - mean) ** 2, (0, 0), 6)
    return np.asarray((luma - mean) / np.sqrt(contrast + 16), np.float32)


def likeness(here: Small, there: Small) -> float:
    """Correlation of two pictures' detail, -1 to 1; 1 where they are one."""
    first, second = (_detail(picture.astype(np.float32)) for picture in (here, there))
    return float((first * second).mean() / max(1e-6, np.sqrt((first**2).mean() * (second**2).mean())))


@dataclass(frozen=True)
class Laid:
    """A still laid onto a frame."""

    ab: torch.Tensor
    """(1, 2, h, w) a*, b* at the plan's size."""
    fits: float
    """Likeness of the two."""


def laid_onto(still: Still, luma: Small) -> Laid:
    """Lay a still onto the frame whose plan picture is `luma`, (h, w); small shifts are undone."""
    size = (luma.shape[0], luma.shape[1])
    rgb = F.interpolate(still.rgb, size, mode="area")
    seen = np.asarray((rgb[0] * torch.tensor([0.2126, 0.7152, 0.0722])[:, None, None]).sum(0) * 255 + 0.5)
    grey = seen.clip(0, 255).astype(np.uint8)
    ab = chroma.ab_of(rgb)
    fits = likeness(luma, grey)
    way = flow_between(luma, grey)
    shifted = moved(grey.astype(np.float32), way)
    better = likeness(luma, (shifted + 0.5).clip(0, 255).astype(np.uint8))
    if better > fits + 0.05:
        ab = torch.from_numpy(moved(ab[0].permute(1, 2, 0).contiguous().numpy(), way)).permute(2, 0, 1)[None]
        fits = better
    return Laid(ab, round(fits, 3))
