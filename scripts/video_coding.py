"""Pictures as video encoders leave them, for training: blocks, ringing and lost grain of a digital copy."""

from __future__ import annotations

import av
import numpy as np
import numpy.typing as npt

Picture = npt.NDArray[np.uint8]

DECODERS = {"libx264": "h264", "mpeg4": "mpeg4", "mpeg2video": "mpeg2video"}

#: (quality, compression) of each encoder, in steps: the compression is that of the JPEG with the same mean error, over
#: the photographs held back from training, panned.
LOST = {
    "libx264": ((14, 18, 22, 26, 30, 34, 38), (0.10, 0.17, 0.27, 0.43, 0.71, 0.85, 0.95)),
    "mpeg4": ((2, 4, 6, 9, 13, 18, 25, 31), (0.10, 0.18, 0.29, 0.50, 0.70, 0.82, 0.88, 0.91)),
    "mpeg2video": ((2, 4, 6, 9, 13, 18, 25, 31), (0.09, 0.16, 0.26, 0.44, 0.65, 0.78, 0.85, 0.89)),
}


def compression(encoder: str, quality: float) -> float:
    """How much of a picture is lost, [0, 1], in the units of `restore.damage.Damage.degradation`."""
    return float(np.interp(quality, *LOST[encoder]))


def code(frames: list[Picture], encoder: str, quality: int) -> list[Picture]:
    """Encode and decode some (H, W, 3) RGB frames, H and W even, in memory.

    Args:
        frames: of one shot.
        encoder: "libx264" (quality is its CRF), "mpeg4" or "mpeg2video" (quality is the quantiser, 2 to 31).
        quality: the smaller, the better.
    """
    height, width = frames[0].shape[:2]
    writer = av.CodecContext.create(encoder, "w")
    writer.width, writer.height, writer.pix_fmt = width, height, "yuv420p"
    writer.framerate, writer.thread_count = 25, 1
    if encoder == "libx264":
        writer.options = {"crf": str(quality), "preset": "veryfast", "bf": "0"}
    else:
        writer.qmin = writer.qmax = quality
        writer.bit_rate, writer.options = 50_000_000, {"bf": "0"}
    reader = av.CodecContext.create(DECODERS[encoder], "r")
    packets = []
    for number, frame in enumerate(frames):
        picture = av.VideoFrame.from_ndarray(frame, format="rgb24")
        picture.pts = number
        packets += writer.encode(picture)
    decoded = [frame for packet in [*packets, *writer.encode(None), None] for frame in reader.decode(packet)]
    return [frame.to_ndarray(format="rgb24") for frame in decoded]
