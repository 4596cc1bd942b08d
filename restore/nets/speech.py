"""Silero's voice activity detector, in the layout of the weights that its package carries (MIT)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

RATE = 16000
FRAME = 512
"""Samples that get one answer: 32 ms."""
CONTEXT = 64
"""Samples before them that are heard, too."""


class SpeechNet(nn.Module):
    """Frames to the probability of speech, with a memory."""

    def __init__(self) -> None:
        super().__init__()
        self.stft_conv = nn.Conv1d(1, 258, 256, 128, bias=False)
        self.conv1 = nn.Conv1d(129, 128, 3, 1, 1)
        self.conv2 = nn.Conv1d(128, 64, 3, 2, 1)
        self.conv3 = nn.Conv1d(64, 64, 3, 2, 1)
        self.conv4 = nn.Conv1d(64, 128, 3, 1, 1)
        self.lstm_cell = nn.LSTMCell(128, 128)
        self.final_conv = nn.Conv1d(128, 1, 1)

    def forward(
        self, frames: Tensor, memory: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Probabilities of consecutive frames.

        Args:
            frames: (n, 64 + 512) at 16 kHz, each with the samples before it.
            memory: what the last call returned.

        Returns:
            (n,) in [0, 1], and the memory.
        """
        spectra = self.stft_conv(F.pad(frames, (0, 64), mode="reflect")[:, None])
        x = spectra[:, :129].square().addcmul_(spectra[:, 129:], spectra[:, 129:]).sqrt_()
        for layer in (self.conv1, self.conv2, self.conv3, self.conv4):
            x = layer(x).relu()
        state = memory if memory is not None else (x.new_zeros(1, 128), x.new_zeros(1, 128))
        cell = self.lstm_cell
        weights = [cell.weight_ih, cell.weight_hh, cell.bias_ih, cell.bias_hh]
        steps, *memory_after = torch.lstm(
            x[:, None, :, 0], [one[None] for one in state], weights, True, 1, 0.0, False, False, False
        )
        state = memory_after[0][0], memory_after[1][0]
        return torch.sigmoid(self.final_conv(steps[:, 0].relu()[:, :, None]))[:, 0, 0], state
