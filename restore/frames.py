"""What pictures are, on their way through the pipeline: formats, colour tags, frames, batches, shots.

No I/O and no networks here. Sizes are in pixels, times are integers (`pts`) in a rational time base.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch

Planes = tuple[npt.NDArray[np.generic], ...]
Domain = Literal["rgb", "luma", "chroma", "planes"]

_PIXEL_NAME = re.compile(
    r"(?:(?P<yuv>yuva?)(?P<sampling>410|411|420|422|440|444)p|(?P<rgb>gbra?)p|(?P<gray>y?a?gray|ya))"
    r"(?P<depth>8|9|10|12|14|16|f32)?(?:le|be)?"
)
_CHROMA_SHIFTS = {"410": (2, 2), "411": (2, 0), "420": (1, 1), "422": (1, 0), "440": (0, 1), "444": (0, 0)}


@dataclass(frozen=True, slots=True)
class PixelFormat:
    """A planar layout of samples, as FFmpeg names it (``yuv420p10le``, ``gbrp16le``, ``gray``, ``gbrapf32le``).

    The planes of a frame come in FFmpeg's order: Y U V [A], gray [A], or G B R [A].
    """

    model: Literal["yuv", "gray", "rgb"]
    depth: int
    """Bits a sample: 8 to 16, or 32 for float."""
    chroma_shift: tuple[int, int] = (0, 0)
    """log2 of the horizontal and vertical chroma subsampling: (1, 1) is 4:2:0."""
    alpha: bool = False

    @classmethod
    def parse(cls, name: str) -> PixelFormat:
        """Read a planar FFmpeg name; raises ValueError for packed ones (convert those while decoding)."""
        match = _PIXEL_NAME.fullmatch(name)
        if match is None or name.startswith(("ygray", "agray", "yagray")):
            raise ValueError(f"{name} is not a planar pixel format")
        digits = match["depth"]
        depth = 32 if digits == "f32" else int(digits or 8)
        if match["yuv"]:
            return cls("yuv", depth, _CHROMA_SHIFTS[match["sampling"]], match["yuv"] == "yuva")
        if match["rgb"]:
            return cls("rgb", depth, alpha=match["rgb"] == "gbra")
        return cls("gray", depth, alpha=match["gray"] == "ya")

    @property
    def name(self) -> str:
        """FFmpeg's name for it (little-endian)."""
        suffix = "" if self.depth == 8 else ("f32le" if self.is_float else f"{self.depth}le")
        if self.model == "yuv":
            sampling = next(k for k, v in _CHROMA_SHIFTS.items() if v == self.chroma_shift)
            return f"yuv{'a' if self.alpha else ''}{sampling}p{suffix}"
        if self.model == "rgb":
            return f"gbr{'a' if self.alpha else ''}p{suffix}"
        if self.alpha:
            return f"ya{suffix or '8'}"
        return f"gray{suffix}"

    @property
    def is_float(self) -> bool:
        """Whether samples are 32-bit floats, nominally [0, 1]."""
        return self.depth == 32

    @property
    def dtype(self) -> np.dtype[np.generic]:
        """The numpy type of one sample."""
        if self.is_float:
            return np.dtype(np.float32)
        return np.dtype(np.uint8 if self.depth == 8 else np.uint16)

    @property
    def plane_count(self) -> int:
        """How many planes a frame has, alpha included."""
        return (1 if self.model == "gray" else 3) + self.alpha

    def plane_size(self, plane: int, width: int, height: int) -> tuple[int, int]:
        """(height, width) of one plane of a frame of that size; chroma is rounded up."""
        if self.model == "yuv" and plane in (1, 2):
            sx, sy = self.chroma_shift
            return -(-height >> sy), -(-width >> sx)
        return height, width


@dataclass(frozen=True, slots=True)
class ColorInfo:
    """How samples mean colours; FFmpeg's names, after ITU-T H.273. ``unspecified`` never leaves the probe:
    what was assumed stands here, and `assumed` says which fields were."""

    primaries: str = "bt709"
    transfer: str = "bt709"
    matrix: str = "bt709"
    range: Literal["limited", "full"] = "limited"
    chroma_location: str = "left"
    assumed: frozenset[str] = field(default_factory=frozenset)


@dataclass(frozen=True, slots=True)
class VideoFormat:
    """Everything a stage or an encoder needs to know of a stream of frames before the first one."""

    width: int
    height: int
    pixel: PixelFormat
    color: ColorInfo
    time_base: Fraction
    frame_rate: Fraction
    """The nominal rate; individual frames may lie otherwise (variable rate): their pts decide."""
    sample_aspect: Fraction = Fraction(1)

    def resized(self, width: int, height: int) -> VideoFormat:
        """The same format at another size."""
        return replace(self, width=width, height=height)


@dataclass(slots=True)
class Frame:
    """One picture in its native planes, as the source holds it or the output will."""

    pts: int
    planes: Planes
    corrupt: bool = False
    """The decoder flagged it as damaged."""
    key: bool = False
    duration: int = 0


@dataclass(frozen=True, slots=True)
class Shot:
    """Frames [start, end) of the film, by index; a cut lies before `start`."""

    number: int
    start: int
    end: int

    def __len__(self) -> int:
        return self.end - self.start


@dataclass(frozen=True, slots=True)
class FrameBatch:
    """What a stage is given: core frames and the neighbours its window asked for, of one shot."""

    pixels: torch.Tensor
    """(N, C, H, W) float32, nominally [0, 1], not clamped. C is 3 for ``rgb``, 1 for ``luma``, 2 for
    ``chroma`` (centred on 0); for ``planes`` it is luma, and `planes` holds everything."""
    pts: tuple[int, ...]
    core: slice
    """Which of the N are to be returned; the rest is context."""
    valid: tuple[bool, ...]
    """False where a neighbour does not exist (a shot's edge): its pixels are zero and mean nothing."""
    shot: int
    format: VideoFormat
    planes: tuple[torch.Tensor, ...] = ()
    """In the domain ``planes``: every plane at its own size, (N, h, w) float32 nominal values: Y U V, gray, or R G B
    (as `format.pixel` says), and alpha last where there is one. In the domain ``chroma``: luma alone, (N, H, W)."""

    def __len__(self) -> int:
        return int(self.core.stop - self.core.start)
