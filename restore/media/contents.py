"""What a film's container lists, without decoding anything."""

from __future__ import annotations

from pathlib import Path

import av

from restore.media.probe import opened, picture_stream


def listed_pts(path: Path) -> tuple[list[int], list[int]]:
    """pts of a film's pictures in order, and of its key frames among them, as its packets have them.

    A packet without pts (broken files, some old containers) is left out. Raises SourceError for what is no film.
    """
    pts: list[int] = []
    keys: list[int] = []
    with opened(path) as container:
        stream = picture_stream(container, path)
        try:
            for packet in container.demux(stream):
                if packet.pts is not None and packet.size:
                    pts.append(packet.pts)
                    if packet.is_keyframe:
                        keys.append(packet.pts)
        except av.FFmpegError:
            pass  # the container ends here; what came before counts
    return sorted(set(pts)), sorted(set(keys))
