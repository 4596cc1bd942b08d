"""The stage `reage` on pictures in memory: as `restore reage` runs it, without files and encoders."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from restore.frames import ColorInfo, FrameBatch, PixelFormat, Shot, VideoFormat
from restore.pipeline.contract import Device
from restore.pipeline.index import FrameIndex
from restore.stages.reage.engines import Engine
from restore.stages.reage.options import ReageOptions
from restore.stages.reage.render import Reage

Array = npt.NDArray[np.float64]
CPU = Device(torch.device("cpu"), "fp32")
RATE = Fraction(25)


@dataclass(frozen=True)
class Rendered:
    """One frame after the stage."""

    pixels: Tensor
    """(3, H, W)."""
    mask: Tensor
    """(H, W) bool: where the stage says it changed something."""


class Workbench:
    """A stage that takes frames from memory.

    Args:
        model: an engine's name, or a checkpoint's path.
        detector: what finds faces.
        engine: used instead of the named one.
    """

    def __init__(self, model: str = "auto", detector: str = "auto", engine: Engine | None = None) -> None:
        self.options = {"model": model, "detector": detector}
        self.engine = engine
        self._shots = 0

    def study(self, frames: Iterable[Tensor], actor: str | None = None) -> dict[str, Any]:
        """The plan of a shot of (3, H, W) frames."""
        stage = self._stage(actor=actor)
        analyzer = stage.analyzer()
        pictures = iter(frames)
        first = next(pictures)
        format = format_of(first)
        analyzer.film(_index(10**6))
        analyzer.open(CPU)
        analyzer.begin(Shot(0, 0, 10**6), format)
        for number, frame in enumerate(chain((first,), pictures)):
            analyzer.add(FrameBatch(frame[None], (number,), slice(0, 1), (True,), 0, format))
        found = analyzer.finish()
        found["arrays"] = dict(analyzer.arrays())
        [settled] = stage.settle([found])
        self._shots += 1
        return {**settled, "bench_shot": self._shots}

    def render(
        self, frames: Sequence[Tensor], values: dict[str, Any], source: float, target: float | str,
        core: range | None = None, batch: int = 4, **said: Any,
    ) -> Iterator[Rendered]:  # fmt: skip
        """Some frames of a shot that was studied, made from one age to another."""
        stage = self._stage(from_age=source, to=target if isinstance(target, str) else f"{target:g}", **said)
        format = format_of(frames[0])
        stage.open(CPU, format)
        if self.engine is not None:
            self.engine.open(CPU)
            stage._engine = self.engine
        window, core = stage.window(), core or range(len(frames))
        blank = torch.zeros_like(frames[0])
        told = stage.told(values)
        for begin in range(core.start, core.stop, batch):
            stop = min(core.stop, begin + batch)
            span = range(begin - window.before, stop + window.after)
            valid = tuple(0 <= n < len(frames) for n in span)
            pixels = torch.stack([frames[n] if ok else blank for n, ok in zip(span, valid, strict=True)])
            inner = slice(window.before, window.before + stop - begin)
            piece = FrameBatch(pixels, tuple(span), inner, valid, int(values["bench_shot"]), format)
            with torch.inference_mode():
                output, masks = stage.process(piece, told)
            yield from (Rendered(*pair) for pair in zip(output, masks[:, 0], strict=True))
        stage.close()

    def _stage(self, **said: Any) -> Reage:
        given = {name: value for name, value in {**self.options, **said}.items() if value is not None}
        return Reage(ReageOptions(**given))


def _index(count: int) -> FrameIndex:
    times = np.arange(count)
    return FrameIndex(times, times < 0, times == 0, 1 / RATE, RATE, 1)


def format_of(frame: Tensor) -> VideoFormat:
    """The format of 8-bit RGB pictures of that size, 25 a second."""
    color = ColorInfo("bt709", "bt709", "gbr", "full")
    return VideoFormat(frame.shape[2], frame.shape[1], PixelFormat.parse("gbrp"), color, 1 / RATE, RATE)


def decoded(path: Path, limit: int | None = None, start: int = 0, height: int | None = None) -> Iterator[Tensor]:
    """(3, H, W) frames of a film, R'G'B' in [0, 1]."""
    with av.open(str(path)) as container:
        for number, frame in enumerate(container.decode(video=0)):
            if limit is not None and number >= start + limit:
                return
            if number < start:
                continue
            width = None if height is None else round(frame.width * height / frame.height)
            rgb = frame.to_ndarray(format="rgb24", width=width, height=height)
            yield torch.from_numpy(rgb).permute(2, 0, 1).float() / 255
