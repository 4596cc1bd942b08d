"""Tiny films, written with PyAV, and what decodes from the results."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt

WIDTH, HEIGHT = 64, 48
Array = npt.NDArray[np.generic]


def pictures(count: int, cuts: Sequence[int] = (), width: int = WIDTH, height: int = HEIGHT) -> list[Array]:
    """(H, W, 3) uint8 pictures: a texture that drifts through each shot, another at each cut, darker and lighter."""
    borders = [0, *cuts, count]
    made = []
    for shot, (first, stop) in enumerate(zip(borders, borders[1:], strict=False)):
        rng = np.random.default_rng(shot)
        level = 40 if shot % 2 else 190
        texture = rng.integers(-35, 36, (height, width, 3)) + level
        texture[:, :, shot % 3] += 15
        for number in range(stop - first):
            made.append(np.roll(texture, number % 5, axis=1).astype(np.uint8))
    return made


def write_film(
    path: Path,
    count: int = 60,
    cuts: Sequence[int] = (),
    *,
    size: tuple[int, int] = (WIDTH, HEIGHT),
    rate: Fraction | int = 25,
    codec: str = "ffv1",
    pix_fmt: str = "yuv420p",
    audio: bool = False,
    options: dict[str, str] | None = None,
) -> Path:
    """Write a film of `count` frames with cuts before the frames named."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate, options=options or {})
        stream.width, stream.height, stream.pix_fmt = *size, pix_fmt
        stream.codec_context.colorspace, stream.codec_context.color_range = 5, 1
        stream.codec_context.color_primaries, stream.codec_context.color_trc = 6, 6
        sound = container.add_stream("pcm_s16le" if path.suffix != ".mp4" else "aac", rate=48000) if audio else None
        for picture in pictures(count, cuts, *size):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            container.mux(stream.encode(frame.reformat(format=pix_fmt, dst_colorspace=5)))
        container.mux(stream.encode(None))
        if sound is not None:
            seconds = count / Fraction(rate)
            wave = np.sin(np.arange(int(seconds * 48000)) / 30) * 9000
            block = av.AudioFrame.from_ndarray(wave.astype(np.int16)[None], format="s16", layout="mono")
            block.sample_rate = 48000
            resampler = av.AudioResampler(sound.codec_context.format, "mono", 48000, 1024)
            for part in resampler.resample(block) + resampler.resample(None):
                container.mux(sound.encode(part))
            container.mux(sound.encode(None))
    return path


def write_pictures(folder: Path, count: int, cuts: Sequence[int] = (), suffix: str = ".png", start: int = 1) -> Path:
    """Write numbered pictures; returns their pattern."""
    folder.mkdir(parents=True, exist_ok=True)
    import cv2

    for number, picture in enumerate(pictures(count, cuts), start):
        cv2.imwrite(str(folder / f"in_{number:04d}{suffix}"), picture[:, :, ::-1])
    return folder / f"in_%04d{suffix}"


def decoded(path: Path) -> list[tuple[Fraction, bytes]]:
    """Time and samples of every frame of a film."""
    with av.open(str(path)) as container:
        return [(Fraction(frame.pts) * frame.time_base, _array(frame).tobytes()) for frame in container.decode(video=0)]


def _array(frame: av.VideoFrame) -> Array:
    return frame.to_ndarray(format="rgb24" if frame.format.name == "bgr0" else None)


def samples(path: Path) -> list[bytes]:
    """The samples of every frame."""
    return [frame for _, frame in decoded(path)]


def arrays(path: Path, format: str | None = None) -> list[Array]:
    """Every frame as an array, in its own format or another."""
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format=format) for frame in container.decode(video=0)]
