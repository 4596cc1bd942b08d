"""Rows of `bench_film.py` for dust and scratches. Shapes and seeds are frozen, and none that tuning saw."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import numpy.typing as npt
import torch

from restore.analysis.flow import luma_of
from restore.damage import Dust, Scratches
from restore.frames import ColorInfo, FrameBatch, PixelFormat, Shot, VideoFormat
from restore.pipeline.contract import Device
from restore.stages import build_stage

CLIPS = (("car-detection.mp4", 60), ("cockatoo.mp4", 40), ("orig.mp4", 30), ("studio_feature_bw.mp4", 100))
FRAMES = 10
DUST = tuple(Dust(seed=seed, shape="islands") for seed in (7201, 7202))
SCRATCHES = tuple(Scratches(seed=seed) for seed in (7301, 7302))
FILTERS = {"atadenoise": "atadenoise", "removegrain": "removegrain=m0=4:m1=4:m2=4", "median": "median=radius=2"}
MARKS: dict[int, tuple[tuple[int, int], ...]] = {
    1: ((428, 78), (508, 96), (153, 114), (158, 123), (155, 157), (248, 150), (308, 133), (307, 75)),
    4: ((277, 22), (260, 154), (552, 9), (287, 289), (122, 258), (251, 37), (537, 124), (143, 76), (254, 52)),
    8: ((301, 164), (175, 219), (185, 203), (365, 175), (160, 215), (181, 216), (182, 145), (178, 158), (152, 187),
        (571, 121)),
    13: ((234, 70), (236, 78), (248, 94), (280, 102), (380, 32), (212, 274), (294, 235), (510, 185)),
    16: ((144, 48), (156, 129), (189, 158), (233, 194), (382, 210), (240, 60), (470, 18), (167, 165), (428, 137)),
    21: ((272, 133), (256, 198), (232, 228), (291, 331), (160, 75), (295, 61), (300, 183), (410, 273), (228, 162),
         (241, 15), (45, 131), (302, 246), (253, 111)),
}  # fmt: skip
"""Dirt marked by hand, by frame of damaged_drama_24f.mkv: (x, y) in its pixels."""

Masks = npt.NDArray[np.bool_]


def read(path: Path, first: int, count: int) -> torch.Tensor:
    """(N, 3, H, W), at most 640 pixels wide."""
    rows = []
    with av.open(str(path)) as container:
        for number, frame in enumerate(container.decode(video=0)):
            if first <= number < first + count:
                picture = frame.to_ndarray(format="rgb24")
                scale = min(1.0, 640 / picture.shape[1])
                size = (round(picture.shape[1] * scale), round(picture.shape[0] * scale))
                rows.append(cv2.resize(picture, size, interpolation=cv2.INTER_AREA))
    return torch.from_numpy(np.stack(rows)).permute(0, 3, 1, 2).float() / 255


def dedust(film: torch.Tensor) -> tuple[torch.Tensor, Masks]:
    """Our repair of one shot, and its masks."""
    count, _, height, width = film.shape
    form = VideoFormat(width, height, PixelFormat("rgb", 8), ColorInfo(), Fraction(1, 25), Fraction(25))
    stage = build_stage("dedust")
    stage.open(Device(torch.device("cpu"), "fp32"), form)
    analyzer = stage.analyzer()
    assert analyzer is not None
    analyzer.begin(Shot(0, 0, count), form)
    for number in range(count):
        luma = torch.from_numpy(luma_of(film[number : number + 1].numpy()))
        analyzer.add(FrameBatch(luma[None], (number,), slice(0, 1), (True,), 0, form))
    plan = analyzer.finish()
    pictures, masks = [], []
    for number in range(count):
        wanted = range(number - 2, number + 3)
        valid = tuple(0 <= n < count for n in wanted)
        pixels = torch.stack([film[min(max(n, 0), count - 1)] * ok for n, ok in zip(wanted, valid, strict=True)])
        pts = tuple(n if ok else -1 for n, ok in zip(wanted, valid, strict=True))
        repaired, mask = stage.process(FrameBatch(pixels, pts, slice(2, 3), valid, 0, form), plan)
        pictures.append(repaired[0])
        masks.append(mask[0, 0].numpy())
    return quantised(torch.stack(pictures)), np.stack(masks)


def filtered(film: torch.Tensor, name: str) -> torch.Tensor:
    """One of FFmpeg's filters over the film, in RGB."""
    height, width = film.shape[-2:]
    graph = av.filter.Graph()
    source = graph.add_buffer(width=width, height=height, format="gbrp", time_base=Fraction(1, 25))
    kind, _, arguments = FILTERS[name].partition("=")
    middle, sink = graph.add(kind, arguments), graph.add("buffersink")
    source.link_to(middle)
    middle.link_to(sink)
    graph.configure()
    rows = []

    def drain() -> None:
        while True:
            try:
                rows.append(graph.pull().to_ndarray(format="rgb24"))
            except (BlockingIOError, EOFError):
                return

    for number, picture in enumerate((film * 255).round().byte().permute(0, 2, 3, 1).numpy()):
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24").reformat(format="gbrp")
        frame.pts, frame.time_base = number, Fraction(1, 25)
        graph.push(frame)
        drain()
    graph.push(None)
    drain()
    return torch.from_numpy(np.stack(rows)).permute(0, 3, 1, 2).float() / 255


def quantised(film: torch.Tensor) -> torch.Tensor:
    return (film * 255).round().clamp(0, 255) / 255


def changed(film: torch.Tensor, clean: torch.Tensor) -> Masks:
    """Where a film differs by 6/255 or more."""
    return ((film - clean).abs().amax(1) > 5.5 / 255).numpy()


def grown(mask: Masks) -> Masks:
    """One pixel larger, frame by frame."""
    return np.stack([cv2.dilate(one.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0 for one in mask])


def f1(found: Masks, truth: Masks) -> float:
    precision = (found & grown(truth)).sum() / max(1, found.sum())
    recall = (truth & grown(found)).sum() / max(1, truth.sum())
    return float(2 * precision * recall / max(1e-9, precision + recall))


def gain(result: torch.Tensor, damaged: torch.Tensor, clean: torch.Tensor, mask: Masks) -> float:
    """PSNR won inside a mask, dB."""
    where = torch.from_numpy(mask)[:, None].expand_as(clean)
    before, after = (((film - clean)[where]) ** 2 for film in (damaged, result))
    return float(10 * torch.log10(before.mean() / after.mean().clamp(1e-9)))


def off_outside(result: torch.Tensor, damaged: torch.Tensor, mask: Masks) -> float:
    """Percentage of samples outside a mask that were changed by more than 2/255."""
    outside = torch.from_numpy(~grown(mask))[:, None].expand_as(damaged)
    return float(100 * ((result - damaged).abs()[outside] > 2.5 / 255).float().mean())


def rows(material: Path) -> Iterator[str]:
    """Markdown, a line at a time: dust, then scratches, every filter beside them in the same run, and the real dirt."""
    yield (
        "| damage | clip | F1 | ours, dB inside | ours, % off outside | "
        + " | ".join(f"{name}, dB / % off" for name in FILTERS)
        + " | clean, % repaired |"
    )
    yield "|---|---|---|---|---|" + "---|" * (len(FILTERS) + 1)
    films = {clip: quantised(read(material / clip, first, FRAMES)) for clip, first in CLIPS}
    untouched = {clip: float(100 * dedust(clean)[1].mean()) for clip, clean in films.items()}
    for kind, damages in (("dust", DUST), ("scratches", SCRATCHES)):
        of_clips = []
        for clip, clean in films.items():
            scores = np.mean([scored(clean, damage) for damage in damages], axis=0)
            of_clips.append(np.append(scores, untouched[clip]))
            yield _line(kind, clip, of_clips[-1])
        yield _line(kind, "**mean**", np.mean(of_clips, axis=0))
    yield from real(material)


def scored(clean: torch.Tensor, damage: Dust | Scratches) -> list[float]:
    """F1, gain inside and share off outside of ours; gain and share of every filter."""
    damaged = quantised(damage.apply(clean))
    truth = changed(damaged, clean)
    result, masks = dedust(damaged)
    row = [f1(masks, truth), gain(result, damaged, clean, truth), off_outside(result, damaged, truth)]
    for name in FILTERS:
        other = filtered(damaged, name)
        row += [gain(other, damaged, clean, truth), off_outside(other, damaged, truth)]
    return row


def _line(kind: str, clip: str, scores: npt.NDArray[np.float64]) -> str:
    others = " | ".join(f"{scores[n]:.1f} / {scores[n + 1]:.1f}" for n in range(3, len(scores) - 1, 2))
    return f"| {kind} | {clip} | {scores[0]:.3f} | {scores[1]:.1f} | {scores[2]:.3f} | {others} | {scores[-1]:.4f} |"


def rain(film: torch.Tensor, seed: int, drops: float = 150) -> torch.Tensor:
    """A film in rain: light streaks that slant alike, elsewhere on each frame; sizes in pixels of 480 lines."""
    unit = film.shape[-2] / 480
    slant = np.random.default_rng(seed).uniform(-15, 15)
    rows = []
    for number, picture in enumerate(film):
        random = np.random.default_rng((seed, number))
        layer = np.zeros(film.shape[-2:], np.float32)
        for _ in range(random.poisson(drops)):
            angle, length = np.radians(slant + random.normal(0, 3)), random.uniform(8, 24) * unit
            x, y = random.uniform(0, layer.shape[1]), random.uniform(0, layer.shape[0])
            ends = ((x, y), (x + length * np.sin(angle), y + length * np.cos(angle)))
            places = [(round(16 * float(across)), round(16 * float(down))) for across, down in ends]
            drop = np.zeros_like(layer)
            cv2.line(drop, *places, float(random.uniform(0.25, 0.6)), max(1, round(unit)), cv2.LINE_AA, shift=4)
            layer = np.maximum(layer, drop)
        rows.append(torch.lerp(picture, torch.tensor(0.85), torch.from_numpy(layer)))
    return quantised(torch.stack(rows))


def rain_rows(material: Path) -> Iterator[str]:
    """How much of falling rain is taken for dirt."""
    yield "| rain over | drops cover | of them repaired |\n|---|---|---|"
    for clip, first in CLIPS:
        clean = quantised(read(material / clip, first, FRAMES))
        film = rain(clean, seed=7401)
        truth = changed(film, clean)
        _, masks = dedust(film)
        yield f"| {clip} | {100 * truth.mean():.2f} % | {100 * (masks & truth).sum() / truth.sum():.1f} % |"


def near(mask: Masks, at: tuple[int, int]) -> bool:
    """Whether something within 3 pixels is in the mask."""
    return bool(mask[at[1] - 3 : at[1] + 4, at[0] - 3 : at[0] + 4].any())


def real(material: Path) -> Iterator[str]:
    """How many of the hand-marked defects are repaired."""
    film = read(material / "damaged_drama_24f.mkv", 0, 24)
    _, masks = dedust(film)
    missed = [(frame, at) for frame, marks in MARKS.items() for at in marks if not near(masks[frame], at)]
    count = sum(len(marks) for marks in MARKS.values())
    yield ""
    yield f"Real dirt: {count - len(missed)} of {count} hand-marked defects repaired; missed: {missed}"
