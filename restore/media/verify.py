"""Reading the joined film back before it gets its name: every frame there, in time, and the sound with it."""

from __future__ import annotations

from fractions import Fraction

from restore.errors import OutputError
from restore.media.mux import MuxPlan
from restore.media.probe import opened


def verify(plan: MuxPlan) -> None:
    """Raise OutputError if the film at ``plan.path`` is not what it should be: frames, their times, tags, streams."""
    with opened(plan.path) as container:
        video = container.streams.video[0]
        if (video.width, video.height) != (plan.settings.format.width, plan.settings.format.height):
            raise OutputError(f"{plan.path}: holds {video.width}x{video.height} pictures instead of what was rendered")
        counts = dict.fromkeys((stream.index for stream in container.streams), 0)
        times: list[int] = []
        for packet in container.demux():
            if packet.size == 0 or packet.pts is None:
                continue
            counts[packet.stream_index] += 1
            if packet.stream_index == video.index:
                times.append(packet.pts)
        assert video.time_base is not None
        _check_times(plan, sorted(times), video.time_base)
        expected = len(plan.copied) + len(plan.audio)
        if len(container.streams) - 1 < expected:
            raise OutputError(f"{plan.path}: holds {len(container.streams) - 1} other streams instead of {expected}")


def _check_times(plan: MuxPlan, times: list[int], base: Fraction) -> None:
    if len(times) != len(plan.pts):
        raise OutputError(
            f"{plan.path}: holds {len(times)} frames instead of {len(plan.pts)}; run the same command again"
        )
    own = plan.settings.format.time_base
    # A muxer may move the whole film (a sound that starts before zero, in Matroska); never a frame against another.
    moved = times[0] * base - (plan.pts[0] * own - plan.shift)
    for got, pts in zip(times, plan.pts, strict=True):
        if abs(got * base - moved - (pts * own - plan.shift)) > base:
            raise OutputError(
                f"{plan.path}: a frame of pts {pts} lies at {float(got * base):.4f} s; run the same command again"
            )
