"""The U-Net that re-ages faces: a picture and two ages in, what to add to the picture out.

After G. Zoss, P. Chandran, E. Sifakis, M. Gross, P. Gotardo, D. Bradley, "Production-Ready Face Re-Aging for Visual
Effects", ACM Transactions on Graphics 2022 (FRAN), in the form of its open reproduction (T. Roelofs, face_reaging,
MIT): blurred pooling and enlarging (R. Zhang, "Making Convolutional Networks Shift-Invariant Again", ICML 2019), so
that what is added does not flicker when a face moves by part of a pixel. Modules are named as in that checkpoint.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

PUBLISHED = (64, 128, 256, 512, 1024)
"""Features from full size down to a sixteenth of the published network."""
MULTIPLE = 16
"""Height and width of the input must be multiples of this."""
KEYS = frozenset({"init_conv.0.weight", "down4.layer.2.weight", "up4.blur_upsample.0.weight", "final_conv.weight"})
"""Names that only this network has together."""


class BlurPool(nn.Module):
    """A four by four binomial filter on each channel, then every `stride`-th pixel."""

    filt: Tensor

    def __init__(self, features: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        row = torch.tensor((1.0, 3.0, 3.0, 1.0)) / 8
        self.register_buffer("filt", torch.outer(row, row).repeat(features, 1, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, C, H / stride, W / stride), edges mirrored."""
        return F.conv2d(F.pad(x, (1, 2, 1, 2), "reflect"), self.filt, stride=self.stride, groups=x.shape[1])


def _twice(inputs: int, outputs: int) -> list[nn.Module]:
    return [
        nn.Conv2d(inputs, outputs, 3, padding=1), nn.LeakyReLU(inplace=True),
        nn.Conv2d(outputs, outputs, 3, padding=1), nn.LeakyReLU(inplace=True),
    ]  # fmt: skip


class _Down(nn.Module):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.layer = nn.Sequential(nn.MaxPool2d(2, stride=1), BlurPool(inputs, 2), *_twice(inputs, outputs))

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x)


class _Up(nn.Module):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.blur_upsample = nn.Sequential(nn.ConvTranspose2d(inputs, outputs, 2, stride=2), BlurPool(outputs, 1))
        self.layer = nn.Sequential(*_twice(2 * outputs, outputs))

    def forward(self, x: Tensor, beside: Tensor) -> Tensor:
        return self.layer(torch.cat((self.blur_upsample(x), beside), 1))


class ReagingUNet(nn.Module):
    """A face, how old it is and how old it shall be, to the difference.

    Args:
        widths: features at full size, a half, a quarter, an eighth and a sixteenth.
    """

    def __init__(self, widths: Sequence[int] = PUBLISHED) -> None:
        super().__init__()
        self.init_conv = nn.Sequential(*_twice(5, widths[0]))
        self.down1, self.down2, self.down3, self.down4 = (
            _Down(inputs, outputs) for inputs, outputs in zip(widths, widths[1:], strict=False)
        )
        self.up1, self.up2, self.up3, self.up4 = (
            _Up(inputs, outputs) for inputs, outputs in zip(widths[:0:-1], widths[-2::-1], strict=True)
        )
        self.final_conv = nn.Conv2d(widths[0], 3, 1)

    def forward(self, pictures: Tensor, source: Tensor, target: Tensor) -> Tensor:
        """What to add to each picture.

        Args:
            pictures: (N, 3, H, W) R'G'B', nominally [0, 1]; H and W multiples of 16, 32 at least.
            source: (N,) years the faces look now.
            target: (N,) years they shall look.

        Returns:
            (N, 3, H, W), in the pictures' units.
        """
        ages = torch.stack((source, target), 1).to(pictures)[:, :, None, None] / 100
        x = torch.cat((pictures, ages.expand(-1, -1, *pictures.shape[2:])), 1)
        full = self.init_conv(x.contiguous(memory_format=torch.channels_last))
        half = self.down1(full)
        quarter = self.down2(half)
        eighth = self.down3(quarter)
        x = self.up1(self.down4(eighth), eighth)
        x = self.up2(x, quarter)
        x = self.up3(x, half)
        return self.final_conv(self.up4(x, full))

    @property
    def widths(self) -> tuple[int, ...]:
        """Features from full size down to a sixteenth."""
        names = ("init_conv.2.weight", *(f"down{level}.layer.4.weight" for level in range(1, 5)))
        return tuple(self.get_parameter(name).shape[0] for name in names)

    @classmethod
    def from_state(cls, state: Mapping[str, Tensor]) -> ReagingUNet:
        """The network a state dict belongs to, its sizes read off the tensors' shapes.

        Raises:
            KeyError, ValueError, RuntimeError: not such a network's.
        """
        names = ("init_conv.0", *(f"down{level}.layer.2" for level in range(1, 5)))
        widths = [state[f"{name}.weight"].shape[0] for name in names]
        net = cls(widths)
        net.load_state_dict(dict(state))
        return net
