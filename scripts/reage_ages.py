"""How old a face looks: SSR-Net, two networks, each asked about many crops of the same face.

T. Yang, Y. Huang, Y. Lin, P. Hsiu, Y. Chuang, "SSR-Net: A Compact Soft Stagewise Regression Network for Age
Estimation", IJCAI 2018. The published weights are Keras files; the network is written here in torch.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

Array = npt.NDArray[np.float64]

SIDE = 64
"""Pixels of the networks' input."""
_STAGES = 3
_YEARS = 101
_RAISED = 0.05
"""Crops are centred this share of a box above its middle: detectors end a face at the brow."""
_MARGINS = (0.1, 0.2, 0.3)
"""Shares of a box on every side. Estimates follow portraits' true ages best with these."""
_SHIFTS = ((0.0, 0.0), (-0.05, 0.03), (0.05, -0.03))
_REDUCED = 112
"""Pixels a face is wide when crops are taken."""


class _Stream(nn.Module):
    """Four convolutions with batch normalisation; one of the two streams."""

    def __init__(self, features: int, quick: bool) -> None:
        super().__init__()
        self.quick = quick
        sizes = (3, features, features, features)
        self.convolutions = nn.ModuleList(nn.Conv2d(size, features, 3) for size in sizes)
        self.norms = nn.ModuleList(nn.BatchNorm2d(features, eps=1e-3) for _ in sizes)

    def forward(self, x: Tensor) -> list[Tensor]:
        """(N, 3, 64, 64) to what the three stages look at, finest first."""
        found = []
        for number, (convolution, norm) in enumerate(zip(self.convolutions, self.norms, strict=True)):
            x = norm(convolution(x))
            x = torch.relu(x) if self.quick else torch.tanh(x)
            if number < 3:
                x = F.avg_pool2d(x, 2) if self.quick else F.max_pool2d(x, 2)
            if number != 2:
                found.append(x)
        return found


class _Stage(nn.Module):
    """One step of the regression: three coarse classes, and how far they are shifted and scaled."""

    def __init__(self, places: int, pool: int) -> None:
        super().__init__()
        self.pool = pool
        self.slow, self.quick = nn.Conv2d(16, 10, 1), nn.Conv2d(32, 10, 1)
        self.slow_mix, self.quick_mix = nn.Linear(places, _STAGES), nn.Linear(places, _STAGES)
        self.joined = nn.Linear(_STAGES, 2 * _STAGES)
        self.classes, self.local = nn.Linear(2 * _STAGES, _STAGES), nn.Linear(2 * _STAGES, _STAGES)
        self.scale = nn.Linear(places, 1)

    def forward(self, slow: Tensor, quick: Tensor) -> tuple[Tensor, Tensor]:
        slow, quick = torch.relu(self.slow(slow)), torch.relu(self.quick(quick))
        if self.pool > 1:
            slow, quick = F.max_pool2d(slow, self.pool), F.avg_pool2d(quick, self.pool)
        # Keras keeps channels last, and so lie the dense layers' weights.
        slow, quick = slow.permute(0, 2, 3, 1).flatten(1), quick.permute(0, 2, 3, 1).flatten(1)
        scale = torch.tanh(self.scale(slow * quick))
        mixed = torch.relu(self.joined(torch.relu(self.slow_mix(slow)) * torch.relu(self.quick_mix(quick))))
        steps = torch.arange(_STAGES) + torch.tanh(self.local(mixed))
        return (torch.relu(self.classes(mixed)) * steps).sum(1, keepdim=True), _STAGES * (1 + scale)


class SSRNet(nn.Module):
    """(N, 3, 64, 64) BGR, 0 to 255, to years (N,)."""

    def __init__(self) -> None:
        super().__init__()
        self.quick, self.slow = _Stream(32, True), _Stream(16, False)
        self.stages = nn.ModuleList((_Stage(160, 1), _Stage(90, 4), _Stage(90, 8)))

    def forward(self, pictures: Tensor) -> Tensor:
        quick, slow = self.quick(pictures), self.slow(pictures)
        years, divided = torch.zeros(len(pictures), 1), torch.ones(len(pictures), 1)
        for stage, s, q in zip(self.stages, reversed(slow), reversed(quick), strict=True):
            part, divisor = stage(s, q)
            divided = divided * divisor
            years = years + part / divided
        return years[:, 0] * _YEARS


def load_ssrnet(path: Path) -> SSRNet:
    """Read a Keras file of the published layout (`ssrnet_3_3_3_64_1.0_1.0`)."""
    import h5py

    net = SSRNet()
    layers: dict[str, nn.Module] = {}
    for stream, first in ((net.quick, 1), (net.slow, 5)):
        for number in range(4):
            layers[f"conv2d_{first + number}"] = stream.convolutions[number]
            layers[f"batch_normalization_{first + number}"] = stream.norms[number]
    for number, stage in enumerate(net.stages, start=1):
        assert isinstance(stage, _Stage)
        layers[f"conv2d_{7 + 2 * number}"], layers[f"conv2d_{8 + 2 * number}"] = stage.slow, stage.quick
        for place, layer in enumerate((stage.slow_mix, stage.quick_mix, stage.joined)):
            layers[f"dense_{3 * number - 2 + place}"] = layer
        layers[f"pred_age_stage{number}"], layers[f"local_delta_stage{number}"] = stage.classes, stage.local
        layers[f"delta_s{number}"] = stage.scale
    with h5py.File(path, "r") as file:
        for name, layer in layers.items():
            _fill(layer, {key.removesuffix(":0"): np.asarray(value) for key, value in file[name][name].items()})
    return net.eval().requires_grad_(False)


def _fill(layer: nn.Module, values: dict[str, Array]) -> None:
    """Put a Keras layer's arrays where torch has them."""
    names = {"kernel": "weight", "gamma": "weight", "beta": "bias", "moving_mean": "running_mean",
             "moving_variance": "running_var"}  # fmt: skip
    state = {}
    for name, value in values.items():
        array = value.transpose(3, 2, 0, 1) if value.ndim == 4 else value.T
        state[names.get(name, name)] = torch.from_numpy(np.ascontiguousarray(array, np.float32))
    layer.load_state_dict(state, strict=not isinstance(layer, nn.BatchNorm2d))


class AgeEstimator:
    """The mean of both networks over crops that differ a little in size and place, each also mirrored."""

    def __init__(self, weights: Path) -> None:
        self.nets = [load_ssrnet(weights / f"ssrnet_{name}.h5") for name in ("imdb", "wiki")]

    @torch.inference_mode()
    def each(self, picture: Tensor, box: Array) -> Tensor:
        """Years from every network and crop, (networks, crops).

        Args:
            picture: (3, H, W) RGB, nominally [0, 1].
            box: x, y, width, height of the face as a detector sees it.
        """
        part, place = _reduced(picture, box)
        crops = torch.stack([_crop(part, place, margin, shift) for margin in _MARGINS for shift in _SHIFTS])
        pictures = torch.cat((crops, crops.flip(-1))).clamp(0, 1).flip(1) * 255
        return torch.stack([net(pictures.round()) for net in self.nets])

    def years(self, picture: Tensor, box: Array) -> float:
        """How old the face looks."""
        return float(self.each(picture, box).mean())


def _reduced(picture: Tensor, box: Array) -> tuple[Tensor, Array]:
    """The surroundings of a face, reduced if it is large, and its box there; edges are repeated."""
    reach = 0.5 + max(_MARGINS) + 0.2
    middle, size = box[:2] + box[2:] / 2, float(max(box[2:]))
    left, top = (int(np.floor(at - reach * size)) for at in middle)
    side = int(np.ceil(2 * reach * size))
    rows = torch.arange(top, top + side).clamp(0, picture.shape[1] - 1)
    columns = torch.arange(left, left + side).clamp(0, picture.shape[2] - 1)
    part = picture[:, rows][:, :, columns]
    scale = min(1.0, _REDUCED / size)
    if scale < 1:
        small = round(side * scale)
        part, scale = F.interpolate(part[None], (small, small), mode="bilinear", antialias=True)[0], small / side
    return part, (box - (left, top, 0, 0)) * scale


def _crop(picture: Tensor, box: Array, margin: float, shift: tuple[float, float]) -> Tensor:
    """(3, 64, 64): a square round the face with a share of its size on every side, shifted by shares of its own."""
    side = float(max(box[2:])) * (1 + 2 * margin)
    left, top = box[:2] + box[2:] / 2 - (0, _RAISED * box[3]) + np.array(shift) * side - side / 2
    rows = torch.arange(round(top), round(top + side)).clamp(0, picture.shape[1] - 1)
    columns = torch.arange(round(left), round(left + side)).clamp(0, picture.shape[2] - 1)
    cut = picture[:, rows][:, :, columns][None]
    return F.interpolate(cut, (SIDE, SIDE), mode="bilinear", antialias=True)[0]
