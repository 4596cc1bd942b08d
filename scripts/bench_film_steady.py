"""Rows of `bench_film.py` for deflicker and stabilize."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from restore import api
from restore.analysis.camera_path import CameraPath
from restore.damage.flicker import sample_flicker
from restore.damage.weave import sample_weave, weave

Row = tuple[str, str, str, str]
Array = npt.NDArray[np.float64]
FLICKER_SEEDS, WEAVE_SEEDS = (8101, 8102), (8201, 8202)
CLIPS = ("asl/*.mkv", "car-detection.mp4", "studio_feature_bw.mp4")
WIDTH, HEIGHT, FRAMES, MARGIN = 400, 300, 72, 8


def clips(material: Path) -> Iterator[tuple[str, Tensor]]:
    """The first clip of each kind, (N, 3, H, W) in [0, 1]."""
    for pattern in CLIPS:
        path = sorted((material / "video").glob(pattern))[0]
        with av.open(str(path)) as container:
            skip = 140 if "studio" in path.name else 0  # inside one shot
            frames = []
            for number, frame in enumerate(container.decode(video=0)):
                if number >= skip + (66 if skip else FRAMES):
                    break
                if number >= skip:
                    small = frame.reformat(width=WIDTH + 2 * MARGIN, height=HEIGHT + 2 * MARGIN)
                    frames.append(small.to_ndarray(format="rgb24"))
        yield path.stem, torch.from_numpy(np.stack(frames)).permute(0, 3, 1, 2).float() / 255


def rounded(frames: Tensor) -> Tensor:
    return (frames * 255).round().clamp(0, 255) / 255


def filtered(frames: Tensor, name: str, arguments: str) -> Tensor:
    """Frames through a filter of FFmpeg."""
    graph = av.filter.Graph()
    height, width = frames.shape[-2:]
    source = graph.add_buffer(width=width, height=height, format="rgb24", time_base="1/25")
    convert, effect, sink = graph.add("format", "yuv444p"), graph.add(name, arguments), graph.add("buffersink")
    source.link_to(convert)
    convert.link_to(effect)
    effect.link_to(sink)
    graph.configure()
    done: list[npt.NDArray[np.uint8]] = []

    def drain() -> None:
        while True:
            try:
                done.append(graph.pull().to_ndarray(format="rgb24"))
            except (av.BlockingIOError, av.EOFError):
                return

    for number, pixels in enumerate((frames * 255).byte().permute(0, 2, 3, 1).numpy()):
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
        frame.pts = number
        graph.push(frame)
        drain()
    graph.push(None)
    drain()
    return torch.from_numpy(np.stack(done)).permute(0, 3, 1, 2).float() / 255


def around_course(curves: Array) -> Array:
    """Deviation of (N, C) curves around a parabola through 13 frames (Savitzky and Golay 1964)."""
    x = np.arange(-6, 7)
    middle = np.linalg.pinv(np.stack((np.ones(13), x, x * x), 1))[0]
    smooth = np.stack([np.convolve(column, middle[::-1], "valid") for column in curves.T], 1)
    return np.asarray((curves[6:-6] - smooth).std(axis=0))


def brightness(frames: Tensor) -> Array:
    return frames.clamp(0, 1).mean(dim=(1, 2, 3)).double().numpy()


def path_of(frames: Tensor) -> Array:
    path = CameraPath()
    for frame in frames.mean(dim=1):
        path.add(frame)
    return path.path()[:, :2]


def psnr(frames: Tensor, truth: Tensor) -> float:
    error = float((frames.clamp(0, 1) - truth).square().mean())
    return -10 * np.log10(error) if error else float("inf")


Repair = Callable[[Tensor], Tensor]
DEFLICKERS: dict[str, Repair] = {
    "ours": lambda frames: api.apply("deflicker", frames),
    "FFmpeg": lambda frames: filtered(frames, "deflicker", "s=5:m=am"),
}
STABILIZERS: dict[str, Repair] = {
    "ours": lambda frames: api.apply("stabilize", frames),
    "FFmpeg": lambda frames: filtered(frames, "deshake", ""),
}


def rows(stage: str, *measures: tuple[str, float, float | None, str]) -> list[Row]:
    """Measures with our figure, FFmpeg's where it has one, and how to write them."""
    return [
        (stage, name, form.format(ours), "–" if theirs is None else form.format(theirs))
        for name, ours, theirs, form in measures
    ]


def flicker_rows(material: Path) -> list[Row]:
    """Brightness around its course, fades, and clean clips."""
    down: dict[str, list[float]] = {"ours": [], "FFmpeg": []}
    fades: dict[str, list[float]] = {"ours": [], "FFmpeg": []}
    harm = []
    for _, clip in clips(material):
        clean = clip[..., MARGIN:-MARGIN, MARGIN:-MARGIN]
        harm.append(psnr(api.apply("deflicker", clean), clean))
        count = len(clean)
        ramp = np.clip((np.arange(count) - 6) / 24, 0, 1) * np.clip((count - 7 - np.arange(count)) / 24, 0, 1)
        faded = clean * torch.from_numpy(ramp).float()[:, None, None, None]
        for seed in FLICKER_SEEDS:
            flicker = sample_flicker(count, seed, 0.045, contrast=0.03, local=0.02, pulse=0.02)
            damaged, dark = rounded(flicker.apply(clean)), rounded(flicker.apply(faded))
            against = brightness(clean)
            before = around_course(np.log(brightness(damaged) / against)[:, None])[0]
            for who, run in DEFLICKERS.items():
                after = around_course(np.log(brightness(run(damaged)) / against)[:, None])[0]
                down[who].append(100 * (1 - after / before))
                off = np.abs(brightness(run(dark)) - brightness(faded)) / brightness(faded).max()
                fades[who].append(100 * float(off.mean()))
    return rows(
        "deflicker",
        ("brightness around its course, down by (worst)", min(down["ours"]), min(down["FFmpeg"]), "{:.1f} %"),
        ("the same, mean", float(np.mean(down["ours"])), float(np.mean(down["FFmpeg"])), "{:.1f} %"),
        ("fades off by, mean over frames (worst clip)", max(fades["ours"]), max(fades["FFmpeg"]), "{:.2f} %"),
        ("clean clips against the input (worst)", min(harm), None, "{:.1f} dB"),
    )


def weave_rows(material: Path) -> list[Row]:
    """What still jumps, on still cameras, on a pan, and on clean clips."""
    left: dict[str, list[float]] = {"before": [], "ours": [], "FFmpeg": []}
    pans: dict[str, list[float]] = {"ours": [], "FFmpeg": []}
    harm = []
    for _, clip in clips(material):
        clean = clip[..., MARGIN:-MARGIN, MARGIN:-MARGIN]
        harm.append(psnr(api.apply("stabilize", clean), clean))
        count = len(clip)
        t = np.clip((np.arange(count) - count // 4) / (count // 2), 0, 1)
        course = 90 * t * t * (3 - 2 * t)  # a pan over the clip, which goes on moving
        for seed in WEAVE_SEEDS:
            path = sample_weave(count, seed, 1.0)
            woven = rounded(weave(clip, path, MARGIN))
            panned = path.copy()
            panned[:, 0] -= course
            pan = rounded(weave(clip, panned, MARGIN)[..., : WIDTH - 96])
            left["before"].append(float(around_course(path_of(woven)).max()))
            for who, run in STABILIZERS.items():
                left[who].append(float(around_course(path_of(run(woven))).max()))
                found = path_of(run(pan))[:, 0]
                pans[who].append(abs(float(found[-1] - found[0]) + 90))
    return rows(
        "stabilize",
        ("jitter before (worst)", max(left["before"]), None, "{:.2f} px"),
        ("jitter left (worst)", max(left["ours"]), max(left["FFmpeg"]), "{:.3f} px"),
        ("a pan of 90 px ends off by (worst)", max(pans["ours"]), max(pans["FFmpeg"]), "{:.1f} px"),
        ("clean clips against the input (worst)", min(harm), None, "{:.1f} dB"),
    )
