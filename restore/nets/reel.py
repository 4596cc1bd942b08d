"""Our small super-resolution network: a bicubic skip and a plain stack of convolutions, told how bad the picture is.

The layout follows SRVGGNetCompact (Wang et al., "Real-ESRGAN", 2021): 3x3 convolutions at the input's size and one
pixel shuffle at the end. Two things differ. The skip starts as exact bicubic interpolation and stays in float32, so
that ten bits stay ten bits whatever precision the body runs in. And every convolution's output is scaled and shifted,
feature by feature, by a function of the degradation vector (FiLM: Perez et al., 2018). The vector is one for a whole
shot, so `ReelUpscaler.folded` puts scale and shift into the weights: what renders is convolutions and PReLUs, nothing
else.
"""

from __future__ import annotations

import math
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_SKIP_RADIUS = 2


def bicubic_phases(scale: int) -> Tensor:
    """The filters of bicubic enlargement (a = -0.5, Keys 1981) by an integer, one a phase.

    Returns (scale * scale, 5, 5): filter ``row * scale + column`` makes the output pixel at (row, column) of the block
    that one input pixel becomes. Centres are aligned as in Pillow and in torch's ``align_corners=False``.
    """
    taps = torch.arange(-_SKIP_RADIUS, _SKIP_RADIUS + 1, dtype=torch.float64)
    offsets = (torch.arange(scale, dtype=torch.float64) + 0.5) / scale - 0.5
    distance = (taps[None, :] - offsets[:, None]).abs()
    near = 1.5 * distance**3 - 2.5 * distance**2 + 1
    far = -0.5 * distance**3 + 2.5 * distance**2 - 4 * distance + 2
    line = torch.where(distance <= 1, near, torch.where(distance < 2, far, torch.zeros(())))
    return torch.einsum("ay,bx->abyx", line, line).reshape(scale * scale, 5, 5).float()


def _bicubic_weight(scale: int) -> Tensor:
    """Weights (3 * scale**2, 3, 5, 5) of a convolution that, before a pixel shuffle, enlarges RGB bicubically."""
    weight = torch.zeros(3, scale * scale, 3, 5, 5)
    for channel in range(3):
        weight[channel, :, channel] = bicubic_phases(scale)
    return weight.flatten(0, 1)


class ReelUpscaler(nn.Module):
    """Enlarges pictures 2 or 4 times (any small integer), given how degraded they are.

    Args:
        scale: the factor.
        features: channels inside the body.
        depth: 3x3 convolutions between the first and the last.
        conditions: length of the degradation vector.
    """

    def __init__(self, scale: int, features: int = 32, depth: int = 10, conditions: int = 3) -> None:
        super().__init__()
        self.scale = scale
        self.features = features
        self.depth = depth
        self.conditions = conditions
        outputs = 3 * scale * scale
        self.skip = nn.Conv2d(3, outputs, 5, bias=False)
        widths = [3, *[features] * (depth + 1), outputs]
        self.convs = nn.ModuleList(nn.Conv2d(a, b, 3, padding=1) for a, b in pairwise(widths))
        self.activations = nn.ModuleList(nn.PReLU(features, init=0.2) for _ in range(depth + 1))
        self.trunk = nn.Sequential(nn.Linear(conditions, 32), nn.SiLU(), nn.Linear(32, 32), nn.SiLU())
        self.modulation = nn.Linear(32, 2 * sum(widths[1:]))
        self._initialise()

    @classmethod
    def from_state(cls, state: dict[str, Tensor]) -> ReelUpscaler:
        """The network whose tensors these are; scale, features, depth and conditions are read off their shapes.

        Raises:
            KeyError, RuntimeError: the tensors are not those of this network.
        """
        scale = math.isqrt(state["skip.weight"].shape[0] // 3)
        depth = sum(name.startswith("activations.") for name in state) - 1
        net = cls(scale, state["convs.0.weight"].shape[0], depth, state["trunk.0.weight"].shape[1])
        net.load_state_dict(state)
        return net.eval()

    @property
    def receptive_field(self) -> int:
        """How many pixels of the input, each side, an output pixel depends on."""
        return max(_SKIP_RADIUS, len(self.convs))

    def _initialise(self) -> None:
        """Start as bicubic interpolation and next to nothing; the degradation changes nothing."""
        with torch.no_grad():
            self.skip.weight.copy_(_bicubic_weight(self.scale))
            body = self._body()
            for index, conv in enumerate(body):
                nn.init.kaiming_normal_(conv.weight, a=0.2)
                nn.init.zeros_(conv.get_parameter("bias"))
                if 0 < index < len(body) - 1:
                    # Nearly the identity, so that signal and gradient reach every layer from the first step on (as in
                    # SESR, Bhardwaj et al. 2022, whose residual convolutions collapse into plain ones).
                    nn.init.dirac_(identity := torch.empty_like(conv.weight))
                    conv.weight.mul_(0.15).add_(identity)
            body[-1].weight.mul_(0.1)
            nn.init.zeros_(self.modulation.weight)
            nn.init.zeros_(self.modulation.bias)

    def _body(self) -> list[nn.Conv2d]:
        return [conv for conv in self.convs if isinstance(conv, nn.Conv2d)]

    def _modulations(self, degradation: Tensor) -> list[tuple[Tensor, Tensor]]:
        """(gain, shift) a convolution, each (N, features), from (N, conditions)."""
        values = self.modulation(self.trunk(degradation.float()))
        widths = [conv.out_channels for conv in self._body()]
        parts = values.split([2 * w for w in widths], dim=1)
        return [(1 + part[:, :w], part[:, w:]) for part, w in zip(parts, widths, strict=True)]

    def forward(self, pixels: Tensor, degradation: Tensor) -> Tensor:
        """Enlarge (N, 3, H, W), nominally [0, 1], to (N, 3, scale * H, scale * W), not clamped.

        Args:
            pixels: the pictures.
            degradation: (N, conditions) in [0, 1]: blur, noise, compression.
        """
        modulations = self._modulations(degradation)
        body = pixels
        for index, (conv, (gain, shift)) in enumerate(zip(self.convs, modulations, strict=True)):
            body = conv(body)
            body = body * gain[:, :, None, None].to(body.dtype) + shift[:, :, None, None].to(body.dtype)
            if index < len(self.activations):
                body = self.activations[index](body)
        skip = self.skip(F.pad(pixels, [_SKIP_RADIUS] * 4, mode="replicate"))
        return F.pixel_shuffle(skip + body.to(skip.dtype), self.scale)

    @torch.no_grad()
    def folded(self, degradation: Tensor) -> FoldedReel:
        """The same network for one degradation vector (conditions,), as plain convolutions: fast, for rendering."""
        modulations = self._modulations(degradation.reshape(1, self.conditions).to(self.modulation.weight.device))
        body = nn.Sequential()
        for index, (conv, (gain, shift)) in enumerate(zip(self._body(), modulations, strict=True)):
            plain = nn.Conv2d(conv.in_channels, conv.out_channels, 3, padding=1)
            plain.weight.copy_(conv.weight * gain[0][:, None, None, None])
            plain.get_parameter("bias").copy_(conv.get_parameter("bias") * gain[0] + shift[0])
            body.append(plain)
            if index < len(self.activations):
                activation = nn.PReLU(self.features)
                activation.load_state_dict(self.activations[index].state_dict())
                body.append(activation)
        folded = FoldedReel(self.scale, self.skip.weight.detach().clone(), body, self.receptive_field)
        return folded.to(self.skip.weight.device).eval()


class FoldedReel(nn.Module):
    """`ReelUpscaler` for one shot: no degradation vector left, only convolutions.

    ``set_precision`` chooses what the body computes in; the skip always stays float32.
    """

    def __init__(self, scale: int, skip_weight: Tensor, body: nn.Sequential, receptive_field: int) -> None:
        super().__init__()
        self.scale = scale
        self.receptive_field = receptive_field
        self.skip = nn.Conv2d(3, 3 * scale * scale, 5, bias=False)
        with torch.no_grad():
            self.skip.weight.copy_(skip_weight)
        self.body = body
        self.requires_grad_(requires_grad=False)

    def set_precision(self, dtype: torch.dtype) -> FoldedReel:
        """Run the body in that type, channels last (how processors and tensor cores multiply best); returns itself."""
        self.body.to(dtype).to(memory_format=torch.channels_last)
        return self

    def forward(self, pixels: Tensor) -> Tensor:
        """Enlarge (N, 3, H, W) float32, nominally [0, 1], to (N, 3, scale * H, scale * W) float32, not clamped."""
        dtype = next(self.body.parameters()).dtype
        body = self.body(pixels.to(dtype).contiguous(memory_format=torch.channels_last))
        skip = self.skip(F.pad(pixels, [_SKIP_RADIUS] * 4, mode="replicate"))
        return F.pixel_shuffle(skip + body.float(), self.scale)
