"""How degraded a shot is: its blur, noise and compression, measured without a reference.

The three numbers are what the small networks are told (`restore.nets.reel`), so that a clean picture is left sharp and
a bad one is helped. They are read by a small network (`restore.nets.estimator`) trained on the same synthetic film
damage.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from restore.errors import SourceNotFoundError, WeightsError
from restore.nets.estimator import DegradationNet

CROP = 96
"""Pixels each side of the crops that are measured."""
_CROPS_A_FRAME = 9
_MOST_FRAMES = 16


@dataclass(frozen=True, slots=True)
class Degradation:
    """What is wrong with pictures; 0 is nothing, 1 is the worst the networks know."""

    blur: float
    """Sigma of the equivalent Gaussian, in units of 3 pixels."""
    noise: float
    """Standard deviation at mid-grey of samples in [0, 1], in units of 0.1."""
    compression: float
    """Lost to lossy coding: 0.7 looks like a JPEG of quality 30."""

    def tensor(self) -> Tensor:
        """(3,) float32: what `ReelUpscaler.folded` takes."""
        return torch.tensor([self.blur, self.noise, self.compression])


class DegradationEstimator:
    """Measures shots; deterministic, on the CPU."""

    def __init__(self, net: DegradationNet) -> None:
        self._net = net.float().cpu().eval()

    @torch.inference_mode()
    def measure(self, frames: Tensor) -> Degradation:
        """Measure some frames of one shot.

        Args:
            frames: (N, 3, H, W), nominally [0, 1], at the size the network will be given; a handful, spread over the
                shot (of more than 16, 16 are looked at).

        Returns:
            The median over frames and crops. Where there is nothing to measure (a picture under 16 pixels either way,
            an empty one) zero.
        """
        if min(frames.shape[-2:]) < DegradationNet.minimum_size or not len(frames):
            return Degradation(0.0, 0.0, 0.0)
        chosen = torch.linspace(0, len(frames) - 1, min(len(frames), _MOST_FRAMES)).round().long()
        crops = torch.cat([_crops(frames[i]) for i in chosen.tolist()])
        if not len(crops):
            return Degradation(0.0, 0.0, 0.0)
        values = torch.cat([self._net(part) for part in torch.split(crops, _CROPS_A_FRAME)])
        blur, noise, compression = values.quantile(0.5, dim=0).clamp(0, 1).tolist()
        return Degradation(round(blur, 3), round(noise, 3), round(compression, 3))


def _crops(frame: Tensor) -> Tensor:
    """A 3x3 grid of crops of (3, H, W); crops that show next to nothing (black bars, sky) are left out if others do."""
    height, width = frame.shape[-2:]
    rows, columns = min(CROP, height), min(CROP, width)
    tops = sorted({round((height - rows) * f) for f in (0.1, 0.5, 0.9)})
    lefts = sorted({round((width - columns) * f) for f in (0.1, 0.5, 0.9)})
    crops = torch.stack([frame[:, t : t + rows, x : x + columns] for t in tops for x in lefts]).float().cpu()
    detail = F.avg_pool2d(crops.mean(dim=1, keepdim=True), 4).var(dim=(1, 2, 3)).sqrt()
    return crops[(detail >= min(0.02, float(detail.median()))) & (crops.amax((1, 2, 3)) > crops.amin((1, 2, 3)))]


def load_estimator(path: str | Path) -> DegradationEstimator:
    """Read the estimator's weights (safetensors).

    Raises:
        SourceNotFoundError: there is no such file.
        WeightsError: it is not a safetensors file, or holds another network.
    """
    if not Path(path).is_file():
        raise SourceNotFoundError(f"no weights at {path}")
    try:
        state = load_file(path)
        net = DegradationNet(state["convs.0.weight"].shape[0], state["head.2.weight"].shape[0])
        net.load_state_dict(state)
    except (SafetensorError, KeyError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise WeightsError(f"{path} does not hold a degradation estimator: {reason}") from error
    return DegradationEstimator(net)
