"""How near followed colours come to the true ones, how steady they are, and what they cost.

    python scripts/bench_colorize_film.py CLIP... [--seconds 6] [--model none] [--automatic]

Each clip is a film in colour: it is turned grey, the first frame of each shot is handed back as a reference, and what
`restore colorize` makes of it is held against the truth. In the same table: that frame's colours spread by luma alone
(histogram transfer), and a network's proposals frame by frame, if --model names one. --oracle adds what no grey film
tells: *white balance told* is ours with each frame's white balance taken from the truth (two gains a frame, the medians
of true over followed colours), *followed perfectly* the truth itself with the first frame's white balance throughout.

CIEDE2000 over frames at half size; *change* is how much chroma differs from the frame before, fetched along the true
film's motion, against the true film's own.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F

from restore import api
from restore.analysis.flow import flow_between, moved
from restore.colorimetry import delta_e, lightness_of, rgb_to_lab
from restore.media.options import OutputOptions
from restore.pipeline.contract import Device
from restore.recipe import Recipe
from restore.stages.colorize import chroma
from restore.stages.colorize.networks import load_proposer

Planes = tuple[npt.NDArray[np.uint8], ...]
_SIZE = 320


def planes_of(frame: av.VideoFrame) -> Planes:
    """Y, U and V of a 4:2:0 frame."""
    found = []
    for plane in frame.planes:
        rows = np.frombuffer(plane, np.uint8).reshape(plane.height, plane.line_size)
        found.append(rows[:, : plane.width].copy())
    return tuple(found)


def decoded(path: Path, limit: int | None = None) -> Iterator[Planes]:
    """Frames of a film as 4:2:0 of 8 bits."""
    with av.open(str(path)) as container:
        for number, frame in enumerate(container.decode(video=0)):
            if limit is not None and number >= limit:
                return
            if not frame.format.name.endswith("420p"):
                frame = frame.reformat(format="yuv420p", src_color_range=frame.color_range,
                                       dst_color_range=frame.color_range)  # fmt: skip
            yield planes_of(frame)


def write_film(path: Path, frames: Sequence[Planes], like: Path, rate: Fraction, grey: bool) -> None:
    """An FFV1 film of the frames, tagged as the clip is."""
    with av.open(str(like)) as source, av.open(str(path), "w") as container:
        tags = source.streams.video[0].codec_context
        stream = container.add_stream("ffv1", rate=rate)
        height, width = frames[0][0].shape
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        full = tags.pix_fmt.startswith("yuvj") or tags.color_range == 2
        stream.codec_context.color_range = 2 if full else 1
        stream.codec_context.colorspace = tags.colorspace if tags.colorspace in (1, 5, 6) else 5
        stream.codec_context.color_primaries = stream.codec_context.color_trc = 1
        for planes in frames:
            frame = av.VideoFrame(width, height, "yuv420p")
            for place, (plane, samples) in enumerate(zip(frame.planes, planes, strict=True)):
                rows = np.frombuffer(plane, np.uint8).reshape(plane.height, plane.line_size)
                rows[:, : plane.width] = 128 if grey and place else samples
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


class Scale:
    """What the samples of a clip mean."""

    def __init__(self, path: Path) -> None:
        with av.open(str(path)) as container:
            context = container.streams.video[0].codec_context
            self.full = context.pix_fmt.startswith("yuvj") or context.color_range == 2
            self.weights = (0.2126, 0.0722) if context.colorspace == 1 else (0.299, 0.114)

    def small(self, planes: Planes) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """Luma (h, w) and Cb, Cr (h, w, 2), reduced."""
        scale = min(1.0, _SIZE / max(planes[0].shape))
        size = (round(planes[0].shape[1] * scale), round(planes[0].shape[0] * scale))
        y, u, v = (cv2.resize(plane.astype(np.float32), size, interpolation=cv2.INTER_AREA) for plane in planes)
        if self.full:
            return y / 255, np.dstack((u - 128, v - 128)) / 255
        return (y - 16) / 219, np.dstack((u - 128, v - 128)) / 224

    def lab(self, luma: npt.NDArray[np.float32], chroma: npt.NDArray[np.float32]) -> torch.Tensor:
        """(1, 3, h, w)."""
        kr, kb = self.weights
        red, blue = luma + (2 - 2 * kr) * chroma[..., 1], luma + (2 - 2 * kb) * chroma[..., 0]
        green = (luma - kr * red - kb * blue) / (1 - kr - kb)
        return rgb_to_lab(torch.from_numpy(np.stack((red, green, blue)))[None].clamp(0, 1))


def write_still(path: Path, planes: Planes, scale: Scale) -> None:
    """A frame in colour as a PNG."""
    height, width = planes[0].shape
    y, u, v = (cv2.resize(p.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR) for p in planes)
    y, u, v = (y / 255, (u - 128) / 255, (v - 128) / 255) if scale.full else (
        (y - 16) / 219, (u - 128) / 224, (v - 128) / 224)  # fmt: skip
    kr, kb = scale.weights
    red, blue = y + (2 - 2 * kr) * v, y + (2 - 2 * kb) * u
    green = (y - kr * red - kb * blue) / (1 - kr - kb)
    cv2.imwrite(str(path), (np.dstack((blue, green, red)).clip(0, 1) * 255 + 0.5).astype(np.uint8))


class Score:
    """Differences to the truth of one way of colouring one shot."""

    def __init__(self) -> None:
        self.errors: list[float] = []
        self.change = self.true_change = 0.0
        self._before: npt.NDArray[np.float32] | None = None

    def add(self, scale: Scale, luma: npt.NDArray[np.float32], true: npt.NDArray[np.float32],
            made: npt.NDArray[np.float32], way: npt.NDArray[np.float32] | None,
            true_before: npt.NDArray[np.float32] | None) -> None:  # fmt: skip
        """One frame; `way` leads to the one before."""
        step = (slice(None, None, 2), slice(None, None, 2))
        difference = delta_e(scale.lab(luma[step], true[step]), scale.lab(luma[step], made[step]))
        self.errors.append(float(difference.mean()))
        if way is not None and self._before is not None and true_before is not None:
            self.change += float(np.abs(made - moved(self._before, way)).mean())
            self.true_change += float(np.abs(true - moved(true_before, way)).mean())
        self._before = made

    def row(self, rate: float) -> dict[str, float]:
        """The figures."""
        second = max(1, min(len(self.errors) // 2, round(rate)))
        first, last = float(np.mean(self.errors[:second])), float(np.mean(self.errors[-second:]))
        return {
            "mean": round(float(np.mean(self.errors)), 2), "first second": round(first, 2),
            "last second": round(last, 2), "change": round(self.change / max(1e-9, self.true_change), 2),
        }  # fmt: skip


def by_luma(luma: npt.NDArray[np.float32], chroma: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """(256, 2): the mean chroma at each level of luma of a frame: plain histogram transfer."""
    level = (luma * 255).clip(0, 255).astype(int).ravel()
    count = np.bincount(level, minlength=256)
    sums = [np.bincount(level, chroma[..., k].ravel(), 256) for k in (0, 1)]
    kernel = np.exp(-((np.arange(-16, 17) / 6) ** 2))
    smooth = [np.convolve(np.asarray(values, float), kernel, "same") for values in (count, *sums)]
    return np.stack(smooth[1:], -1).astype(np.float32) / np.maximum(smooth[0], 1e-6)[:, None].astype(np.float32)


class Balance:
    """The white balance of a frame, against that of the frame its colours come from: gains of R' and B' beside G'."""

    def __init__(self, scale: Scale, luma: npt.NDArray[np.float32], true: npt.NDArray[np.float32],
                 made: npt.NDArray[np.float32]) -> None:  # fmt: skip
        self._kr, self._kb = scale.weights
        plain = (luma > 0.2) & (luma < 0.85)
        ratios = [self._ratios(luma, chroma)[plain] for chroma in (true, made)]
        self.gains = np.median(ratios[0] / ratios[1], axis=0) if plain.any() else np.ones(2)

    def _rgb(self, luma: npt.NDArray[np.float32], chroma: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        red, blue = luma + (2 - 2 * self._kr) * chroma[..., 1], luma + (2 - 2 * self._kb) * chroma[..., 0]
        green = (luma - self._kr * red - self._kb * blue) / (1 - self._kr - self._kb)
        return np.dstack((red, green, blue)).clip(0.01, 1)

    def _ratios(self, luma: npt.NDArray[np.float32], chroma: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        red, green, blue = np.moveaxis(self._rgb(luma, chroma), -1, 0)
        return np.stack((red / green, blue / green), -1)

    def applied(
        self, luma: npt.NDArray[np.float32], chroma: npt.NDArray[np.float32], way: int = 1
    ) -> npt.NDArray[np.float32]:
        """Cb, Cr of the same luma with the gains (`way` -1: without them)."""
        red, blue = (self.gains**way).astype(np.float32)
        rgb = self._rgb(luma, chroma) * np.array((red, 1, blue), np.float32)
        made = rgb @ np.array((self._kr, 1 - self._kr - self._kb, self._kb), np.float32)
        red, _, blue = np.moveaxis(rgb * (luma / np.maximum(made, 1e-3))[..., None], -1, 0)
        return np.dstack(((blue - luma) / (2 - 2 * self._kb), (red - luma) / (2 - 2 * self._kr))).astype(np.float32)


class FrameByFrame:
    """A network asked about each frame by itself."""

    def __init__(self, model: str, scale: Scale) -> None:
        self._proposer = load_proposer(model, Device(torch.device("cpu"), "fp32"))
        self._weights = scale.weights

    def __call__(self, luma: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """(h, w) luma to (h, w, 2) Cb, Cr."""
        grey = torch.from_numpy(luma)[None].clamp(0, 1)
        size = self._proposer.input_size(*luma.shape)
        asked = F.interpolate(grey[:, None], size, mode="bilinear", antialias=True).clamp(0, 1)
        ab = F.interpolate(self._proposer.propose(lightness_of(asked)).ab, luma.shape, mode="bilinear")
        return chroma.of_lab(grey, ab, self._weights)[0].permute(1, 2, 0).contiguous().numpy()


def bench(
    clip: Path, seconds: float, model: str, automatic: bool, folder: Path, oracle: bool = False
) -> Iterator[dict[str, object]]:
    """Rows of one clip."""
    with av.open(str(clip)) as container:
        rate = container.streams.video[0].average_rate or Fraction(25)
    frames = list(decoded(clip, round(seconds * float(rate))))
    scale = Scale(clip)
    grey, made = folder / f"{clip.stem}.mkv", folder / f"{clip.stem}_made.mkv"
    write_film(grey, frames, clip, rate, grey=True)
    shots = [shot.start_frame for shot in api.shots(grey)]
    references = []
    for start in shots:
        still = folder / f"{clip.stem}_{start}.png"
        write_still(still, frames[start], scale)
        references.append(f"{still}@{start}f")
    given = {} if automatic else {"reference": references}
    began = time.perf_counter()
    cpu = time.process_time()
    recipe = Recipe((Recipe.of("colorize", model=model, **given).stages), output=OutputOptions(codec="ffv1"))
    api.run(grey, made, recipe, overwrite=True)
    took, spent = time.perf_counter() - began, time.process_time() - cpu
    done = list(decoded(made))
    same = all(np.array_equal(a[0], b[0]) for a, b in zip(frames, done, strict=True))
    alone = None if model == "none" else FrameByFrame(model, scale)
    told = ("white balance told", "followed perfectly") if oracle else ()
    scores = {name: Score() for name in ("restore", "by luma", *(["frame by frame"] if alone else []), *told)}
    curve, before, true_before = None, None, None
    for number, (true, result) in enumerate(zip(frames, done, strict=True)):
        luma, truth = scale.small(true)
        ours = scale.small(result)[1]
        eight = (luma * 255).clip(0, 255).astype(np.uint8)
        if number in shots:
            curve, before = by_luma(luma, truth), None
        assert curve is not None
        way = None if before is None else flow_between(eight, before, fine=True)
        ways = {"restore": ours, "by luma": curve[eight]}
        if alone is not None:
            ways["frame by frame"] = alone(luma)
        if oracle:
            balance = Balance(scale, luma, truth, ours)
            ways |= dict(zip(told, (balance.applied(luma, ours), balance.applied(luma, truth, -1)), strict=True))
        for name, score in scores.items():
            score.add(scale, luma, truth, ways[name], way, true_before)
        before, true_before = eight, truth
    height, width = frames[0][0].shape
    facts = {"clip": clip.name, "size": f"{width}x{height}", "frames": len(frames), "shots": len(shots)}
    for name, score in scores.items():
        row: dict[str, object] = {**facts, "way": name, **score.row(float(rate))}
        if name == "restore":
            row |= {"luma identical": same, "fps": round(len(frames) / took, 1),
                    "fps of processor time": round(len(frames) / spent, 1)}  # fmt: skip
        yield row


def main() -> None:
    """Print a row a clip and way, as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", nargs="+", type=Path)
    parser.add_argument("--seconds", type=float, default=6.0)
    parser.add_argument("--model", default="none")
    parser.add_argument("--automatic", action="store_true", help="Without references: the network alone.")
    parser.add_argument("--oracle", action="store_true", help="Also what only the truth can tell.")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for clip in given.clips:
            for row in bench(clip, given.seconds, given.model, given.automatic, Path(folder), given.oracle):
                print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
