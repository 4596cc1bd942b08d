"""Our small colorization network: lightness in, a distribution over quiet and loud colours out.

An encoder that has learned elsewhere what is in pictures (`restore.nets.efficientnet`) and a small decoder of residual
blocks (He et al., 2016), with self-attention at its lowest level (Vaswani et al., 2017), so that a meadow and the sky
above it are judged together. For every eighth pixel, each way, it returns how likely each of two hundred colours is, as
in Zhang, Isola and Efros, "Colorful image colorization" (2016). Two things differ. The colours form a grid in a plane
where distance is close to what is seen (CIEDE2000 divides chroma by 1 + 0.045 C), and a colour is encoded by bilinear
weights, so that the mean of the distribution can be any colour, not only the grid's. The spread of the distribution
says how sure the network is.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from restore.nets.efficientnet import EfficientNetLite, normalised

GRID_STEP = 5.0
"""Distance of neighbouring colours in the compressed plane."""
GRID_RADIUS = 8
"""The grid has 2 * 8 + 1 rows and columns, of which those outside of every display's colours are left out."""
CHROMA_GAIN = 0.045
"""S_C of CIEDE2000 is 1 + 0.045 C (CIE 142-2001)."""
REDUCTION = 8
"""Pixels of the input, each way, to one of the output."""
MULTIPLE = 32
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


def _join(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU())


class ColorizeNet(nn.Module):
    """Proposes colours for pictures without any.

    Args:
        cells: (Q, 2) int, row (b) and column (a) of each colour of the grid, counted from its middle.
        encoder: what sees.
        widths: features of the decoder at an eighth, a sixteenth and a thirty-second of the input's size.
        dropout: of the lowest level, in training.
    """

    cells: Tensor

    def __init__(
        self,
        cells: Tensor,
        encoder: EfficientNetLite,
        widths: tuple[int, int, int] = (96, 128, 160),
        dropout: float = 0.2,
    ) -> None:
        super().__init__()
        self.register_buffer("cells", cells.to(torch.int64))
        self.encoder = encoder
        seen = encoder.widths
        self.dropout = nn.Dropout2d(dropout)
        self.join_lowest = _join(seen[2] + 1, widths[2])
        self.context = nn.Sequential(Attention(widths[2]), Attention(widths[2]))
        self.join = nn.ModuleList(_join(widths[i + 1] + seen[i], widths[i]) for i in range(2))
        self.up = nn.ModuleList(Residual(widths[i]) for i in range(2))
        self.head = nn.Conv2d(widths[0], len(cells), 1)

    @property
    def colours(self) -> Tensor:
        """(Q, 2): the grid's colours in the compressed plane (a, b)."""
        return self.cells.flip(1).float() * GRID_STEP

    def features(self, lightness: Tensor) -> Tensor:
        """CIE L* of the grey picture, (B, 1, H, W) in [0, 100], sizes multiples of 32, to (B, C, H/8, W/8)."""
        seen = self.encoder(normalised(_luma_of(lightness)))
        batch, _, height, width = seen[2].shape
        rows = torch.linspace(-1, 1, height, device=seen[2].device, dtype=seen[2].dtype)
        x = torch.cat((self.dropout(seen[2]), rows[None, None, :, None].expand(batch, 1, height, width)), 1)
        x = self.dropout(self.context(self.join_lowest(x)))
        for i in (1, 0):
            x = F.interpolate(x, scale_factor=2, mode="nearest")
            x = self.up[i](self.join[i](torch.cat((x, self.dropout(seen[i])), 1)))
        return x

    def forward(self, lightness: Tensor) -> Tensor:
        """CIE L* of the grey picture, (B, 1, H, W) in [0, 100], sizes multiples of 32, to logits (B, Q, H/8, W/8)."""
        return self.head(self.features(lightness))

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
        encoder = {key.removeprefix("encoder."): value for key, value in state.items() if key.startswith("encoder.")}
        high, middle = (state[f"join.{i}.0.weight"].shape[0] for i in range(2))
        widths = (high, middle, state["join_lowest.0.weight"].shape[0])
        net = cls(state["cells"], EfficientNetLite.sized_by(encoder), widths)
        net.load_state_dict(dict(state))
        return net


def _luma_of(lightness: Tensor) -> Tensor:
    """CIE L* of a grey to its luma on sRGB's curve, [0, 1]."""
    f = (lightness.clamp(0, 100) + 16) / 116
    y = torch.where(f > 6 / 29, f.pow(3), 3 * (6 / 29) ** 2 * (f - 4 / 29))
    return torch.where(y <= 0.0031308, 12.92 * y, 1.055 * y.clamp_min(1e-6).pow(1 / 2.4) - 0.055)
