"""Compare a restored film with its source: frames, times, sound, tags, A/V offset. Uses nothing of `restore`.

    python scripts/check_film.py SOURCE OUTPUT

Prints a table and exits with 1 if anything differs that should not. Times are compared after taking off the first
picture's, since a container may move a whole film; each may be rounded once, to the output's time base. The A/V
offset is the time from the first picture to the first decoded sample of sound that both films hold.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass, field
from fractions import Fraction

import av
import numpy as np

ASSUMED = {"primaries": {1, 5, 6}, "transfer": {1, 6, 13}, "matrix": {0, 1, 5, 6}, "range": {1, 2}}


@dataclass
class Film:
    """What is compared."""

    size: tuple[int, int] = (0, 0)
    base: Fraction = Fraction(1)
    times: list[Fraction] = field(default_factory=list)
    tags: dict[str, int] = field(default_factory=dict)
    rotation: int = 0
    aspect: Fraction = Fraction(1)
    payloads: list[list[bytes]] = field(default_factory=list)
    sound_codecs: list[str] = field(default_factory=list)
    sound_times: list[list[Fraction]] = field(default_factory=list)
    heard: list[tuple[Fraction, int, np.ndarray]] = field(default_factory=list)
    subtitles: int = 0
    chapters: int = 0
    attachments: int = 0
    errors: int = 0


def read(path: str) -> Film:
    """Decode a film wholly."""
    film = Film()
    with av.open(path, metadata_errors="replace") as container:
        video = next(s for s in container.streams.video if not s.disposition & av.stream.Disposition.attached_pic)
        sounds = list(container.streams.audio)
        film.base = Fraction(video.time_base)
        film.aspect = Fraction(video.sample_aspect_ratio or 1)
        film.subtitles, film.chapters = len(container.streams.subtitles), len(container.chapters())
        film.attachments = sum(stream.type == "attachment" for stream in container.streams)
        film.payloads, film.sound_times = [[] for _ in sounds], [[] for _ in sounds]
        film.sound_codecs = [sound.codec_context.name for sound in sounds]
        samples: list[list[np.ndarray]] = [[] for _ in sounds]
        starts: dict[int, tuple[Fraction, int]] = {}
        for packet in container.demux(video, *sounds):
            number = next(
                (n for n, sound in enumerate(sounds) if packet.size and sound.index == packet.stream_index), None
            )
            if number is not None:
                film.payloads[number].append(bytes(packet))
                film.sound_times[number].append(packet.pts * packet.time_base)
            try:
                frames = packet.decode()
            except av.FFmpegError:
                film.errors += 1
                continue
            for frame in frames:
                if isinstance(frame, av.VideoFrame):
                    _see(film, frame)
                else:
                    track = next(n for n, sound in enumerate(sounds) if sound is packet.stream)
                    starts.setdefault(track, (frame.pts * frame.time_base, frame.sample_rate))
                    samples[track].append(_first_channel(frame))
        film.heard = [(*starts[n], np.concatenate(samples[n])) for n in range(len(sounds)) if n in starts]
    film.times.sort()
    return film


def _see(film: Film, frame: av.VideoFrame) -> None:
    if not film.times:
        film.size, film.rotation = (frame.width, frame.height), int(frame.rotation)
        film.tags = {
            "primaries": int(frame.color_primaries), "transfer": int(frame.color_trc),
            "matrix": int(frame.colorspace), "range": int(frame.color_range),
        }  # fmt: skip
    film.times.append(frame.pts * frame.time_base)


def _first_channel(frame: av.AudioFrame) -> np.ndarray:
    values = frame.to_ndarray()
    channel = values[0] if frame.format.is_planar else values.reshape(-1, frame.layout.nb_channels)[:, 0]
    return channel.astype(np.float64)


def offset_between(before: Film, after: Film, track: int) -> float:
    """Seconds by which the sound moved against the picture: by the times, and by where the same samples lie."""
    (start, rate, old), (other_start, _, new) = before.heard[track], after.heard[track]
    length = min(len(old), len(new), rate * 2)
    place = int(np.argmax(np.abs(old[: max(1, len(old) - length + 1) + length])))
    window = old[max(0, place - 256) : place + 256]
    begin = max(0, place - 256)
    reach = rate // 8
    low = max(0, begin - reach)
    part = new[low : begin + reach + len(window)]
    shift = 0
    if len(part) >= len(window) and np.any(window):
        errors = np.convolve(part**2, np.ones(len(window)), "valid") - 2 * np.correlate(part, window, "valid")
        shift = int(np.argmin(errors)) + low - begin
    moved = (other_start - after.times[0]) - (start - before.times[0])
    return float(moved) + shift / rate


def compare(before: Film, after: Film, seconds: float | None) -> list[tuple[str, str, str, bool]]:
    """Rows: what, before, after, whether it is right."""
    times = before.times
    if seconds is not None:
        times = [time for time in times if time - times[0] < seconds - 1e-9]
    rows = [("frames", str(len(times)), str(len(after.times)), len(times) == len(after.times))]
    pairs = list(zip(times, after.times, strict=False))
    worst = max((abs((b - after.times[0]) - (a - times[0])) for a, b in pairs), default=Fraction(0))
    exact = (before.base / after.base).denominator == 1
    rows.append(
        (
            "pts, worst error",
            f"1/{1 / before.base}",
            f"{float(worst) * 1000:.4f} ms",
            worst <= (0 if exact else after.base),
        )
    )
    for tag, value in before.tags.items():
        unsaid = value in (0, 2) if tag != "range" else value == 0
        right = after.tags[tag] in ASSUMED[tag] if unsaid else after.tags[tag] == value
        from_rgb = before.tags["matrix"] == 0 and tag in ("matrix", "range")  # RGB is written as BT.709 YUV
        rows.append((tag, str(value), str(after.tags[tag]), right or from_rgb))
    rows.append(("rotation", str(before.rotation), str(after.rotation), before.rotation == after.rotation))
    rows.append(("sample aspect", str(before.aspect), str(after.aspect), before.aspect == after.aspect))
    for what in ("subtitles", "chapters", "attachments"):
        rows.append(
            (what, str(getattr(before, what)), str(getattr(after, what)), getattr(before, what) == getattr(after, what))
        )
    rows.append(
        (
            "sound tracks",
            str(len(before.payloads)),
            str(len(after.payloads)),
            len(before.payloads) == len(after.payloads),
        )
    )
    for track in range(min(len(before.heard), len(after.heard))):
        rows += _sound(before, after, track, seconds is None)
    rows.append(("decoding errors", str(before.errors), str(after.errors), after.errors == 0))
    return rows


def _sound(before: Film, after: Film, track: int, whole: bool) -> list[tuple[str, str, str, bool]]:
    old, new = before.payloads[track], after.payloads[track]
    if before.sound_codecs[track] != after.sound_codecs[track]:
        (_, _, first), (_, _, second) = before.heard[track], after.heard[track]
        same = len(first) == len(second) and bool(np.array_equal(first, second))
        rows = [(f"sound {track}, samples", str(len(first)), str(len(second)), same)]
    elif before.sound_codecs[track].startswith("pcm"):
        same = b"".join(new) == b"".join(old) if whole else b"".join(new) in b"".join(old)
        rows = [(f"sound {track}, bytes", str(sum(map(len, old))), str(sum(map(len, new))), same)]
    else:
        same = new == old if whole else new == old[: len(new)]
        rows = [(f"sound {track}, packets", str(len(old)), str(len(new)), same)]
    offset = offset_between(before, after, track)
    rows.append((f"sound {track}, A/V offset", "0", f"{offset * 1000:+.3f} ms", abs(offset) < 0.001))
    return rows


def main() -> int:
    parser = argparse.ArgumentParser(description="Compare a restored film with its source.")
    parser.add_argument("source")
    parser.add_argument("output")
    parser.add_argument("--end", type=float, help="the output holds only the first so many seconds")
    arguments = parser.parse_args()
    before, after = read(arguments.source), read(arguments.output)
    rows = compare(before, after, arguments.end)
    print(f"{arguments.source} {before.size[0]}x{before.size[1]} -> {arguments.output} {after.size[0]}x{after.size[1]}")
    for what, old, new, right in rows:
        print(f"  {'ok ' if right else 'BAD'} {what:22} {old:>16} {new:>16}")
    return 0 if all(right for *_, right in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
