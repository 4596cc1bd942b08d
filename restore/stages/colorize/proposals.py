"""The frames of a shot that a network is asked about, and what it answers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from restore.analysis.flow import Small
from restore.colorimetry import lightness_of
from restore.frames import VideoFormat
from restore.pipeline.contract import Device
from restore.stages.colorize import chroma
from restore.stages.colorize.follow import Anchor, Paint
from restore.stages.colorize.guidance import picture_tensor
from restore.stages.colorize.networks import load_proposer
from restore.stages.colorize.proposer import ColorHints, Proposer
from restore.stages.colorize.records import Records

_BATCH = 8
_LEAST_TRUST = 0.1
_KNOWN = 0.3
"""Share of a place of the network's picture that a hint must cover to be said there."""


class Proposals:
    """Keeps some frames of each shot as a network wants to see them; at the shot's end, asks about them in batches."""

    def __init__(self, model: str | Path) -> None:
        self._model = model
        self._proposer: Proposer | None = None
        self._weights = (0.0, 0.0)
        self._size = self._input = (0, 0)
        self._shown: Records | None = None
        self._answers: Records | None = None
        self.numbers: list[int] = []
        """Frames that it is asked about, from the shot's first."""

    def open(self, device: Device) -> None:
        """Load the network."""
        self._proposer = load_proposer(self._model, device)

    @property
    def takes_hints(self) -> bool:
        """Whether the network heeds colours that are known at some places."""
        return self._proposer is not None and self._proposer.takes_hints

    def begin(self, size: tuple[int, int], format: VideoFormat) -> None:
        """A shot starts; answers are kept at the plan's `size`."""
        assert self._proposer is not None
        self.close()
        self._weights, self._size = chroma.weights_of(format), size
        self._input = self._proposer.input_size(format.height, round(format.width * float(format.sample_aspect)))
        self._shown, self._answers = Records((1, *self._input), np.float32), Records((*size, 3), np.float16)
        self.numbers = []

    def close(self) -> None:
        """Forget the shot before."""
        for kept in (self._shown, self._answers):
            if kept is not None:
                kept.close()

    def see(self, number: int, luma: torch.Tensor) -> None:
        """A frame of the shot that stands for others, (1, H, W) luma; frames are shown in order."""
        assert self._shown is not None
        shown = lightness_of(F.interpolate(luma.unsqueeze(1), self._input, mode="area").clamp(0, 1))
        self._shown[len(self.numbers)] = shown[0].cpu().numpy()
        self.numbers.append(number)

    def ask(self, picture: Callable[[int], Small], marks: Callable[[int], Paint] | None = None) -> None:
        """Ask about all frames seen.

        `picture` gives the plan's picture of a frame; `marks` what a person's hints say of it: (h, w, 3), a*, b* and 1
        where a hint lies, all 0 elsewhere and between where it covers a place in part.
        """
        assert self._proposer is not None
        assert self._shown is not None
        assert self._answers is not None
        for start in range(0, len(self.numbers), _BATCH):
            numbers = self.numbers[start : start + _BATCH]
            shown = [torch.tensor(self._shown[start + place]) for place in range(len(numbers))]
            hints = None if marks is None else self._hints([marks(number) for number in numbers])
            answer = self._proposer.propose(torch.stack(shown), hints)
            luma = torch.cat([picture_tensor(picture(number)) for number in numbers])
            ab = F.interpolate(answer.ab, self._size, mode="bilinear", align_corners=False)
            colours = chroma.of_lab(luma, ab, self._weights)
            trust = torch.ones_like(luma).unsqueeze(1)
            if answer.confidence is not None:
                trust = F.interpolate(answer.confidence, self._size, mode="bilinear", align_corners=False)
            found = torch.cat((colours, trust.clamp(_LEAST_TRUST, 1)), 1).permute(0, 2, 3, 1).numpy()
            for number, each in zip(numbers, found, strict=True):
                self._answers[number] = each

    def _hints(self, marks: list[Paint]) -> ColorHints:
        """Marks at the network's size."""
        small = F.interpolate(torch.from_numpy(np.stack(marks)).permute(0, 3, 1, 2), self._input, mode="area")
        share = small[:, 2:]
        known = (share > _KNOWN).float()
        return ColorHints(known * small[:, :2] / share.clamp_min(_KNOWN), known)

    def anchor(self, number: int, picture: Small) -> Anchor:
        """What it said of a frame."""
        assert self._answers is not None
        answer = self._answers[number].astype(np.float32)
        return Anchor(picture, answer[..., :2], answer[..., 2])
