"""FFmpeg's frames <-> our planar numpy frames. Repacking only: no sample changes its value."""

from __future__ import annotations

import av
import numpy as np
import numpy.typing as npt
from av.video.format import VideoFormat as AvFormat

from restore.errors import SourceError
from restore.frames import PixelFormat, Planes

_PLANAR_TWIN = {
    "nv12": "yuv420p", "nv21": "yuv420p", "nv16": "yuv422p", "nv24": "yuv444p", "nv42": "yuv444p",
    "yuyv422": "yuv422p", "uyvy422": "yuv422p", "yvyu422": "yuv422p", "uyyvyy411": "yuv411p",
    "p010le": "yuv420p10le", "p012le": "yuv420p12le", "p016le": "yuv420p16le",
    "p210le": "yuv422p10le", "p216le": "yuv422p16le", "p410le": "yuv444p10le", "p416le": "yuv444p16le",
    "y210le": "yuv422p10le", "y212le": "yuv422p12le", "xv30le": "yuv444p10le", "xv36le": "yuv444p12le",
    "vuya": "yuva444p", "vuyx": "yuv444p", "ayuv64le": "yuva444p16le",
    "monow": "gray", "monob": "gray", "ya8": "gbrap", "ya16le": "gbrap16le", "ya16be": "gbrap16le", "pal8": "gbrap",
    "gbrpf16le": "gbrpf32le", "gbrapf16le": "gbrapf32le", "grayf16le": "grayf32le", "rgbf32le": "gbrpf32le",
    "x2rgb10le": "gbrp10le", "x2bgr10le": "gbrp10le",
}  # fmt: skip


def planar_format(name: str) -> tuple[PixelFormat, str]:
    """Our layout for a decoder's pixel format, and the name under which FFmpeg hands it over without loss.

    Raises SourceError for formats that have no such twin (XYZ, Bayer, hardware surfaces).
    """
    twin = _PLANAR_TWIN.get(name)
    if twin is None and name.startswith("yuvj"):
        twin = "yuv" + name[4:]
    if twin is None:
        layout = AvFormat(name)
        bits = max((component.bits for component in layout.components), default=8)
        alpha = "a" if layout.is_rgb and len(layout.components) == 4 else ""
        depth = "" if bits <= 8 else f"{bits if bits in (9, 10, 12, 14) else 16}le"
        if layout.is_rgb and not layout.is_bayer and "xyz" not in name and not layout.has_palette:
            twin = name if name.startswith("gbr") and "f16" not in name else f"gbr{alpha}p{depth}"
        else:
            twin = name
    if twin.endswith("be"):
        twin = twin[:-2] + "le"
    try:
        return PixelFormat.parse(twin), twin
    except ValueError:
        raise SourceError(f"pixel format {name} is not supported: convert the source to YUV or RGB first") from None


def plane_view(plane: av.video.plane.VideoPlane, dtype: np.dtype[np.generic]) -> npt.NDArray[np.generic]:
    """The samples of one plane, (height, width), sharing its memory."""
    rows = np.frombuffer(plane, dtype=dtype).reshape(plane.height, plane.line_size // dtype.itemsize)  # type: ignore[call-overload]
    return np.asarray(rows[:, : plane.width])


def to_planes(frame: av.VideoFrame, pixel: PixelFormat, twin: str) -> Planes:
    """Copy a decoded frame into arrays of its own, repacking where FFmpeg's layout is packed."""
    name = frame.format.name
    if name not in (twin, twin.replace("yuv", "yuvj", 1)):
        # Naming equal ranges keeps swscale from "converting" what only has to be repacked.
        frame = frame.reformat(format=twin, src_color_range=frame.color_range, dst_color_range=frame.color_range)
    return tuple(np.ascontiguousarray(plane_view(plane, pixel.dtype)) for plane in frame.planes)


def to_frame(planes: Planes, pixel: PixelFormat, width: int, height: int) -> av.VideoFrame:
    """Copy planes into a new FFmpeg frame of the same layout."""
    frame = av.VideoFrame(width, height, pixel.name)
    if pixel.model == "gray" and pixel.alpha:
        plane = frame.planes[0]
        rows = np.frombuffer(plane, dtype=pixel.dtype).reshape(height, -1)  # type: ignore[call-overload]
        rows[:, 0 : 2 * width : 2], rows[:, 1 : 2 * width : 2] = planes
        return frame
    for plane, samples in zip(frame.planes, planes, strict=True):
        plane_view(plane, pixel.dtype)[...] = samples
    return frame
