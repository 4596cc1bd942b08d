"""What age does to faces: the table that `scripts/fit_age_prototypes.py` measured, and the measures themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from restore import zoo
from restore.stages.reage.alignment import FRAMING
from restore.stages.reage.bands import bands_of, blurred, luma_of
from restore.stages.reage.zones import Oval, hair_place, oval, placed, skin_place, zone_masks

NODES = (25.0, 35.0, 45.0, 55.0, 65.0, 75.0, 85.0)
"""Ages at which the table has values; straight lines between them."""
GRID, SHAPE_GRID = 96, 24
TONE = 0.03
"""Added to display values before logarithms: noise in blacks means nothing."""
_MOST = 0.3
"""Of a band: what differs more from its surroundings is hair, glasses, a shadow's edge."""
_EYES = Oval(0.50, 0.0, 0.34, 0.2)


def basis(ages: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """(N, nodes): shares of the nodes at ages; beyond, straight lines go on for ten years down and twenty up."""
    at = np.clip(np.asarray(ages, np.float64), NODES[0] - 10, NODES[-1] + 20)
    place = np.clip(np.searchsorted(NODES, at) - 1, 0, len(NODES) - 2)
    share = (at - np.take(NODES, place)) / 10
    result = np.zeros((len(at), len(NODES)))
    rows = np.arange(len(at))
    result[rows, place], result[rows, place + 1] = 1 - share, share
    return result


def amplitudes(bands: Sequence[Tensor], crops: Tensor, points: Tensor) -> Tensor:
    """(N, zones + 1, bands, 2): logarithm of the mean darker and lighter part of each band of the logarithm of luma.

    The last row is that of the eyes, whose sharpness tells how sharp a photograph is. `points` in eye distances.
    """
    side = crops.shape[-1]
    x, y = placed(points, *FRAMING.units(side, crops.device))
    skin = skin_place(x, y)
    weights = torch.stack([*(mask * skin for mask in zone_masks(x, y).values()), oval(_EYES, x, y)], 1)
    weights = weights / weights.sum((2, 3), keepdim=True).clamp(min=1e-6)
    found = []
    for band in bands:
        parts = torch.stack((-band, band), 1).clamp(0, _MOST)
        found.append(torch.einsum("nzij,nsij->nzs", weights, parts))
    return (torch.stack(found, 2) + 1e-4).log()


def hair_measures(crops: Tensor, points: Tensor) -> Tensor:
    """(N, 4): of hair, the logarithm of its darker luma over the skin's, its logarithm of red and of blue over luma,
    and the same luma for brows."""
    side = crops.shape[-1]
    x, y = placed(points, *FRAMING.units(side, crops.device))
    tone = (luma_of(crops) + TONE).log()
    skin, hair = skin_place(x, y), hair_place(x, y) * ((-y - 0.1) / 0.4).clamp(0, 1)
    brow = oval(Oval(0.50, -0.29, 0.34, 0.09), x, y)
    level = _mean(tone, skin)
    inside = hair * (blurred(tone, 0.03 * FRAMING.distance * side) < level[:, None, None] - 0.1)
    red, blue = ((crops[:, c] + TONE).log() - tone for c in (0, 2))
    rows = [_mean(tone, inside) - level, _mean(red, inside), _mean(blue, inside), _mean(tone, brow) - level]
    return torch.stack(rows, 1)


def age_features(crops: Tensor, points: Tensor) -> Tensor:
    """(N, K): all measures side by side, those of bands over what the eyes show of the picture's sharpness."""
    bands = bands_of((luma_of(crops) + TONE).log(), FRAMING.distance * crops.shape[-1])
    found = amplitudes(bands, crops, points)
    over = found[:, :-1] - found[:, -1:, :, :].mean(-1, keepdim=True)
    return torch.cat((over.flatten(1), hair_measures(crops, points)), 1)


def _mean(plane: Tensor, weights: Tensor) -> Tensor:
    return (plane * weights).sum((1, 2)) / weights.sum((1, 2)).clamp(min=1e-3)


TABLE = "reage-sift"
"""The table's name in the zoo."""


AGE_SIDE = 448
"""Of crops by which an age is judged: that of the fit."""


def load_table(device: torch.device) -> Table:
    """The bundled table."""
    return Table(zoo.load_state_dict(zoo.weights_file(TABLE)[0]), device)


class Table:
    """The curves over age, on one device."""

    def __init__(self, state: Mapping[str, Tensor], device: torch.device) -> None:
        self._curves = {name: value.to(device, torch.float32) for name, value in state.items()}

    @property
    def mean(self) -> npt.NDArray[np.float32]:
        """(S, S): luma of the mean face, as `restore.stages.reage.look.flattened` makes it."""
        return np.asarray(self._curves["mean"].cpu().numpy(), np.float32)

    def looks_like(self, crops: npt.NDArray[np.float32], points: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """(N,) years: how old faces look, of (N, 3, `AGE_SIDE`, `AGE_SIDE`) crops whose points lie so in pixels.

        By linear regression over `age_features`; a mean of eight years off, and more for those far from fifty-five.
        """
        side = crops.shape[-1]
        rgb = torch.from_numpy(crops).to(self._curves["age_weights"])
        middle = np.array((0.5, FRAMING.eyes)) * side - 0.5
        units = torch.from_numpy((points - middle) / (FRAMING.distance * side)).to(rgb)[None].expand(len(crops), -1, -1)
        years = age_features(rgb, units) @ self._curves["age_weights"] + self._curves["age_constant"]
        return np.asarray(years.clamp(20, 85).double().cpu().numpy(), np.float64)

    def change(self, name: str, source: Tensor, target: Tensor) -> Tensor:
        """(N, ...): by how much a curve rises from (N,) source to target ages."""
        ages = torch.stack((source, target)).cpu().numpy()
        shares: Tensor = torch.from_numpy(basis(ages[1]) - basis(ages[0])).to(source)
        curve = self._curves[name]
        shares = shares.reshape(*shares.shape, *[1] * (curve.dim() - 1))
        # No matrix product: its last digits would depend on the number of threads.
        return sum((shares[:, k] * curve[k] for k in range(len(curve))), torch.zeros((), device=curve.device))

    def map_change(self, name: str, source: Tensor, target: Tensor, grid: Tensor) -> Tensor:
        """(N, C, s, s): the same of a map, at an (N, s, s, 2) grid of places as `grid_sample` takes it."""
        return F.grid_sample(self.change(name, source, target), grid, "bilinear", "border", align_corners=False)
