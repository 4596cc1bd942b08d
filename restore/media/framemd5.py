"""Checksums of every decoded frame, in the form FFmpeg's ``framemd5`` writes: proof that two files show the same."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import av

from restore.errors import SourceError
from restore.media.probe import opened


def write_framemd5(film: Path, path: Path) -> None:
    """Decode a film or sound file and write the MD5 of each frame of its picture and sound tracks.

    The same as ``ffmpeg -i FILM -map 0:v -map 0:a -f framemd5 PATH``, so that archives can check it without `restore`.
    Whole or not at all. Raises SourceError for what does not decode, OSError.
    """
    part = path.with_name(path.name + ".part")
    try:
        with opened(film) as source, av.open(str(part), "w", format="framemd5") as sums:
            pairs: dict[int, Any] = {}
            for stream in (*source.streams.video, *source.streams.audio):
                if isinstance(stream, av.VideoStream):
                    pictures = sums.add_stream("rawvideo", rate=stream.average_rate)
                    assert isinstance(pictures, av.VideoStream)
                    pictures.width, pictures.height = stream.width, stream.height
                    pictures.pix_fmt = stream.pix_fmt or "yuv420p"
                    pictures.time_base = stream.time_base
                    pairs[stream.index] = pictures
                else:
                    assert isinstance(stream, av.AudioStream)
                    kind = "pcm_s16le" if stream.format.bits <= 16 else "pcm_s32le"
                    pairs[stream.index] = sums.add_stream(kind, rate=stream.rate, layout=stream.layout.name)
            for packet in source.demux([stream for stream in source.streams if stream.index in pairs]):
                for frame in packet.decode():
                    sums.mux(pairs[packet.stream.index].encode(frame))
            for target in pairs.values():
                sums.mux(target.encode(None))
        with part.open("rb") as written:
            os.fsync(written.fileno())
        os.replace(part, path)
    except av.FFmpegError as error:
        raise SourceError(f"{film}: cannot be decoded whole ({error.strerror})") from None
    finally:
        part.unlink(missing_ok=True)
