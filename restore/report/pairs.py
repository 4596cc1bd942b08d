"""Source and result side by side, labelled: a film of pairs, and a sheet of stills."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Self

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont

from restore.files import whole
from restore.frames import Frame, VideoFormat
from restore.media.clip import ClipWriter
from restore.pipeline.picture import Converter
from restore.pipeline.preview import Moment
from restore.pipeline.stills import Rgb, rgb_of
from restore.times import format_time

_WIDEST = 1920
"""Of each half; larger results are reduced."""
_GAP = 8
_GREY = 24


class Pairs:
    """Writes what a `Previewer` shows: ``NAME.preview.mp4`` and ``NAME.preview.png``. A context manager."""

    def __init__(self, film: Path, sheet: Path, before: VideoFormat, after: VideoFormat, transfer: str) -> None:
        self._film, self._sheet = film, sheet
        self._before, self._after = before, after
        self._converter = Converter(torch.device("cpu"), transfer)
        aspect = after.sample_aspect
        scale = min(1.0, _WIDEST / float(after.width * aspect))
        self._size = (round(float(after.width * aspect) * scale), round(after.height * scale))
        self._bar = max(18, self._size[1] // 16)
        self._font = ImageFont.load_default(self._bar * 0.6)
        self._clip: ClipWriter | None = None
        self._rows: list[tuple[float, Rgb]] = []
        self._moment: Moment | None = None

    def show(self, moment: Moment, before: Frame, after: Frame) -> None:
        """Add one pair; the one of each moment that changed most goes on the sheet."""
        left = rgb_of(self._converter, before, self._before, self._size)
        right = rgb_of(self._converter, after, self._after, self._size)
        found = ", ".join(f"{finding.what} {finding.amount}" for finding in moment.findings[:4]) or "nothing found"
        labels = (f"source, {format_time(moment.time)}, shot {moment.shot.number + 1}", f"restored: {found}")
        pair = self._labelled(left, right, labels)
        if self._clip is None:
            rate = Fraction(self._after.frame_rate).limit_denominator(1001)
            self._clip = ClipWriter(self._film, pair.shape[1], pair.shape[0], rate)
            self._clip.__enter__()
        self._clip.write(pair)
        changed = float(np.abs(left.astype(np.int16) - right).mean())
        if moment != self._moment:
            self._moment = moment
            self._rows.append((changed, pair))
        elif changed > self._rows[-1][0]:
            self._rows[-1] = (changed, pair)

    def _labelled(self, left: Rgb, right: Rgb, labels: tuple[str, str]) -> Rgb:
        width, height = self._size
        whole = Image.new("RGB", ((2 * width + _GAP + 1) // 2 * 2, (height + self._bar + 1) // 2 * 2), (_GREY,) * 3)
        pen = ImageDraw.Draw(whole)
        for place, (half, label) in enumerate(zip((left, right), labels, strict=True)):
            x = place * (width + _GAP)
            if place:
                pen.rectangle((x - _GAP, 0, whole.width, self._bar), fill=(_GREY,) * 3)
            whole.paste(Image.fromarray(half), (x, self._bar))
            pen.text((x + self._bar // 4, self._bar // 2), label, fill=(235, 235, 235), font=self._font, anchor="lm")
        return np.asarray(whole, np.uint8)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        if self._clip is not None:
            self._clip.__exit__(kind, *rest)
        if kind is None and self._rows:
            sheet = Image.fromarray(np.concatenate([pair for _, pair in self._rows]))
            with whole(self._sheet) as file:
                sheet.save(file, "PNG")
