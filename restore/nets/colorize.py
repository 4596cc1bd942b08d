"""Our small colorization network: lightness in, a distribution over quiet and loud colours out.

A U-Net of residual blocks (He et al., 2016) with self-attention at its lowest level (Vaswani et al., 2017), so that a
meadow and the sky above it are judged together. For every fourth pixel it returns how likely each of about a hundred
colours is, as in Zhang, Isola and Efros, "Colorful image colorization" (2016). Two things differ. The colours form a
grid in a plane where distance is close to what is seen (CIEDE2000 divides chroma by 1 + 0.045 C), and a colour is
encoded by bilinear weights, so that the mean of the distribution can be any colour, not only the grid's. The spread
of the distribution says how sure the network is.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

GRID_STEP = 5.0
"""Distance of neighbouring colours in the compressed plane."""
GRID_RADIUS = 8
"""The grid has 2 * 8 + 1 rows and columns, of which those outside of every display's colours are left out."""
CHROMA_GAIN = 0.045
"""S_C of CIEDE2000 is 1 + 0.045 C (CIE 142-2001)."""
REDUCTION = 4
"""Pixels of the input, each way, to one of the output."""
MULTIPLE = 16
"""Height and width of the input must be multiples of this."""


def compress(ab: Tensor) -> Tensor:
    """CIE a, b (B, 2, ...) to the plane where colours are compared: chroma C becomes ln(1 + 0.045 C) / 0.045."""
    chroma = ab.square().sum(1, keepdim=True).sqrt().clamp(min=1e-4)
    return ab * (torch.log1p(CHROMA_GAIN * chroma) / (CHROMA_GAIN * chroma))


def expand(plane: Tensor) -> Tensor:
    """The inverse of `compress`."""
    radius = plane.square().sum(1, keepdim=True).sqrt().clamp(min=1e-4)
    return plane * (torch.expm1(CHROMA_GAIN * radius) / (CHROMA_GAIN * radius))


class Residual(nn.Module):
    """Two 3x3 convolutions with batch normalisation, added to what came in."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(features, features, 3, padding=1, bias=False)
        self.first_norm = nn.BatchNorm2d(features)
        self.second = nn.Conv2d(features, features, 3, padding=1, bias=False)
        self.second_norm = nn.BatchNorm2d(features)
        nn.init.zeros_(self.second_norm.weight)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W), the same out."""
        inner = F.relu(self.first_norm(self.first(x)))
        return F.relu(x + self.second_norm(self.second(inner)))


class Attention(nn.Module):
    """Every place looks at every other: one pre-norm transformer block over the lowest level."""

    def __init__(self, features: int, dropout: float = 0.1) -> None:
        super().__init__()
        self.heads = max(1, features // 32)
        self.norm = nn.LayerNorm(features)
        self.qkv = nn.Linear(features, 3 * features)
        self.out = nn.Linear(features, features)
        self.mlp_norm = nn.LayerNorm(features)
        self.mlp = nn.Sequential(nn.Linear(features, 2 * features), nn.GELU(), nn.Linear(2 * features, features))
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W), the same out."""
        batch, features, height, width = x.shape
        tokens = x.flatten(2).transpose(1, 2)
        q, k, v = self.qkv(self.norm(tokens)).unflatten(2, (3, self.heads, features // self.heads)).unbind(2)
        scores = torch.einsum("bqhc,bkhc->bhqk", q * q.shape[-1] ** -0.5, k)
        seen = torch.einsum("bhqk,bkhc->bqhc", scores.softmax(-1).to(v.dtype), v)
        tokens = tokens + self.dropout(self.out(seen.flatten(2)))
        tokens = tokens + self.dropout(self.mlp(self.mlp_norm(tokens)))
        return tokens.transpose(1, 2).reshape(batch, features, height, width)


def _down(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()
    )


def _join(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU())


class ColorizeNet(nn.Module):
    """Proposes colours for pictures without any.

    Args:
        cells: (Q, 2) int, row (b) and column (a) of each colour of the grid, counted from its middle.
        widths: features at a half, a quarter, an eighth and a sixteenth of the input's size.
        dropout: of the lowest level, in training.
    """

    cells: Tensor

    def __init__(
        self, cells: Tensor, widths: tuple[int, int, int, int] = (24, 64, 128, 192), dropout: float = 0.2
    ) -> None:
        super().__init__()
        self.register_buffer("cells", cells.to(torch.int64))
        stem, high, middle, low = widths
        self.stem = _down(2, stem)
        self.high = nn.Sequential(_down(stem, high), Residual(high))
        self.middle = nn.Sequential(_down(high, middle), Residual(middle), Residual(middle))
        self.low = nn.Sequential(_down(middle, low), Residual(low), Residual(low))
        self.context = nn.Sequential(Attention(low), Attention(low))
        self.dropout = nn.Dropout2d(dropout)
        self.join_middle = _join(low + middle, middle)
        self.up_middle = Residual(middle)
        self.join_high = _join(middle + high, high)
        self.up_high = Residual(high)
        self.head = nn.Conv2d(high, len(cells), 1)

    @property
    def colours(self) -> Tensor:
        """(Q, 2): the grid's colours in the compressed plane (a, b)."""
        return self.cells.flip(1).float() * GRID_STEP

    def forward(self, lightness: Tensor) -> Tensor:
        """CIE L* of the grey picture, (B, 1, H, W) in [0, 100], sizes multiples of 16, to logits (B, Q, H/4, W/4)."""
        batch, _, height, width = lightness.shape
        rows = torch.linspace(-1, 1, height, device=lightness.device, dtype=lightness.dtype)
        x = torch.cat((lightness / 50 - 1, rows[None, None, :, None].expand(batch, 1, height, width)), 1)
        high = self.high(self.stem(x.contiguous(memory_format=torch.channels_last)))
        middle = self.middle(high)
        low = self.dropout(self.context(self.low(middle)))
        x = F.interpolate(low, scale_factor=2, mode="nearest")
        middle = self.up_middle(self.join_middle(torch.cat((x, middle), 1)))
        x = F.interpolate(middle, scale_factor=2, mode="nearest")
        high = self.up_high(self.join_high(torch.cat((x, high), 1)))
        return self.head(high)

    def encode(self, plane: Tensor) -> tuple[Tensor, Tensor]:
        """Compressed colours (B, 2, H, W) to the four grid colours round each: indices and weights (B, 4, H, W)."""
        size = 2 * GRID_RADIUS + 1
        table = torch.zeros(size, size, dtype=torch.int64, device=plane.device)
        rows = self.cells + GRID_RADIUS
        table[rows[:, 0], rows[:, 1]] = torch.arange(len(rows), device=plane.device)
        place = (plane / GRID_STEP + GRID_RADIUS).clamp(0, size - 1.001)
        corner = place.floor()
        part = place - corner
        column, row = corner.long().unbind(1)
        index = torch.stack([table[row + dy, column + dx] for dy in (0, 1) for dx in (0, 1)], 1)
        a, b = part.unbind(1)
        weight = torch.stack([(b if dy else 1 - b) * (a if dx else 1 - a) for dy in (0, 1) for dx in (0, 1)], 1)
        return index, weight

    def decode(self, logits: Tensor, temperature: float = 1.0) -> tuple[Tensor, Tensor]:
        """The annealed mean of the distribution, and how sure it is.

        Args:
            logits: (B, Q, h, w).
            temperature: below 1 leans towards the likeliest colours (louder), 1 is the plain mean (quieter).

        Returns:
            CIE a, b (B, 2, h, w) and the spread (B, 1, h, w): the mean distance of the distribution's colours from
            its own mean, in the compressed plane, about 0 to 30.
        """
        share = (logits.float() / temperature).softmax(1)
        mean = torch.einsum("bqhw,qc->bchw", share, self.colours)
        power = torch.einsum("bqhw,q->bhw", share, self.colours.square().sum(1))[:, None]
        spread = (power - mean.square().sum(1, keepdim=True)).clamp(min=0).sqrt()
        return expand(mean), spread

    @classmethod
    def from_state(cls, state: Mapping[str, Tensor]) -> ColorizeNet:
        """The network a state dict belongs to, its sizes read off the tensors' shapes.

        Raises:
            KeyError, ValueError, RuntimeError: not such a network's.
        """
        widths = tuple(state[f"{name}.weight"].shape[0] for name in ("stem.0", "high.0.0", "middle.0.0", "low.0.0"))
        net = cls(state["cells"], widths)  # type: ignore[arg-type]
        net.load_state_dict(dict(state))
        return net
