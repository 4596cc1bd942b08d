"""Reading chosen frames of a film whose frames are all listed, by index, with as little decoding as can be."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator

from restore.errors import SourceError
from restore.frames import Frame
from restore.media.source import Source
from restore.pipeline.index import FrameIndex
from restore.pipeline.prefetch import Prefetch

_QUEUE_BYTES = 192 << 20
KEPT_BYTES = 192 << 20
"""What a reader may remember for those who read a shot several times."""
_SKIP = 250
"""Frames that are decoded and dropped rather than sought over."""


class FrameReader:
    """Decodes ahead in a thread; remembers the last frames, since windows of neighbouring segments overlap."""

    def __init__(self, source: Source, index: FrameIndex, remember: int = 0, memory: int = 0) -> None:
        """Remembers `remember` frames, or as many as fit into so many bytes of `memory`, if those are more."""
        self._source = source
        self._index = index
        self._stream: Prefetch[Frame] | None = None
        self._next = 0
        frame_bytes = sum(
            h * w for h, w in (source.format.pixel.plane_size(p, source.format.width, source.format.height)
                               for p in range(source.format.pixel.plane_count))
        ) * source.format.pixel.dtype.itemsize  # fmt: skip
        self._recent: OrderedDict[int, Frame] = OrderedDict()
        self._most = max(remember + 1, memory // max(1, frame_bytes))
        self._depth = max(2, min(24, _QUEUE_BYTES // max(1, frame_bytes)))
        source.use_index(index.key_pts(), index.seekable)

    def read(self, wanted: range) -> Iterator[Frame]:
        """The frames of a range of indexes. Raises SourceError if the source no longer decodes as listed."""
        for number in wanted:
            kept = self._recent.get(number)
            yield kept if kept is not None else self._fetch(number)

    def _fetch(self, number: int) -> Frame:
        if self._stream is None or not self._next <= number <= self._next + _SKIP:
            self._restart(number)
        while True:
            assert self._stream is not None
            frame = next(self._stream, None)
            if frame is None or frame.pts != self._index.pts[self._next]:
                where = "ends early" if frame is None else f"shows pts {frame.pts}"
                raise SourceError(
                    f"the source {where} at frame {self._next}, where pts {self._index.pts[self._next]} was listed: "
                    "it changed, or decodes differently each time; delete the job folder to list it anew"
                )
            self._recent[self._next] = frame
            if len(self._recent) > self._most:
                self._recent.popitem(last=False)
            self._next += 1
            if self._next > number:
                return frame

    def _restart(self, number: int) -> None:
        self.close()
        self._stream = Prefetch(self._source.frames(int(self._index.pts[number]) if number else None), self._depth)
        self._next = number

    def close(self) -> None:
        """Stop decoding."""
        if self._stream is not None:
            self._stream.close()
            self._stream = None
