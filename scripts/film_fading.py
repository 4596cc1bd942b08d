"""Rows of `bench_film.py` for fading. Fadings are drawn with seeds that nothing was tuned on.

Photographs and clips are faded in each of the four ways of `restore.damage.fading`, and given back to
`refade` and to what one would use else: libavfilter's `normalize` (levels by channel, and of all channels alike) and
`colorcorrect` (its average and its min-max analysis), OpenCV's equalisation of luma, and automatic levels (half a
percent clipped at either end, by channel). Truth is the picture before; of silver prints, without its colours.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import numpy.typing as npt
import torch
from film_dust import quantised, read

from restore.damage.fading import KINDS, Fading, sample_fading
from restore.frames import ColorInfo, FrameBatch, PixelFormat, Shot, VideoFormat
from restore.stages import build_stage

SEEDS = (9101,)
CLIPS = (
    ("cockatoo.mp4", 40), ("orig.mp4", 30), ("asl/hungry.mkv", 0), ("asl/milk.mkv", 0),
    ("studio_feature_bw.mp4", 100), ("car-detection.mp4", 60),
)  # fmt: skip
FRAMES = 2
FILTERS = {
    "normalize": "normalize=smoothing=0",
    "normalize, linked": "normalize=smoothing=0:independence=0",
    "colorcorrect average": "colorcorrect=analyze=average",
    "colorcorrect minmax": "colorcorrect=analyze=minmax",
}

Array = npt.NDArray[np.float64]


def refaded(film: torch.Tensor) -> torch.Tensor:
    """Our correction of one shot."""
    count, _, height, width = film.shape
    form = VideoFormat(width, height, PixelFormat("rgb", 8), ColorInfo(), Fraction(1, 25), Fraction(25))
    stage = build_stage("refade")
    analyzer = stage.analyzer()
    assert analyzer is not None
    analyzer.begin(Shot(0, 0, count), form)
    for number in range(count):
        analyzer.add(FrameBatch(film[number : number + 1], (number,), slice(0, 1), (True,), 0, form))
    batch = FrameBatch(film, tuple(range(count)), slice(0, count), (True,) * count, 0, form)
    [plan] = stage.settle([analyzer.finish()])
    done = stage.process(batch, stage.told(plan))
    return quantised(done) if isinstance(done, torch.Tensor) else film


def filtered(film: torch.Tensor, arguments: str) -> torch.Tensor:
    """One of libavfilter's filters over the film."""
    height, width = film.shape[-2:]
    graph = av.filter.Graph()
    kind, _, said = arguments.partition("=")
    source = graph.add_buffer(width=width, height=height, format="rgb24", time_base=Fraction(1, 25))
    shape, middle, sink = (
        graph.add("format", "rgb24" if kind == "normalize" else "yuv444p"),
        graph.add(kind, said),
        None,
    )
    sink = graph.add("buffersink")
    source.link_to(shape)
    shape.link_to(middle)
    middle.link_to(sink)
    graph.configure()
    rows = []
    for number, picture in enumerate((film * 255).round().byte().permute(0, 2, 3, 1).numpy()):
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
        frame.pts, frame.time_base = number, Fraction(1, 25)
        graph.push(frame)
        rows.append(graph.pull().to_ndarray(format="rgb24"))
    return torch.from_numpy(np.stack(rows)).permute(0, 3, 1, 2).float() / 255


def equalised(film: torch.Tensor) -> torch.Tensor:
    """OpenCV's equalisation of luma, frame by frame."""
    rows = []
    for picture in (film * 255).round().byte().permute(0, 2, 3, 1).numpy():
        parts = cv2.cvtColor(np.ascontiguousarray(picture), cv2.COLOR_RGB2YCrCb)
        parts[..., 0] = cv2.equalizeHist(parts[..., 0])
        rows.append(cv2.cvtColor(parts, cv2.COLOR_YCrCb2RGB))
    return torch.from_numpy(np.stack(rows)).permute(0, 3, 1, 2).float() / 255


def levelled(film: torch.Tensor) -> torch.Tensor:
    """Automatic levels of the whole shot, each channel by itself."""
    flat = film.permute(1, 0, 2, 3).reshape(3, -1)[:, ::7]
    low, high = (torch.quantile(flat, share, dim=1)[:, None, None] for share in (0.005, 0.995))
    return quantised((film - low) / (high - low).clamp(min=0.05))


METHODS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "ours": refaded,
    **{name: (lambda film, arguments=arguments: filtered(film, arguments)) for name, arguments in FILTERS.items()},
    "equalizeHist": equalised,
    "automatic levels": levelled,
}


def lab(film: torch.Tensor) -> Array:
    """(pixels, 3): CIE L*a*b* of every third pixel each way."""
    part = np.ascontiguousarray(film[..., ::3, ::3].permute(0, 2, 3, 1).reshape(1, -1, 3).numpy())
    return np.asarray(cv2.cvtColor(part, cv2.COLOR_RGB2Lab)[0], np.float64)


def ciede2000(one: Array, other: Array) -> float:
    """Mean colour difference after CIE 142-2001 (Sharma, Wu, Dalal, Color Res. Appl. 2005)."""
    (l1, a1, b1), (l2, a2, b2) = one.T, other.T
    mean_chroma = (np.hypot(a1, b1) + np.hypot(a2, b2)) / 2
    stretch = 1.5 - 0.5 * np.sqrt(mean_chroma**7 / (mean_chroma**7 + 25.0**7))
    c1, c2 = np.hypot(a1 * stretch, b1), np.hypot(a2 * stretch, b2)
    h1, h2 = (np.degrees(np.arctan2(b, a * stretch)) % 360 for a, b in ((a1, b1), (a2, b2)))
    dl, dc = l2 - l1, c2 - c1
    turn = (h2 - h1 + 180) % 360 - 180
    dh = 2 * np.sqrt(c1 * c2) * np.sin(np.radians(np.where(c1 * c2 == 0, 0, turn) / 2))
    lm, cm = (l1 + l2) / 2, (c1 + c2) / 2
    hm = np.where(c1 * c2 == 0, h1 + h2, (h1 + np.where(c1 * c2 == 0, 0, turn) / 2) % 360)
    t = (
        1 - 0.17 * np.cos(np.radians(hm - 30)) + 0.24 * np.cos(np.radians(2 * hm))
        + 0.32 * np.cos(np.radians(3 * hm + 6)) - 0.20 * np.cos(np.radians(4 * hm - 63))
    )  # fmt: skip
    sl = 1 + 0.015 * (lm - 50) ** 2 / np.sqrt(20 + (lm - 50) ** 2)
    sc, sh = 1 + 0.045 * cm, 1 + 0.015 * cm * t
    rt = -2 * np.sqrt(cm**7 / (cm**7 + 25.0**7)) * np.sin(np.radians(60 * np.exp(-(((hm - 275) / 25) ** 2))))
    apart = (dl / sl) ** 2 + (dc / sc) ** 2 + (dh / sh) ** 2 + rt * (dc / sc) * (dh / sh)
    return float(np.sqrt(np.maximum(apart, 0)).mean())


def psnr(one: torch.Tensor, other: torch.Tensor) -> float:
    """Over RGB, dB; at most 60."""
    return float(-10 * torch.log10(((one - other) ** 2).mean().clamp(1e-6)))


def picture(path: Path) -> torch.Tensor:
    """(1, 3, H, W), at most 512 pixels long."""
    loaded = cv2.imread(str(path))
    assert loaded is not None, path
    scale = min(1.0, 512 / max(loaded.shape[:2]))
    small = cv2.resize(loaded, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)[:, :, ::-1]
    return torch.from_numpy(small.copy()).permute(2, 0, 1)[None].float() / 255


def sources(material: Path) -> Iterator[tuple[str, str, torch.Tensor]]:
    """(group, name, film)."""
    held = sorted((material.parent / "train" / "photos").glob("*"))
    for path in [path for number, path in enumerate(held) if number % 7 == 3][::12]:
        yield "held-back photographs", path.name, picture(path)
    for path in sorted((material / "images" / "kodak").glob("*.png")):
        yield "Kodak", path.name, picture(path)
    for clip, first in CLIPS:
        yield "clips", clip, quantised(read(material / "video" / clip, first, FRAMES))


def rows(material: Path) -> Iterator[str]:
    """Markdown, a line at a time."""
    gains: dict[tuple[str, str, str], list[tuple[float, float]]] = {}
    touched: dict[str, list[str]] = {}
    counts: dict[str, int] = {}
    for group, name, clean in sources(material):
        counts[group] = counts.get(group, 0) + 1
        if float((refaded(clean) - clean).abs().mean()) > 1 / 255:
            touched.setdefault(group, []).append(name)
        for kind in KINDS:
            truth = quantised(Fading((1.0, 1.0, 1.0), silver=True).apply(clean)) if kind == "silver" else clean
            for seed in SEEDS:
                faded = quantised(sample_fading(seed + 10 * counts[group], kind).apply(clean))
                before, colour = psnr(faded, truth), ciede2000(lab(faded), lab(truth))
                for method, correct in METHODS.items():
                    done = correct(faded)
                    won = (psnr(done, truth) - before, colour - ciede2000(lab(done), lab(truth)))
                    gains.setdefault((group, kind, method), []).append(won)
    yield "| PSNR won, dB / CIEDE2000 won | " + " | ".join(METHODS) + " |"
    yield "|---|" + "---|" * len(METHODS)
    for group in counts:
        for kind in KINDS:
            means = [np.mean(gains[group, kind, method], axis=0) for method in METHODS]
            yield f"| {group}, {kind} | " + " | ".join(f"{won:+.1f} / {colour:+.1f}" for won, colour in means) + " |"
    yield ""
    for group, count in counts.items():
        names = touched.get(group, [])
        yield f"Sound {group} changed by more than 1/255: {len(names)} of {count} {', '.join(names)}"
