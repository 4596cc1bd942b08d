"""Round 0 of the analysis: list every frame and find the shots. Resumes where it stopped."""

from __future__ import annotations

import time
from array import array
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from restore.analysis.shots import LOOKBACK, ShotDetector, preview_of
from restore.errors import PlanError, RestoreError, SourceError
from restore.files import whole
from restore.frames import Frame, VideoFormat
from restore.media.source import Source
from restore.pipeline.index import FrameIndex
from restore.pipeline.plan import Plan
from restore.pipeline.prefetch import Prefetch
from restore.pipeline.progress import Meter

_SAVE_EVERY = 20.0


class _Listing:
    """The list as it grows."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.pts = array("q")
        self.corrupt = bytearray()
        self.key = bytearray()
        self.cuts: set[int] = set()
        self.last_duration = 0
        self.earlier_errors = 0
        self.earlier_lost: list[int] = []

    def add(self, frame: Frame) -> None:
        self.pts.append(frame.pts)
        self.corrupt.append(frame.corrupt)
        self.key.append(frame.key)
        self.last_duration = frame.duration

    def index(self) -> FrameIndex:
        format = self.source.format
        return FrameIndex(
            np.array(self.pts, dtype=np.int64), np.frombuffer(bytes(self.corrupt), bool),
            np.frombuffer(bytes(self.key), bool), format.time_base, format.frame_rate, self.last_duration,
            self.earlier_errors + self.source.decode_errors, not self.source.mended,
            np.array(sorted({*self.earlier_lost, *self.source.lost}), dtype=np.int64),
        )  # fmt: skip

    @property
    def damaged(self) -> bool:
        errors = self.earlier_errors + self.source.decode_errors
        return bool(errors or self.earlier_lost or self.source.lost) or any(self.corrupt)

    def resume(self, partial: Path) -> int:
        """Take up a partial list; returns the frame to read on from."""
        try:
            index = FrameIndex.load(partial)
            with np.load(partial.with_suffix(".cuts.npz"), allow_pickle=False) as stored:
                cuts = [int(cut) for cut in stored["cuts"]]
        except (PlanError, OSError, ValueError, KeyError):
            return 0
        if len(index) <= LOOKBACK or not index.seekable:
            return 0
        self.pts = array("q", index.pts.tolist())
        self.corrupt, self.key = bytearray(index.corrupt.tobytes()), bytearray(index.key.tobytes())
        self.cuts = set(cuts)
        self.earlier_errors, self.last_duration = index.decode_errors, index.last_duration
        self.earlier_lost = index.lost.tolist()
        self.source.use_index(index.key_pts(), True)
        return len(index) - LOOKBACK

    def save_partial(self, partial: Path) -> None:
        with whole(partial.with_suffix(".cuts.npz")) as file:
            np.savez(file, cuts=np.array(sorted(self.cuts), dtype=np.int64))
        self.index().save(partial)


Watch = Callable[[int, Frame], None]


def list_frames(
    source: Source, plan: Plan, meter: Meter, check: Callable[[], None], name: str, watch: Watch | None = None
) -> FrameIndex:
    """List the film into the plan folder, with its shots. `check` raises when the run is to stop.

    A damaged source is listed again with one decoder thread, and read so ever after: what a decoder makes up for
    missing pictures depends on its threads. `watch` is shown every frame that is read, with its number: after an
    interruption those from there on, and when listing begins anew, all of them again. Raises SourceError if nothing
    decodes.
    """
    partial = plan.folder / "partial.npz"
    source.watched = True
    listing = _run(source, partial, meter, check, watch)
    if listing.damaged and source.threads != 1:
        source.threads = 1
        source.decode_errors = 0
        _remove(partial)
        meter.done = 0
        listing = _run(source, partial, meter, check, watch)
    if not listing.pts:
        raise SourceError(f"{name}: no picture of it can be decoded")
    index = listing.index()
    plan.save_shots(sorted(cut for cut in listing.cuts if 0 < cut < len(index)), index)
    index.save(plan.frames_path)
    _remove(partial)
    return index


def _remove(partial: Path) -> None:
    partial.unlink(missing_ok=True)
    partial.with_suffix(".cuts.npz").unlink(missing_ok=True)


def _run(
    source: Source, partial: Path, meter: Meter, check: Callable[[], None], watch: Watch | None
) -> _Listing:  # fmt: skip
    listing = _Listing(source)
    start = listing.resume(partial)
    known = len(listing.pts)
    meter.done = known
    detector = ShotDetector()
    stream = Prefetch(source.frames(listing.pts[start] if start else None), 16)
    saved = time.monotonic()
    number = start
    try:
        for frame in stream:
            found = detector.add(number, _preview(frame, source.format))
            # A detector just restarted has no past: what it says of its first frames was already decided.
            listing.cuts.update(cut for cut in found if not start or cut >= start + 3)
            if watch is not None:
                watch(number, frame)
            if number >= known:
                listing.add(frame)
                meter.add()
            number += 1
            check()
            if time.monotonic() - saved > _SAVE_EVERY:
                listing.save_partial(partial)
                saved = time.monotonic()
    except RestoreError:
        stream.close()
        if listing.pts:
            listing.save_partial(partial)
        raise
    finally:
        stream.close()
    return listing


def _preview(frame: Frame, format: VideoFormat) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    if format.pixel.model == "rgb":
        green, blue, red = (cv2.resize(plane, (256, 192), interpolation=cv2.INTER_AREA) for plane in frame.planes[:3])
        weighed = 0.587 * green.astype(np.float32) + 0.114 * blue + 0.299 * red
        return preview_of(weighed if format.pixel.is_float else weighed.astype(format.pixel.dtype), format.pixel.depth)
    return preview_of(frame.planes[0], format.pixel.depth)
