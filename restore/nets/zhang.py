"""The two published networks of Richard Zhang and others, laid out as their checkpoints are.

`Eccv16` is "Colorful image colorization" (Zhang, Isola, Efros, ECCV 2016): a classifier over 313 colours whose annealed
mean a last convolution takes. `Siggraph17` is "Real-time user-guided image colorization with learned deep priors"
(Zhang et al., SIGGRAPH 2017): a U-Net that regresses the colour and can be told some of it. The published weights
(github.com/richzhang/colorization, BSD 2-Clause) load strictly.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

SIZE = 256
"""Both were trained on squares of this many pixels."""
_AB_UNIT = 110.0
_COLOURS, _CLASSES = 313, 529


def _block(inputs: int, features: int, count: int, *, stride: int = 1, dilation: int = 1) -> nn.Sequential:
    """3x3 convolutions, each with its ReLU, the last with a stride, then batch normalisation."""
    layers: list[nn.Module] = []
    for i in range(count):
        step = stride if i == count - 1 else 1
        width = inputs if i == 0 else features
        layers += [nn.Conv2d(width, features, 3, step, dilation, dilation), nn.ReLU()]
    return nn.Sequential(*layers, nn.BatchNorm2d(features))


def _single(layer: nn.Module) -> nn.Sequential:
    """Published under the name of a sequence of one."""
    return nn.Sequential(layer)


def _enlarge(inputs: int, features: int) -> nn.ConvTranspose2d:
    return nn.ConvTranspose2d(inputs, features, 4, stride=2, padding=1)


class Eccv16(nn.Module):
    """CIE L* (B, 1, H, W) in [0, 100], sizes multiples of 8, to CIE a*, b* (B, 2, H / 4, W / 4)."""

    def __init__(self) -> None:
        super().__init__()
        self.model1 = _block(1, 64, 2, stride=2)
        self.model2 = _block(64, 128, 2, stride=2)
        self.model3 = _block(128, 256, 3, stride=2)
        self.model4 = _block(256, 512, 3)
        self.model5 = _block(512, 512, 3, dilation=2)
        self.model6 = _block(512, 512, 3, dilation=2)
        self.model7 = _block(512, 512, 3)
        self.model8 = nn.Sequential(
            _enlarge(512, 256),
            nn.ReLU(),
            nn.Conv2d(256, 256, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(256, 256, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(256, _COLOURS, 1),
        )
        self.model_out = nn.Conv2d(_COLOURS, 2, 1, bias=False)

    def forward(self, lightness: Tensor) -> Tensor:
        """See the class."""
        x = self.model3(self.model2(self.model1((lightness - 50) / 100)))
        x = self.model8(self.model7(self.model6(self.model5(self.model4(x)))))
        ab: Tensor = self.model_out(x.softmax(1)) * _AB_UNIT
        return ab


class Siggraph17(nn.Module):
    """CIE L* (B, 1, H, W) in [0, 100], sizes multiples of 8, to CIE a*, b* (B, 2, H, W), told some of them."""

    def __init__(self) -> None:
        super().__init__()
        self.model1 = _block(4, 64, 2)
        self.model2 = _block(64, 128, 2)
        self.model3 = _block(128, 256, 3)
        self.model4 = _block(256, 512, 3)
        self.model5 = _block(512, 512, 3, dilation=2)
        self.model6 = _block(512, 512, 3, dilation=2)
        self.model7 = _block(512, 512, 3)
        self.model8up = _single(_enlarge(512, 256))
        self.model3short8 = _single(nn.Conv2d(256, 256, 3, padding=1))
        self.model8 = nn.Sequential(nn.ReLU(), *_block(256, 256, 2))
        self.model9up = _single(_enlarge(256, 128))
        self.model2short9 = _single(nn.Conv2d(128, 128, 3, padding=1))
        self.model9 = nn.Sequential(nn.ReLU(), *_block(128, 128, 1))
        self.model10up = _single(_enlarge(128, 128))
        self.model1short10 = _single(nn.Conv2d(64, 128, 3, padding=1))
        self.model10 = nn.Sequential(nn.ReLU(), nn.Conv2d(128, 128, 3, padding=1), nn.LeakyReLU(0.2))
        self.model_class = _single(nn.Conv2d(256, _CLASSES, 1))  # trained beside the colours, not needed for them
        self.model_out = nn.Sequential(nn.Conv2d(128, 2, 1), nn.Tanh())

    def forward(self, lightness: Tensor, hints: Tensor | None = None, known: Tensor | None = None) -> Tensor:
        """Hints are a*, b* (B, 2, H, W), 0 where `known` (B, 1, H, W) is 0; it is 1 where they count."""
        if hints is None or known is None:
            hints, known = lightness.new_zeros(len(lightness), 2, *lightness.shape[2:]), torch.zeros_like(lightness)
        one = self.model1(torch.cat(((lightness - 50) / 100, hints / _AB_UNIT, known), 1))
        two = self.model2(one[:, :, ::2, ::2])
        three = self.model3(two[:, :, ::2, ::2])
        x = self.model7(self.model6(self.model5(self.model4(three[:, :, ::2, ::2]))))
        x = self.model8(self.model8up(x) + self.model3short8(three))
        x = self.model9(self.model9up(x) + self.model2short9(two))
        x = self.model10(self.model10up(x) + self.model1short10(one))
        ab: Tensor = self.model_out(x) * _AB_UNIT
        return ab
