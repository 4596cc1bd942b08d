"""EfficientNet-Lite, the network that tells what is in a picture; here only what lies before its classifier.

Inverted residual blocks without squeeze-and-excitation, ReLU6 throughout (Tan and Le, "EfficientNet", 2019; the Lite
variants: github.com/tensorflow/tpu, models/official/efficientnet/lite). Batch normalisations are folded into the
convolutions, whose padding is TensorFlow's "SAME".
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

KERNELS = (3, 3, 5, 3, 5, 5, 3)
STRIDES = (1, 2, 2, 2, 1, 2, 1)
EXPANSION = 6
"""Features inside a block to those before it; the first stage's blocks have as many inside as before."""
_TAPPED = (2, 4, 6)
"""Stages whose output is used: the last at an eighth, a sixteenth, a thirty-second of the input's size."""
_EPSILON = 1e-3


class Same(nn.Conv2d):
    """A convolution padded as TensorFlow does: where the stride leaves one pixel over, on the right and below."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> None:
        super().__init__(inputs, outputs, kernel, stride, groups=groups, padding=kernel // 2 if stride == 1 else 0)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W), sizes multiples of the stride, to (B, C', H / stride, W / stride)."""
        if self.stride[0] > 1:
            spare = self.kernel_size[0] - self.stride[0]
            x = F.pad(x, (spare // 2, spare - spare // 2) * 2)
        return super().forward(x)


class InvertedResidual(nn.Module):
    """Widen, look at each feature's neighbourhood, narrow; added to what came in, where sizes allow."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        inner = inputs * expansion
        self.expand = Same(inputs, inner, 1) if expansion > 1 else None
        self.depthwise = Same(inner, inner, kernel, stride, groups=inner)
        self.project = Same(inner, outputs, 1)
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, H, W) to (B, outputs, H / stride, W / stride)."""
        inner = x if self.expand is None else F.relu6(self.expand(x))
        inner = self.project(F.relu6(self.depthwise(inner)))
        return x + inner if self.residual else inner


class EfficientNetLite(nn.Module):
    """Features of a picture at three sizes.

    Args:
        widths: features of each of the seven stages.
        depths: blocks of each.
        stem: features of the first convolution.
    """

    def __init__(self, widths: tuple[int, ...], depths: tuple[int, ...], stem: int = 32) -> None:
        super().__init__()
        self.stem = Same(3, stem, 3, 2)
        stages, inputs = [], stem
        for i, (width, depth) in enumerate(zip(widths, depths, strict=True)):
            blocks = []
            for j in range(depth):
                stride = STRIDES[i] if j == 0 else 1
                blocks.append(InvertedResidual(inputs, width, KERNELS[i], stride, EXPANSION if i else 1))
                inputs = width
            stages.append(nn.Sequential(*blocks))
        self.stages = nn.ModuleList(stages)
        self.widths = tuple(widths[i] for i in _TAPPED)

    def forward(self, x: Tensor) -> list[Tensor]:
        """(B, 3, H, W), sizes multiples of 32, to the features at 1/8, 1/16 and 1/32."""
        found = []
        x = F.relu6(self.stem(x))
        for i, stage in enumerate(self.stages):
            x = stage(x)
            if i in _TAPPED:
                found.append(x)
        return found

    @classmethod
    def sized_by(cls, state: Mapping[str, Tensor]) -> EfficientNetLite:
        """An untrained network of the sizes that a state dict's tensors have. Raises KeyError, ValueError."""
        blocks = {tuple(int(x) for x in key.split(".")[1:3]) for key in state if key.startswith("stages.")}
        depths = tuple(sum(stage == i for stage, _ in blocks) for i in range(len(KERNELS)))
        if 0 in depths or len(blocks) != sum(depths):
            raise ValueError(f"stages of {depths} blocks")
        widths = tuple(state[f"stages.{i}.0.project.weight"].shape[0] for i in range(len(KERNELS)))
        return cls(widths, depths, state["stem.weight"].shape[0])


def folded(published: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The state dict of `EfficientNetLite` from one of the package efficientnet-lite-pytorch, its classifier left out.

    Raises:
        KeyError, ValueError: not such a network's.
    """

    def fold(convolution: str, norm: str) -> tuple[Tensor, Tensor]:
        weight = published[f"{convolution}.weight"].double()
        scale = published[f"{norm}.weight"].double() / (published[f"{norm}.running_var"].double() + _EPSILON).sqrt()
        bias = published[f"{norm}.bias"].double() - published[f"{norm}.running_mean"].double() * scale
        return (weight * scale[:, None, None, None]).float(), bias.float()

    found: dict[str, Tensor] = {}
    found["stem.weight"], found["stem.bias"] = fold("_conv_stem", "_bn0")
    count = 1 + max(int(key.split(".")[1]) for key in published if key.startswith("_blocks."))
    stage, place, width = -1, 0, -1
    for i in range(count):
        block = f"_blocks.{i}"
        outputs = published[f"{block}._project_conv.weight"].shape[0]
        stage, place = (stage, place + 1) if outputs == width else (stage + 1, 0)
        width = outputs
        for ours, theirs, norm in (("expand", "expand", 0), ("depthwise", "depthwise", 1), ("project", "project", 2)):
            if f"{block}._{theirs}_conv.weight" in published:
                weight, bias = fold(f"{block}._{theirs}_conv", f"{block}._bn{norm}")
                found[f"stages.{stage}.{place}.{ours}.weight"], found[f"stages.{stage}.{place}.{ours}.bias"] = (
                    weight,
                    bias,
                )
    if stage + 1 != len(KERNELS) or not all(math.isfinite(float(x.sum())) for x in found.values()):
        raise ValueError(f"{stage + 1} stages instead of {len(KERNELS)}")
    return found


def normalised(grey: Tensor) -> Tensor:
    """Grey pictures (B, 1, H, W) in [0, 1] as the published networks want them: three channels, ImageNet's spread."""
    mean = torch.tensor((0.485, 0.456, 0.406)).to(grey)[None, :, None, None]
    deviation = torch.tensor((0.229, 0.224, 0.225)).to(grey)[None, :, None, None]
    return ((grey - mean) / deviation).contiguous(memory_format=torch.channels_last)
