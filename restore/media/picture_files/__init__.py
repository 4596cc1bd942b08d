"""One module a kind of picture file: each reads it to native planes and metadata, and writes it whole.

Readers raise ValueError with the reason alone; `restore.media.pictures` adds the file's name.
"""

from __future__ import annotations

from dataclasses import dataclass

from restore.frames import ColorInfo, PixelFormat, Planes
from restore.media.picture_metadata import PictureMetadata

SRGB = ColorInfo("bt709", "iec61966-2-1", "gbr", "full", "center", frozenset({"primaries", "transfer"}))
"""What an RGB picture that says nothing of its colours is taken for."""
SRGB_GRAY = ColorInfo(
    "bt709", "iec61966-2-1", "bt709", "full", "center", frozenset({"primaries", "transfer", "matrix"})
)
"""The same for one channel, where no matrix is used."""


@dataclass(slots=True)
class Picture:
    """One picture as its file holds it: native planes in the order of `PixelFormat`, and what stood beside them."""

    planes: Planes
    pixel: PixelFormat
    color: ColorInfo
    metadata: PictureMetadata

    @property
    def width(self) -> int:
        """Pixels across, as stored (before any orientation)."""
        return int(self.planes[0].shape[1])

    @property
    def height(self) -> int:
        """Pixels down, as stored."""
        return int(self.planes[0].shape[0])


def srgb_for(pixel: PixelFormat) -> ColorInfo:
    """The assumed colours of an untagged picture of that layout."""
    return SRGB_GRAY if pixel.model == "gray" else SRGB
