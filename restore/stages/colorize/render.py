"""The rendering half of `colorize`: the plan's chroma, enlarged to each frame by its luma. Luma is not touched."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import torch

from restore.errors import OptionError, SourceError
from restore.frames import FrameBatch, PixelFormat, Shot, VideoFormat
from restore.pipeline.contract import Analyzer, Device, Stage, Values
from restore.pipeline.index import FrameIndex
from restore.stages.colorize import chroma
from restore.stages.colorize.analysis import ColorAnalyzer
from restore.stages.colorize.enlarge import enlarged, plan_size, reduced
from restore.stages.colorize.guidance import Guidance
from restore.stages.colorize.networks import DEFAULT
from restore.stages.colorize.options import ColorizeOptions
from restore.stages.colorize.proposals import Proposals
from restore.stages.colorize.stills import Still, laid_onto
from restore.zoo import load_color_network

NOTHING = "none"
"""The model that proposes nothing."""


class Colorize(Stage[ColorizeOptions]):
    """Each frame by itself; window 0."""

    name = "colorize"
    version = 2
    domain = "chroma"
    needs_progressive = True
    editable: ClassVar[frozenset[str]] = frozenset({"strength", "saturation", "recolor", "reference", "chroma"})
    studied: ClassVar[frozenset[str]] = frozenset({"recolor", "reference"})
    timed: ClassVar[frozenset[str]] = frozenset({"reference", "chroma"})

    def __init__(self, options: ColorizeOptions) -> None:
        super().__init__(options)
        self._weights = (0.0, 0.0)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "guidance"}

    @cached_property
    def guidance(self) -> Guidance:
        """What the person says. Raises RestoreError where it cannot be read."""
        return Guidance(self.options)

    @property
    def model(self) -> str | None:
        """The network that proposes, if one does."""
        name = self.options.model or DEFAULT
        return None if name == NOTHING else name

    def check(self, format: VideoFormat) -> None:
        """Everything the person handed in must be usable, and the network one that exists."""
        if format.color.transfer in ("smpte2084", "arib-std-b67"):
            raise SourceError("colorize: the source is HDR; grade it to standard range first")
        self.guidance.check(format)
        if self.model is not None:
            load_color_network(self.model)
        elif not self.guidance:
            raise OptionError("colorize: nothing names a colour: give --reference, --hints or a --model")

    def told(self, found: Values) -> dict[str, Any]:
        """Stills of the options are no values of a shot."""
        return {name: value for name, value in super().told(found).items() if name != "reference"}

    def checked_edit(self, changes: Values) -> dict[str, Any]:
        """A still for some frames (``reference``, ``chroma``) becomes its path and the digest of its content."""
        plain = {name: value for name, value in changes.items() if name not in self.timed}
        checked = super().checked_edit(plain)
        for name in self.timed & changes.keys():
            if not isinstance(changes[name], str):
                raise OptionError(f"colorize: {name}: name a picture")
            still = Still(Path(changes[name]))
            still.check(None)
            checked[name] = {"path": str(still.path), "sha256": still.digest}
        return checked

    def check_film(self, index: FrameIndex) -> None:
        """Times must lie in the film."""
        self.guidance.check_film(index)

    def output_format(self, format: VideoFormat) -> VideoFormat:
        """Grey gets chroma planes: 4:2:0 in films, 4:4:4 where the size is odd and in pictures."""
        if format.pixel.model != "gray":
            return format
        whole = format.width % 2 or format.height % 2 or format.pixel.is_float or format.color.transfer != "bt709"
        matrix = format.color.matrix if format.color.matrix != "gbr" else "bt709"
        pixel = PixelFormat("yuv", format.pixel.depth, (0, 0) if whole else (1, 1), format.pixel.alpha)
        return replace(format, pixel=pixel, color=replace(format.color, matrix=matrix))

    def effective(self) -> dict[str, Any]:
        """Without what was handed in: that concerns single shots, and shows in their colours."""
        handed = ("reference", "references", "hints", "palette")
        return {name: value for name, value in self.options.effective().items() if name not in handed}

    def analysed(self) -> dict[str, Any]:
        """How strong colours are is decided when they are rendered."""
        return {"model": self.model, "recolor": self.options.recolor}

    def concerns(self, shot: Shot, index: FrameIndex) -> dict[str, Any]:
        """What was handed in for a shot."""
        return self.guidance.concerns(shot, index)

    def analyzer(self) -> Analyzer:
        """What finds the colours."""
        proposals = None if self.model is None else Proposals(self.model)
        return ColorAnalyzer(self.guidance, proposals, self.options.recolor)

    def weights(self) -> dict[str, str]:
        """The network that proposes."""
        if self.model is None:
            return {}
        network = load_color_network(self.model)
        return {network.id: network.tensor_sha256}

    def open(self, device: Device, format: VideoFormat) -> None:
        """Nothing to load: colours are in the plan."""
        self._weights = chroma.weights_of(self.output_format(format))

    def process(self, batch: FrameBatch, values: Values) -> torch.Tensor:
        """Chroma planes of the core frames, at the size the output has them."""
        after = self.output_format(batch.format)
        size = after.pixel.plane_size(1, after.width, after.height)
        strength = float(values.get("strength", self.options.strength))
        arrays = values.get("arrays", {})
        done = []
        for place in range(batch.core.start, batch.core.stop):
            before = batch.pixels[place]
            if batch.format.pixel.model == "gray":
                before = before.new_zeros((2, *size))
            name = str(batch.pts[place])
            luma = batch.planes[0][place]
            low = self._replaced(batch.pts[place], luma, values)
            if low is None and name in arrays:
                low = chroma.from_stored(torch.from_numpy(arrays[name]).to(luma.device))
            if strength == 0 or low is None:
                done.append(before)
                continue
            color = enlarged(low, luma, size) * float(values.get("saturation", self.options.saturation))
            if self.options.keep_tint:
                color = color + before
            color = chroma.within_gamut(reduced(luma[None], size).clamp(0, 1), color[None], self._weights)[0]
            done.append(color if strength == 1 else torch.lerp(before, color, strength))
        return torch.stack(done)

    def _replaced(self, pts: int, luma: torch.Tensor, values: Values) -> torch.Tensor | None:
        """(2, h, w): the chroma of a still that a person put in this frame's place; None if there is none."""
        for edit in reversed(values.get("chroma", [])):
            if edit["from"] <= pts < edit["to"]:
                small = reduced(luma[None], plan_size(luma.shape[0], luma.shape[1])).clamp(0, 1)
                picture = (small[0] * 255 + 0.5).to(torch.uint8).cpu().numpy()
                laid = laid_onto(Still(Path(edit["value"]["path"])), picture)
                return chroma.of_lab(small, laid.ab.to(small), self._weights)[0]
        return None
