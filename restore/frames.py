"""What pictures and sound are, on their way through the pipeline: formats, frames, batches, shots, chunks.

No I/O and no networks here. Sizes are in pixels or samples, times of pictures are integers (`pts`) in a rational time
base, times of sound are numbers of samples from the beginning of the track.
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


_CHANNELS = {
    "mono": "FC",
    "stereo": "FL FR",
    "downmix": "DL DR",
    "2.1": "FL FR LFE",
    "3.0": "FL FR FC",
    "3.0(back)": "FL FR BC",
    "4.0": "FL FR FC BC",
    "quad": "FL FR BL BR",
    "quad(side)": "FL FR SL SR",
    "3.1": "FL FR FC LFE",
    "5.0": "FL FR FC BL BR",
    "5.0(side)": "FL FR FC SL SR",
    "4.1": "FL FR FC LFE BC",
    "5.1": "FL FR FC LFE BL BR",
    "5.1(side)": "FL FR FC LFE SL SR",
    "6.0": "FL FR FC BC SL SR",
    "6.1": "FL FR FC LFE BC SL SR",
    "7.0": "FL FR FC BL BR SL SR",
    "7.1": "FL FR FC LFE BL BR SL SR",
    "7.1(wide)": "FL FR FC LFE BL BR FLC FRC",
}
_CHUNK_SECONDS = 4


@dataclass(frozen=True, slots=True)
class AudioFormat:
    """Everything a stage or an encoder needs to know of a sound track before the first sample."""

    rate: int
    """Samples a second, of each channel."""
    layout: str
    """FFmpeg's name of the channels' arrangement: ``mono``, ``stereo``, ``5.1``, or ``3 channels`` where unknown."""
    channels: int
    sample: str = "flt"
    """How the source stores a sample: ``u8``, ``s16``, ``s24``, ``s32``, ``flt`` or ``dbl``."""

    @property
    def names(self) -> tuple[str, ...]:
        """Which channel is which (``FL``, ``FR``, ``FC``, ``LFE``, ...); empty where nobody knows."""
        known = tuple(_CHANNELS.get(self.layout, "").split())
        return known if len(known) == self.channels else ()

    @property
    def groups(self) -> tuple[tuple[int, ...], ...]:
        """Channels that belong together, left and right: what is done to one is done to the other.

        ``((0, 1), (2,), (3,), (4, 5))`` for 5.1. Where nobody knows, every channel stands alone.
        """
        names = self.names
        done: set[int] = set()
        found: list[tuple[int, ...]] = []
        for place in range(self.channels):
            if place in done:
                continue
            name = names[place] if names else ""
            twin = name.replace("L", "R", 1) if "L" in name and name != "LFE" else ""
            group = (place, names.index(twin)) if twin in names else (place,)
            done.update(group)
            found.append(group)
        return tuple(found)

    @property
    def low_channel(self) -> int | None:
        """The channel of low effects (LFE), which carries no voice."""
        return self.names.index("LFE") if "LFE" in self.names else None

    @property
    def chunk(self) -> int:
        """Samples a chunk: the power of two that is at least four seconds, so that any grid of hops fits it."""
        return 1 << (_CHUNK_SECONDS * self.rate - 1).bit_length()


@dataclass(frozen=True, slots=True)
class AudioChunk:
    """A stretch of a track, without context."""

    samples: torch.Tensor
    """(channels, n) float32, nominally [-1, 1], not clamped, always finite."""
    start: int
    """Position in the track of the first of them."""


@dataclass(frozen=True, slots=True)
class AudioBatch:
    """What a sound stage is given: chunks of one track, each with the context its window asked for."""

    samples: torch.Tensor
    """(batch, channels, before + chunk + after) float32, nominally [-1, 1], not clamped, always finite; zero where the
    track has no samples: before its beginning and behind its end."""
    starts: tuple[int, ...]
    """Position in the track of the first core sample of each chunk: a multiple of `AudioFormat.chunk`."""
    core: slice
    """Which of the samples are to be returned; the rest is context."""
    length: int
    """Samples of the whole track, each channel."""
    format: AudioFormat

    def __len__(self) -> int:
        return len(self.starts)

    def inside(self) -> torch.Tensor:
        """(batch, before + chunk + after) bool: which samples exist in the track."""
        first = torch.tensor(self.starts, device=self.samples.device) - self.core.start
        at = first[:, None] + torch.arange(self.samples.shape[2], device=self.samples.device)
        exists: torch.Tensor = (at >= 0) & (at < self.length)
        return exists
