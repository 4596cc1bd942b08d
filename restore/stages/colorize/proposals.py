"""The frames of a shot that a network is asked about, and what it answers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from restore.analysis.flow import Small
from restore.colorimetry import lightness_of
from restore.frames import VideoFormat
from restore.pipeline.contract import Device
from restore.stages.colorize import chroma
from restore.stages.colorize.follow import Anchor
from restore.stages.colorize.networks import load_proposer
from restore.stages.colorize.proposer import Proposer
from restore.stages.colorize.records import Records

_BATCH = 8
_LEAST_TRUST = 0.1


@dataclass
class _Asked:
    number: int
    lightness: torch.Tensor
    luma: torch.Tensor


class Proposals:
    """Asks a network about some frames of each shot, in batches."""

    def __init__(self, model: str | Path) -> None:
        self._model = model
        self._proposer: Proposer | None = None
        self._weights = (0.0, 0.0)
        self._size = self._input = (0, 0)
        self._answers: Records | None = None
        self._waiting: list[_Asked] = []
        self.numbers: list[int] = []
        """Frames that were asked about, from the shot's first."""

    def open(self, device: Device) -> None:
        """Load the network."""
        self._proposer = load_proposer(self._model, device)

    def begin(self, size: tuple[int, int], format: VideoFormat) -> None:
        """A shot starts; answers are kept at the plan's `size`."""
        assert self._proposer is not None
        if self._answers is not None:
            self._answers.close()
        self._answers = Records((*size, 3), np.float16)
        self._weights, self._size = chroma.weights_of(format), size
        self._input = self._proposer.input_size(format.height, round(format.width * float(format.sample_aspect)))
        self._waiting, self.numbers = [], []

    def see(self, number: int, luma: torch.Tensor, wanted: bool, last: bool) -> None:
        """A frame of the shot, (1, H, W) luma, in order; the network is asked about it if it is wanted."""
        if wanted:
            self.numbers.append(number)
            lightness = lightness_of(F.interpolate(luma.unsqueeze(1), self._input, mode="area").clamp(0, 1))
            small = F.interpolate(luma.unsqueeze(1), self._size, mode="area")[:, 0].clamp(0, 1)
            self._waiting.append(_Asked(number, lightness, small))
        if self._waiting and (last or len(self._waiting) == _BATCH):
            self._ask()

    def _ask(self) -> None:
        assert self._proposer is not None
        assert self._answers is not None
        answer = self._proposer.propose(torch.cat([asked.lightness for asked in self._waiting]))
        luma = torch.cat([asked.luma for asked in self._waiting])
        ab = F.interpolate(answer.ab, self._size, mode="bilinear", align_corners=False)
        colours = chroma.of_lab(luma, ab, self._weights)
        trust = torch.ones_like(luma).unsqueeze(1)
        if answer.confidence is not None:
            trust = F.interpolate(answer.confidence, self._size, mode="bilinear", align_corners=False)
        found = torch.cat((colours, trust.clamp(_LEAST_TRUST, 1)), 1).permute(0, 2, 3, 1).cpu().numpy()
        for asked, each in zip(self._waiting, found, strict=True):
            self._answers[asked.number] = each
        self._waiting = []

    def anchor(self, number: int, picture: Small) -> Anchor:
        """What it said of a frame."""
        assert self._answers is not None
        answer = self._answers[number].astype(np.float32)
        return Anchor(picture, answer[..., :2], answer[..., 2])
