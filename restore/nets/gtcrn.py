"""GTCRN, a speech denoiser of 48 thousand weights, in the layout of its published checkpoints.

Rong, Sun, Zhang, Hu, Zhu and Lu, GTCRN: A speech enhancement model requiring ultralow computational resources (ICASSP
2024). It hears 257 bins of 31.25 Hz every 16 ms and answers with a complex mask; it looks only back.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

BINS = 257
_LOW = 65
"""Bins taken as they are; those above are gathered into `_BANDS` bands as wide as the ear's."""
_BANDS = 64
_WIDTH = 33
"""Bands left behind the two strided convolutions."""


class _Bands(nn.Module):
    """Fine bins to bands and back, by fixed triangles kept with the weights."""

    def __init__(self) -> None:
        super().__init__()
        self.erb_fc = nn.Linear(BINS - _LOW, _BANDS, bias=False)
        self.ierb_fc = nn.Linear(_BANDS, BINS - _LOW, bias=False)

    def gather(self, x: Tensor) -> Tensor:
        return torch.cat((x[..., :_LOW], self.erb_fc(x[..., _LOW:])), -1)

    def spread(self, x: Tensor) -> Tensor:
        return torch.cat((x[..., :_LOW], self.ierb_fc(x[..., _LOW:])), -1)


def _neighbours(x: Tensor) -> Tensor:
    """(n, c, t, f) to (n, 3c, t, f): each channel with the band below, itself, and the band above."""
    padded = F.pad(x, (1, 1))
    width = x.shape[-1]
    return torch.stack([padded[..., shift : shift + width] for shift in range(3)], 2).flatten(1, 2)


class _Attention(nn.Module):
    """Weighs channels by how their energy went so far."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.att_gru = nn.GRU(channels, 2 * channels, batch_first=True)
        self.att_fc = nn.Linear(2 * channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        energy = x.square().mean(-1).transpose(1, 2)
        weight = torch.sigmoid(self.att_fc(self.att_gru(energy)[0]))
        return x * weight.transpose(1, 2)[..., None]


class _Conv(nn.Module):
    """A convolution along frequency; stride 2, or its reverse."""

    def __init__(self, inputs: int, outputs: int, groups: int = 1, back: bool = False, last: bool = False) -> None:
        super().__init__()
        kind = nn.ConvTranspose2d if back else nn.Conv2d
        self.conv = kind(inputs, outputs, (1, 5), (1, 2), (0, 2), groups=groups)
        self.bn = nn.BatchNorm2d(outputs)
        self.act = nn.Tanh() if last else nn.PReLU()

    def forward(self, x: Tensor) -> Tensor:
        return self.act(self.bn(self.conv(x)))


class _GroupedConv(nn.Module):
    """Half of the channels through a dilated causal convolution, then shuffled with the other half."""

    def __init__(self, channels: int, dilation: int, back: bool = False) -> None:
        super().__init__()
        kind = nn.ConvTranspose2d if back else nn.Conv2d
        half = channels // 2
        self._reach = 2 * dilation
        self.point_conv1 = kind(3 * half, channels, 1)
        self.point_bn1 = nn.BatchNorm2d(channels)
        self.point_act = nn.PReLU()
        padding = (self._reach if back else 0, 1)
        self.depth_conv = kind(channels, channels, 3, 1, padding, dilation=(dilation, 1), groups=channels)
        self.depth_bn = nn.BatchNorm2d(channels)
        self.depth_act = nn.PReLU()
        self.point_conv2 = kind(channels, half, 1)
        self.point_bn2 = nn.BatchNorm2d(half)
        self.tra = _Attention(half)

    def forward(self, x: Tensor) -> Tensor:
        treated, kept = x.chunk(2, 1)
        treated = self.point_act(self.point_bn1(self.point_conv1(_neighbours(treated))))
        treated = F.pad(treated, (0, 0, self._reach, 0))
        treated = self.depth_act(self.depth_bn(self.depth_conv(treated)))
        treated = self.tra(self.point_bn2(self.point_conv2(treated)))
        return torch.stack((treated, kept), 2).flatten(1, 2)


class _GroupedGru(nn.Module):
    """Two recurrent networks, each for half of the channels."""

    def __init__(self, inputs: int, hidden: int, both_ways: bool = False) -> None:
        super().__init__()
        self.rnn1 = nn.GRU(inputs // 2, hidden // 2, batch_first=True, bidirectional=both_ways)
        self.rnn2 = nn.GRU(inputs // 2, hidden // 2, batch_first=True, bidirectional=both_ways)

    def forward(self, x: Tensor) -> Tensor:
        first, second = x.chunk(2, -1)
        return torch.cat((self.rnn1(first.contiguous())[0], self.rnn2(second.contiguous())[0]), -1)


class _DualPath(nn.Module):
    """Recurrent along frequency, both ways, then along time, forwards."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.intra_rnn = _GroupedGru(channels, channels // 2, both_ways=True)
        self.intra_fc = nn.Linear(channels, channels)
        self.intra_ln = nn.LayerNorm((_WIDTH, channels), eps=1e-8)
        self.inter_rnn = _GroupedGru(channels, channels)
        self.inter_fc = nn.Linear(channels, channels)
        self.inter_ln = nn.LayerNorm((_WIDTH, channels), eps=1e-8)

    def forward(self, x: Tensor) -> Tensor:
        x = x.permute(0, 2, 3, 1)
        n, frames = x.shape[:2]
        across = self.intra_fc(self.intra_rnn(x.flatten(0, 1))).unflatten(0, (n, frames))
        x = x + self.intra_ln(across)
        along = x.transpose(1, 2)
        along = self.inter_fc(self.inter_rnn(along.flatten(0, 1))).unflatten(0, (n, _WIDTH))
        x = x + self.inter_ln(along.transpose(1, 2))
        return x.permute(0, 3, 1, 2)


class _Encoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.en_convs = nn.ModuleList(
            [_Conv(9, 16), _Conv(16, 16, groups=2), *(_GroupedConv(16, dilation) for dilation in (1, 2, 5))]
        )


class _Decoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.de_convs = nn.ModuleList(
            [
                *(_GroupedConv(16, dilation, back=True) for dilation in (5, 2, 1)),
                _Conv(16, 16, groups=2, back=True),
                _Conv(16, 2, back=True, last=True),
            ]
        )


class Gtcrn(nn.Module):
    """Spectra to masks; causal, with a memory that fades within a second or two."""

    def __init__(self) -> None:
        super().__init__()
        self.erb = _Bands()
        self.encoder = _Encoder()
        self.dpgrnn1 = _DualPath(16)
        self.dpgrnn2 = _DualPath(16)
        self.decoder = _Decoder()

    def forward(self, spectra: Tensor) -> Tensor:
        """Masks for spectra.

        Args:
            spectra: (n, 257, frames) complex64: 512-sample root-Hann windows at 16 kHz every 256, not normalised.

        Returns:
            (n, 257, frames) complex64, to multiply them by.
        """
        parts = torch.view_as_real(spectra).permute(3, 0, 2, 1)
        size = (parts.square().sum(0) + 1e-12).sqrt()
        x = _neighbours(self.erb.gather(torch.stack((size, parts[0], parts[1]), 1)))
        skipped = []
        for layer in self.encoder.en_convs:
            x = layer(x)
            skipped.append(x)
        x = self.dpgrnn2(self.dpgrnn1(x))
        for layer in self.decoder.de_convs:
            x = layer(x + skipped.pop())
        mask = self.erb.spread(x).permute(0, 3, 2, 1).contiguous()
        return torch.view_as_complex(mask)
