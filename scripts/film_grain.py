"""Rows of `bench_film.py` for grain. It is frozen: a spectrum, a law of brightness and seeds that tuning never saw.

Every frame is 4:2:0 in 8 bits, as films come. PSNR is over all samples, as FFmpeg's ``psnr`` filter averages it.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import torch

from restore.damage.grain import Grain
from restore.frames import ColorInfo, Frame, PixelFormat, Shot, VideoFormat
from restore.media import color
from restore.pipeline.chain import Chain
from restore.pipeline.contract import Device
from restore.stages import build_stage

CLIPS = (
    ("asl/book.mkv", 20), ("car-detection.mp4", 60), ("carphone_pristine.mp4", 20), ("cockatoo.mp4", 40),
    ("orig.mp4", 30), ("studio_feature_bw.mp4", 100),
)  # fmt: skip
FRAMES = 16
GRAINS = {
    "16 mm, b/w": [Grain(seed, 0.07, 0.8, 0.0, "disc", "density") for seed in (7201, 7202)],
    "pushed, colour": [Grain(seed, 0.09, 0.55, 0.35, "disc", "density") for seed in (7301, 7302)],
}
FILTERS = {
    "hqdn3d": [f"hqdn3d={s}" for s in ("14", "22", "30:22:30:22", "40:30:40:30", "12:9:60:45")],
    "nlmeans": [f"nlmeans=s={s}:r=11" for s in (8, 11, 14, 19)],
    "atadenoise": [f"atadenoise={t}:{2 * t}:{t}:{2 * t}:{t}:{2 * t}:s={s}" for t in (0.2, 0.3) for s in (9, 15)],
}
"""Each filter at the strengths among which it is given its best, clip by clip."""

Film = list[Frame]


def read(path: Path, first: int, count: int, width: int = 640) -> tuple[Film, VideoFormat]:
    """Frames as yuv420p, at most `width` pixels wide."""
    frames = []
    with av.open(str(path)) as container:
        for number, frame in enumerate(container.decode(video=0)):
            if first <= number < first + count:
                scale = min(1.0, width / frame.width)
                size = {"width": round(frame.width * scale / 2) * 2, "height": round(frame.height * scale / 2) * 2}
                small = frame.reformat(**size, format="yuv420p", dst_color_range="MPEG", interpolation="AREA")
                frames.append(Frame(number - first, planes_of(small)))
    height, width = frames[0].planes[0].shape
    tags = ColorInfo("bt470bg", "smpte170m", "bt470bg", "limited")
    return frames, VideoFormat(width, height, PixelFormat.parse("yuv420p"), tags, Fraction(1, 25), Fraction(25))


def planes_of(frame: av.VideoFrame) -> tuple[np.ndarray, ...]:
    planes = []
    for number, plane in enumerate(frame.planes):
        rows = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)
        width, height = (frame.width, frame.height) if number == 0 else (frame.width // 2, frame.height // 2)
        planes.append(rows[:height, :width].copy())
    return tuple(planes)


def grainy(film: Film, format: VideoFormat, grain: Grain) -> Film:
    """The film with grain."""
    planes = tuple(torch.from_numpy(np.stack(column)) for column in zip(*(f.planes for f in film), strict=True))
    rgb = color.to_rgb(planes, format.pixel, format.color)
    made = color.from_rgb(grain.apply(rgb), format.pixel, format.color)
    return [Frame(n, tuple(plane[n].numpy() for plane in made)) for n in range(len(film))]


def filtered(film: Film, format: VideoFormat, filter: str) -> Film:
    """One of FFmpeg's filters over the film. hqdn3d is not in PyAV's build, hence the program."""
    raw = ["-f", "rawvideo", "-pix_fmt", "yuv420p", "-s", f"{format.width}x{format.height}"]
    command = ["ffmpeg", "-v", "error", *raw, "-r", "25", "-i", "pipe:0", "-vf", filter, *raw, "pipe:1"]
    given = b"".join(plane.tobytes() for frame in film for plane in frame.planes)
    done = np.frombuffer(subprocess.run(command, input=given, capture_output=True, check=True).stdout, np.uint8)
    shapes = [plane.shape for plane in film[0].planes]
    parts = np.split(done.reshape(len(film), -1), np.cumsum([h * w for h, w in shapes])[:-1], axis=1)
    return [
        Frame(n, tuple(part[n].reshape(shape) for part, shape in zip(parts, shapes, strict=True)))
        for n in range(len(film))
    ]


def staged(film: Film, format: VideoFormat, name: str, **options: object) -> tuple[Film, float]:
    """One of our stages over the film, as a run does it, and the seconds of processor time a frame of rendering."""
    stage = build_stage(name, options)
    chain = Chain((stage,), format, format, Device(torch.device("cpu"), "fp32"), batch=1)
    shot = Shot(0, 0, len(film))

    def frames(wanted: range) -> Sequence[Frame]:
        return [film[number] for number in wanted]

    with torch.inference_mode(), chain:
        analyzer = stage.analyzer()
        assert analyzer is not None
        told = stage.told(chain.findings(analyzer, 0, frames, shot, []))
        before = time.process_time()
        done = list(chain.render(frames, shot, range(len(film)), [told]))
        return done, (time.process_time() - before) / len(film)


def psnr(film: Film, truth: Film) -> float:
    """Over all samples of all planes, dB."""
    squares = samples = 0.0
    for one, other in zip(film, truth, strict=True):
        for a, b in zip(one.planes, other.planes, strict=True):
            squares += float(((a.astype(np.float32) - b) ** 2).sum(dtype=np.float64))
            samples += a.size
    return float(10 * np.log10(255**2 / max(squares / samples, 1e-9)))


def rows(material: Path) -> Iterator[str]:
    """Markdown, a line at a time."""
    yield "| grain | clip | before | " + " | ".join(FILTERS) + " | ours | over the best |"
    yield "|---|---|---|" + "---|" * (len(FILTERS) + 2)
    gains = []
    films = {name: read(material / "video" / name, first, FRAMES) for name, first in CLIPS}
    for kind, grains in GRAINS.items():
        for name, (clean, format) in films.items():
            scores, chosen = [], {}
            for grain in grains:
                damaged = grainy(clean, format, grain)
                row = [psnr(damaged, clean)]
                for peer, strengths in FILTERS.items():
                    # All strengths on the first seed; on the others the one that was best there.
                    tried = [(psnr(filtered(damaged, format, one), clean), one) for one in chosen.get(peer, strengths)]
                    best, chosen[peer] = max(tried)[0], [max(tried)[1]]
                    row.append(best)
                row.append(psnr(staged(damaged, format, "denoise")[0], clean))
                scores.append([*row, row[-1] - max(row[1:-1])])
            mean = np.mean(scores, axis=0)
            gains.append(mean[-1])
            cells = " | ".join(f"{value:.2f}" for value in mean[:-1])
            yield f"| {kind} | {Path(name).stem} | {cells} | {mean[-1]:+.2f} dB |"
    yield "| mean |" + " |" * (len(FILTERS) + 3) + f" **{np.mean(gains):+.2f} dB** |"
    yield ""
    for name, (clean, format) in films.items():
        done, seconds = staged(clean, format, "denoise")
        same = psnr(done, clean)
        found = "bit-identical" if same > 100 else f"{same:.1f} dB against the input"
        yield (
            f"{Path(name).stem}, as it is, at the default: {found}; "
            f"{1000 * seconds:.0f} ms of processor time a frame of {format.width}x{format.height}."
        )
