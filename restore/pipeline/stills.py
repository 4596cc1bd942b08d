"""Stills kept while a film is rendered, for people to look at: pairs of source and result, a few of each shot, repairs.

``stills/START-END-KEY.npz``, one a segment. A report made of them decodes nothing; no pixel of the film depends on
them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import cv2
import numpy as np
import numpy.typing as npt
import torch

from restore.files import whole
from restore.frames import Frame, Shot, VideoFormat
from restore.media.color import has_rgb
from restore.pipeline.picture import Converter, Picture

Rgb = npt.NDArray[np.uint8]
"""(H, W, 3)."""
Mask = npt.NDArray[np.bool_]
"""(H, W)."""

LARGEST = 960
"""Longest side of a still."""
THUMB = 144
"""Longest side of those that stand for a shot."""
STRIP = 5
"""How many of those a shot has."""
_FEWEST, _MOST, _APART = 6, 20, 12
"""Pairs of a film, and how many frames they are apart at least where there are more than the fewest: keeping one takes
as long as encoding some frames."""
_QUALITY, _THUMB_QUALITY = 95, 80
FOLDER = "stills"


def shown_size(format: VideoFormat, largest: int = LARGEST) -> tuple[int, int]:
    """(width, height) in square pixels at which a picture is looked at."""
    width, height = round(format.width * float(format.sample_aspect)), format.height
    scale = min(1.0, largest / max(width, height))
    return max(1, round(width * scale)), max(1, round(height * scale))


def rgb_of(converter: Converter, frame: Frame, format: VideoFormat, size: tuple[int, int]) -> Rgb:
    """A frame as it is looked at: 8-bit RGB of `size` (width, height)."""
    [picture] = converter.upload([(0, frame)], format)
    return _looked_at(converter, picture, size)


def _looked_at(converter: Converter, picture: Picture, size: tuple[int, int]) -> Rgb:
    rgb = converter.pixels([picture], "rgb")[0].permute(1, 2, 0).cpu().numpy()
    eight = np.clip(rgb * 255 + 0.5, 0, 255).astype(np.uint8)
    if eight.shape[1::-1] == size:
        return eight
    smaller = size[0] < eight.shape[1]
    method = cv2.INTER_AREA if smaller else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(eight, size, interpolation=method), np.uint8)


def strip_of(shot: Shot) -> list[int]:
    """The frames that stand for a shot."""
    count = min(STRIP, len(shot))
    return [shot.start + len(shot) * (2 * n + 1) // (2 * count) for n in range(count)]


def pairs_of(length: int) -> list[int]:
    """The frames of a film that are kept beside their source, evenly over it."""
    count = min(length, _MOST, max(_FEWEST, length // _APART))
    return [length * (2 * n + 1) // (2 * count) for n in range(count)]


class StillKeeper:
    """Picks stills of one segment as its frames come by.

    Args:
        span: the segment's frames.
        shots: the shots it touches.
        length: frames of the whole film.
        before: the source's format; None where the source's own frames do not come by, so that there are no pairs.
        after: the result's format.
        converter: of the chain that renders it.
    """

    def __init__(
        self, span: range, shots: Iterable[Shot], length: int, before: VideoFormat | None, after: VideoFormat,
        converter: Converter,
    ) -> None:  # fmt: skip
        self._span = span
        self._before, self._after = before, after
        self._converter = converter
        self._pairs = set(pairs_of(length)) & set(span) if before is not None else set()
        self._strips = {frame for shot in shots for frame in strip_of(shot)} & set(span)
        if not has_rgb(after.pixel, after.color):  # copied, but not to be looked at
            self._pairs, self._strips = set(), set()
        self._sources: dict[int, Frame] = {}
        self._stills: dict[str, tuple[int, Rgb, int]] = {}
        self._shares: dict[str, npt.NDArray[np.float32]] = {}
        self._worst: dict[str, tuple[int, Rgb, Rgb, Mask]] = {}
        self._brightness = np.full((2, len(span)), np.nan, np.float32)

    def source(self, number: int, frame: Frame) -> None:
        """A frame of the source is read; it may come more than once."""
        if number not in self._span:
            return
        if self._before is not None:
            self._brightness[0, number - self._span.start] = _brightness(frame, self._before)
        if number in self._pairs:
            self._sources[number] = frame

    def result(self, number: int, frame: Frame) -> None:
        """A frame is finished."""
        self._brightness[1, number - self._span.start] = _brightness(frame, self._after)
        size = shown_size(self._after)
        picture = None
        if number in self._pairs and number in self._sources:
            assert self._before is not None
            left = rgb_of(self._converter, self._sources.pop(number), self._before, size)
            picture = rgb_of(self._converter, frame, self._after, size)
            self._stills[f"before.{number}"] = (number, left, _QUALITY)
            self._stills[f"after.{number}"] = (number, picture, _QUALITY)
        if number in self._strips:
            small = shown_size(self._after, THUMB)
            thumb = (
                rgb_of(self._converter, frame, self._after, small)
                if picture is None
                else np.asarray(cv2.resize(picture, small, interpolation=cv2.INTER_AREA), np.uint8)
            )
            self._stills[f"strip.{number}"] = (number, thumb, _THUMB_QUALITY)

    def repaired(self, stage: str, before: Picture, after: Picture, mask: torch.Tensor) -> None:
        """What a stage repaired of a frame: what went in, what came out, and where, (1, H, W) bool."""
        number = before.index
        if number not in self._span:
            return
        if stage not in self._shares:
            self._shares[stage] = np.zeros(len(self._span), np.float32)
        shares = self._shares[stage]
        share = float(mask.float().mean())
        if share > shares.max():
            size = shown_size(before.format)
            left, right = (_looked_at(self._converter, picture, size) for picture in (before, after))
            where = mask.flatten(0, -3).any(0).cpu().numpy().astype(np.float32)
            # The smallest speck stays to be seen.
            small = np.asarray(cv2.resize(where, size, interpolation=cv2.INTER_AREA) > 0, bool)
            self._worst[stage] = (number, left, right, small)
        shares[number - self._span.start] = share

    def save(self, path: Path, shown: Callable[[int], float]) -> None:
        """Write all of it; `shown` says when a frame is, in seconds from the film's first. Raises OSError."""
        arrays: dict[str, npt.NDArray[Any]] = {"brightness.frames": self._brightness}
        for name, (number, picture, quality) in self._stills.items():
            arrays[f"{name}.jpg"] = _jpeg(picture, quality)
            arrays[f"{name}.seconds"] = np.array(shown(number))
        for stage, shares in self._shares.items():
            arrays[f"repaired.{stage}.shares"] = shares
            if stage in self._worst:
                number, before, after, mask = self._worst[stage]
                arrays[f"repaired.{stage}.seconds"] = np.array(shown(number))
                arrays[f"repaired.{stage}.before"] = _jpeg(before, _QUALITY)
                arrays[f"repaired.{stage}.after"] = _jpeg(after, _QUALITY)
                arrays[f"repaired.{stage}.mask"] = np.packbits(mask, axis=1)
        path.parent.mkdir(exist_ok=True)
        with whole(path) as file:
            np.savez(file, **arrays)  # type: ignore[arg-type]


def _brightness(frame: Frame, format: VideoFormat) -> float:
    """Mean of the first plane (luma, grey or one colour), 0 to 1, over some hundreds of rows and columns."""
    plane = frame.planes[0]
    step = max(1, min(plane.shape) // 240)
    return float(plane[::step, ::step].mean()) / (1.0 if format.pixel.is_float else 2**format.pixel.depth - 1)


def _jpeg(picture: Rgb, quality: int) -> npt.NDArray[np.uint8]:
    full = quality == _QUALITY  # measured as well as looked at: chroma stays whole
    sampling = cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444 if full else cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420
    flags = [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, sampling]
    _, data = cv2.imencode(".jpg", picture[..., ::-1], flags)
    return np.asarray(data, np.uint8).ravel()


@dataclass(frozen=True)
class Still:
    """A picture and when it is shown, in seconds from the film's first frame."""

    seconds: float
    picture: Rgb


@dataclass(frozen=True)
class Worst:
    """One frame before and after a stage repaired it, and where."""

    seconds: float
    before: Rgb
    after: Rgb
    mask: Mask


@dataclass(frozen=True)
class Repaired:
    """What one stage repaired in one segment."""

    stage: str
    shares: npt.NDArray[np.float32]
    """Of each frame, 0 to 1."""
    worst: Worst | None = None
    """The frame of which most was repaired; None where nothing was."""


class Kept:
    """What was kept of some frames of a job, opened as it is asked for.

    What cannot be read is left out: it is only to be looked at.
    """

    def __init__(self, job: Path, frames: range) -> None:
        files = [(path, range(*_span(path))) for path in sorted((job / FOLDER).glob("*.npz"))]
        self._paths = [path for path, span in files if span.start < frames.stop and span.stop > frames.start]

    def _stored(self, kind: str) -> Iterator[tuple[str, Any]]:
        for path in self._paths:
            try:
                with np.load(path, allow_pickle=False) as stored:
                    for name in dict.fromkeys(key.rsplit(".", 1)[0] for key in stored.files if key.startswith(kind)):
                        yield name, stored
            except (OSError, ValueError, KeyError, BadZipFile, cv2.error):
                continue

    def pairs(self) -> Iterator[tuple[Still, Still]]:
        """Source and result of the same moment, in order of time."""
        for name, stored in self._stored("after."):
            other = name.replace("after.", "before.", 1)
            if f"{other}.jpg" in stored.files:
                yield _still(stored, other), _still(stored, name)

    def strips(self) -> Iterator[Still]:
        """Those that stand for shots, in order of time."""
        for name, stored in self._stored("strip."):
            yield _still(stored, name)

    def brightness(self) -> Iterator[npt.NDArray[np.float32]]:
        """Segment by segment, the mean brightness of every frame of the source (NaN if not known) and the result,
        (2, frames)."""
        for name, stored in self._stored("brightness."):
            yield stored[f"{name}.frames"]

    def repaired(self) -> Iterator[Repaired]:
        """What stages repaired, segment by segment."""
        for name, stored in self._stored("repaired."):
            stage, shares = name.removeprefix("repaired."), stored[f"{name}.shares"]
            if f"{name}.mask" not in stored.files:
                yield Repaired(stage, shares)
                continue
            before, after = (_decoded(stored[f"{name}.{side}"]) for side in ("before", "after"))
            mask = np.unpackbits(stored[f"{name}.mask"], axis=1, count=before.shape[1]).astype(bool)
            yield Repaired(stage, shares, Worst(float(stored[f"{name}.seconds"]), before, after, mask))


def _still(stored: Any, name: str) -> Still:
    return Still(float(stored[f"{name}.seconds"]), _decoded(stored[f"{name}.jpg"]))


def _decoded(jpeg: npt.NDArray[np.uint8]) -> Rgb:
    picture = cv2.imdecode(jpeg, cv2.IMREAD_COLOR)
    if picture is None:
        raise ValueError("no JPEG")
    return np.ascontiguousarray(picture[..., ::-1], np.uint8)


def tidy(job: Path, made: Iterable[Path], whole_film: bool) -> None:
    """Delete the stills of segments that the film, or the part that was rendered, is not made of."""
    current = set(made)
    spans = [_span(path) for path in current]
    for path in set((job / FOLDER).glob("*")) - current:
        start, end = _span(path)
        if whole_film or any(start < last and end > first for first, last in spans):
            path.unlink()


def _span(path: Path) -> tuple[int, int]:
    try:
        first, last, _ = path.stem.split("-")
        return int(first), int(last)
    except ValueError:
        return 0, 0
