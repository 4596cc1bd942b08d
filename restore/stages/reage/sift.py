"""The engine `sift`: what age does to a face, measured on portraits, without a network.

Bands: I. Boyadzhiev, K. Bala, S. Paris, E. Adelson, "Band-Sifting Decomposition for Image-Based Material Editing", ACM
Transactions on Graphics 34(5), 2015: the parts of a picture's luma by spatial frequency, sign and amplitude are what
one sees as wrinkles (dark lines of high amplitude), pores (fine, low amplitude), blotches (broad) and shine (light).
How much of each there is at which age, and how colour and shape change, is in the table: see
`restore.stages.reage.prototypes`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from restore import zoo
from restore.pipeline.contract import Device
from restore.stages.reage import drawn
from restore.stages.reage.alignment import FRAMING, Framing
from restore.stages.reage.bands import EDGES, bands_of, luma_of, reduced
from restore.stages.reage.engines import Faces, Wishes
from restore.stages.reage.hair import hair_change
from restore.stages.reage.options import ZONES
from restore.stages.reage.prototypes import TABLE, TONE, Table, load_table
from restore.stages.reage.skin import Colours, Skin, find_skin, valleys
from restore.stages.reage.zones import Oval, oval, placed, skin_place, zone_masks

_LARGEST, _SMALLEST, _STEP = 512, 192, 64
_YOUNGEST = 18.0
"""The table is of adults: younger ages are those of a young adult."""
_LINE_SHARE = 4.2
"""By how much more than its whole band a line changes: pores, stubble and noise, the rest of it, do not."""
_MOST_DARK, _MOST_LIGHT, _MOST_BROAD = 0.32, 0.18, 0.12
"""Of a band: what differs more from its surroundings is hair, glasses, a shadow's edge."""
_COARSE = 4
_BROAD = 4
"""Number of the band from which what is dark need be no line."""
_LINE_WIDTH = 0.75
"""Of a band's lines, in its wider sigma."""
_MOVED = Oval(0, 0.2, 1.25, 1.75)
"""Outside this nothing is moved."""
_OF_MAPS, _OF_OLDER_MAPS = 1.4, 1.9
"""Averages of faces that are not quite in register are paler than what they are averages of."""
_SHINIER = 0.2
"""What is light gains no more: it would look wet."""
_OF_LEVEL = 0.4
"""How much of the skin's darkening is made: the rest may be how photographs are exposed."""
_UNEVEN, _MOST_UNEVEN = 0.7, 0.2
"""By how much broad light and dark of the skin fade for thirty years: evenly coloured skin alone makes faces look
up to twenty years younger (B. Fink, K. Grammer, P. J. Matts, Evolution and Human Behavior 27, 2006)."""
_REDDER, _YELLOWER = 0.35, 0.3
"""How much of the change of colour is made for older ages: portraits of the old are redder, but a face that was as red
before gets orange."""
_MOUTH = Oval(0, 1.04, 0.36, 0.12)
_LIPS = torch.tensor([0.03, -0.10, 0.03])
"""Logarithms of luma, red and blue over luma, by which lips change in thirty years: the contrast of features falls with
age (A. Porcheron, E. Mauger, R. Russell, "Aspects of Facial Contrast Decrease with Age", PLoS ONE 8(3), 2013)."""
_SHADOW = (0.74, 1.06, 1.14)
"""How much of a shadow is red's, green's, blue's: light within skin makes its furrows warm. Luma's is 1."""
_OF_SHAPE = 0.35
"""More of it would move pores and lashes visibly, and age no one further."""
_FARTHEST = 0.07
"""Eye distances by which nothing is moved further."""


class _Place(NamedTuple):
    """Where in crops lies what, at a `_COARSE`th of their size: none of it has sharp edges."""

    x: Tensor
    """(N, s, s) eye distances, of the usual face."""
    y: Tensor
    unit: float
    """Pixels of an eye distance."""
    skin: Tensor
    """(N, s, s) 0 to 1: where skin usually is, and later, where it is."""

    @property
    def grid(self) -> Tensor:
        """(N, s, s, 2): the same places, as `torch.nn.functional.grid_sample` wants them."""
        return torch.stack((2 * self.x * FRAMING.distance, 2 * (FRAMING.eyes + self.y * FRAMING.distance) - 1), -1)


class SiftEngine:
    """See `restore.stages.reage.engines.Engine`."""

    name = "sift"
    framing: Framing = FRAMING

    def __init__(self) -> None:
        self._table: Table | None = None

    def side(self, eye_distance: float) -> int:
        """About the size the face has in the picture, so that nothing is lost; not more than pays."""
        natural = eye_distance / self.framing.distance
        return int(min(_LARGEST, max(_SMALLEST, _STEP * -(-natural // _STEP))))

    def weights(self) -> dict[str, str]:
        """The table."""
        return {TABLE: zoo.weights_file(TABLE)[1]}

    def open(self, device: Device) -> None:
        """Load the table."""
        self._table = load_table(device.torch_device)

    def deltas(self, faces: Faces) -> Tensor:
        """See `Engine.deltas`."""
        if faces.crops.device.type != "cpu":
            return self._deltas(faces)
        # On a processor one face after the other is faster, and sums do not depend on how many there are.
        return torch.cat([self._deltas(_one(faces, row)) for row in range(len(faces.wishes))])

    def _deltas(self, faces: Faces) -> Tensor:
        assert self._table is not None
        source, target = (ages.clamp(min=_YOUNGEST) for ages in (faces.source, faces.target))
        place = self._placed(faces)
        crops = self._reshaped(faces, source, target, place)
        colours = Colours.of(F.avg_pool2d(crops, _COARSE))
        skin = find_skin(colours, place.skin, place.x, place.y, place.unit)
        place = place._replace(skin=place.skin * skin.likeness)
        tint = self._tinted(colours.red, skin, faces, source, target, place)
        tone = (luma_of(crops).clamp(min=0) + TONE).log()
        bands = bands_of(tone, place.unit * _COARSE)
        strands = reduced(bands[0].abs() + bands[1].abs(), _COARSE)
        hair = self._table.change("hair", source, target)
        tint = tint + hair_change(colours, skin, faces.wishes, hair, strands, place.x, place.y, place.unit)
        change = self._sifted(tone, bands, faces, source, target, place) + self._drawn(faces, source, target, place)
        # Green is what luma is when red and blue have their share.
        green = -(0.2126 * tint[:, 1] + 0.0722 * tint[:, 2]) / 0.7152
        tint = torch.stack((tint[:, 0] + tint[:, 1], tint[:, 0] + green, tint[:, 0] + tint[:, 2]), 1)
        shade = torch.lerp(torch.ones(3, device=tint.device), torch.tensor(_SHADOW, device=tint.device), skin.colourful)
        shaded = torch.where(change[:, None] < 0, shade.view(-1, 3, 1, 1) * change[:, None], change[:, None])
        change = (_fine(tint, crops.shape[-1]) + shaded).clamp(-0.9, 0.9)
        room = ((1.0 - tone.exp()) / 0.45).clamp(0, 1)  # what is nearly white becomes no whiter
        change = torch.where(change > 0, change * room[:, None], change)
        return torch.addcmul(crops - faces.crops, crops.clamp(min=0) + TONE, change.expm1())

    def _placed(self, faces: Faces) -> _Place:
        side = faces.crops.shape[-1]
        unit = self.framing.distance * side
        middle = torch.tensor([0.5, self.framing.eyes], device=faces.points.device) * side - 0.5
        across, down = self.framing.units(side // _COARSE, faces.crops.device)
        x, y = placed((faces.points - middle) / unit, across, down)
        return _Place(x, y, unit / _COARSE, skin_place(x, y))

    def _reshaped(self, faces: Faces, source: Tensor, target: Tensor, place: _Place) -> Tensor:
        """Crops with lids, cheeks, jaw, nose and hairline where they lie at the target age."""
        assert self._table is not None
        much = _wished(faces.wishes, "shape", source)
        if not bool(much.any()):
            return faces.crops
        moved = self._table.map_change("shape", source, target, place.grid)
        far = moved.norm(dim=1, keepdim=True).clamp(min=1e-6)
        moved = moved * (_FARTHEST * torch.tanh(far / _FARTHEST) / far) * (_OF_SHAPE * much[:, None, None, None])
        moved = moved * oval(_MOVED, place.x, place.y, 0.6)[:, None]
        side = faces.crops.shape[-1]
        at = (torch.arange(side, device=moved.device) * 2 + 1) / side - 1
        grid = torch.stack((at.expand(side, side), at[:, None].expand(side, side)), -1)
        grid = grid - _fine(moved, side).permute(0, 2, 3, 1) * (2 * self.framing.distance)
        return F.grid_sample(faces.crops, grid, "bilinear", "border", align_corners=False)

    def _sifted(
        self, tone: Tensor, bands: Sequence[Tensor], faces: Faces, source: Tensor, target: Tensor, place: _Place
    ) -> Tensor:
        """(N, S, S): what is added to the logarithm of luma by making lines fainter or deeper, zone by zone."""
        assert self._table is not None
        logs = self._table.change("bands", source, target)
        much = _wished(faces.wishes, "wrinkles", source)[:, None] * _of_zones(faces.wishes, source)
        gains = (logs * much[:, :, None, None]).clamp(-1.6, 1.6).exp() - 1
        darker, lighter = gains[..., 0].clone(), gains[..., 1].clamp(-0.6, _SHINIER)
        # A line is one thing in all the bands it shows in: it changes as that of them does which changes most.
        lines = darker[:, :, 1:_BROAD]
        most = lines.gather(2, lines.abs().argmax(2, keepdim=True))
        darker[:, :, 1:_BROAD] = (_LINE_SHARE * most).clamp(-1.2, 3.4)
        masks = torch.stack(list(zone_masks(place.x, place.y).values()), 1) * place.skin[:, None]
        side, unit = tone.shape[-1], place.unit * _COARSE
        # No matrix product: its last digits would depend on the number of threads.
        weights = torch.stack((darker, lighter), -1)[..., None, None]
        maps = torch.zeros((len(tone), len(EDGES), 2, *masks.shape[2:]), device=masks.device)
        for zone in range(len(ZONES)):
            maps += weights[:, zone] * masks[:, zone, None, None]
        side, unit = tone.shape[-1], place.unit * _COARSE
        change = torch.zeros_like(tone)
        uneven = _uneven(target - source) * _wished(faces.wishes, "skin", source)
        uneven = uneven[:, None, None] * _fine(place.skin[:, None], side)[:, 0]
        for number, band in enumerate(bands):
            if number == 0:
                continue  # pores and grain
            deeper, brighter = _fine(maps[:, number], side).unbind(1)
            if number < _BROAD:
                dark = band.clamp(-_MOST_DARK, 0) * valleys(tone, _LINE_WIDTH * EDGES[number] * unit)
            else:
                dark = band.clamp(-_MOST_BROAD, 0)
            change = change + deeper * dark + brighter * band.clamp(0, _MOST_LIGHT)
            if number >= _BROAD - 1:
                change = change + uneven * band.clamp(-_MOST_UNEVEN, _MOST_UNEVEN)
        return change

    def _drawn(self, faces: Faces, source: Tensor, target: Tensor, place: _Place) -> Tensor:
        """(N, S, S): lines and spots that come with age."""
        side = faces.crops.shape[-1]
        zones = _of_zones(faces.wishes, source)
        planes = []
        for row, wish in enumerate(faces.wishes):
            plane = torch.zeros((side, side), device=place.x.device)
            for number, zone in enumerate(ZONES):
                if zone in drawn.ZONES:
                    much = zones[row, number] * wish.wrinkles
                    deeper, sagging, finer = (
                        much * (of(zone, target[row]) - of(zone, source[row])).clamp(min=0)
                        for of in (drawn.depth_of, drawn.sag_of, drawn.crepe_of)
                    )
                    if float(deeper) > 0:
                        plane = plane - deeper * drawn.lines(zone, wish.seed, side, self.framing).to(plane)
                    if float(sagging) > 0:
                        plane = plane + sagging * drawn.folds(zone, side, self.framing).to(plane)
                    if float(finer) > 0:
                        plane = plane + finer * drawn.crepe(zone, wish.seed, side, self.framing).to(plane)
            spotted = (drawn.spots_of(target[row]) - drawn.spots_of(source[row])).clamp(min=0) * wish.skin
            if float(spotted) > 0:
                plane = plane - spotted * drawn.spots(wish.seed, side, self.framing).to(plane)
            planes.append(plane)
        grid = _fine(place.grid.permute(0, 3, 1, 2), side).permute(0, 2, 3, 1)
        there = F.grid_sample(torch.stack(planes)[:, None], grid, "bilinear", "zeros", align_corners=False)
        return there[:, 0] * _fine(place.skin[:, None], side)[:, 0]

    def _tinted(self, red: Tensor, skin: Skin, faces: Faces, source: Tensor, target: Tensor, place: _Place) -> Tensor:
        """(N, 3, s, s): what is added to the logarithms of luma, red and blue over luma, by the change of colours."""
        assert self._table is not None
        maps = self._table.map_change("colours", source, target, place.grid)
        level = self._table.change("level", source, target)[:, :, None, None]
        level = level * torch.tensor([_OF_LEVEL, 1.0, 1.0], device=level.device)[:, None, None]
        much = _wished(faces.wishes, "skin", source)[:, None, None, None]
        maps = maps * ((1.9 - place.y) / 0.3).clamp(0, 1)[:, None]  # below, portraits show collars
        older = (target > source)[:, None, None, None]
        change = (torch.where(older, _OF_OLDER_MAPS, _OF_MAPS) * maps + level) * much * place.skin[:, None]
        paler = torch.tensor([1.0, _REDDER, _YELLOWER], device=level.device)[:, None, None]
        change = torch.where(older, change * paler, change)
        redder = ((red - skin.red - 0.03) / 0.10).clamp(0, 1)[:, None]  # than skin: lips, not teeth
        change = change + _LIPS.to(change)[:, None, None] * redder * self._paler_lips(much, source, target, place)
        return torch.cat((change[:, :1], change[:, 1:] * skin.colourful[:, None]), 1).clamp(-0.3, 0.3)

    def _paler_lips(self, much: Tensor, source: Tensor, target: Tensor, place: _Place) -> Tensor:
        """(N, 1, s, s): how much less lips stand out than they did."""
        years = ((target - source) / 30).clamp(0, 1.5)[:, None, None, None]
        return much * years * oval(_MOUTH, place.x, place.y, 0.8)[:, None]


def _uneven(years: Tensor) -> Tensor:
    """(N,) by how much, below 0, broad light and dark of the skin fade; for older ages lines and spots do better."""
    return -_UNEVEN * (-years / 30).clamp(0, 1.3)


def _one(faces: Faces, row: int) -> Faces:
    part = slice(row, row + 1)
    return Faces(faces.crops[part], faces.points[part], faces.source[part], faces.target[part], faces.wishes[part])


def _fine(maps: Tensor, side: int) -> Tensor:
    """(N, C, side, side) of coarse (N, C, s, s) maps."""
    planes = maps.flatten(0, 1)[:, None]  # of three channels the last digits would depend on the number of threads
    return F.interpolate(planes, (side, side), mode="bilinear", align_corners=False).view(*maps.shape[:2], side, side)


def _wished(wishes: Sequence[Wishes], name: str, like: Tensor) -> Tensor:
    return torch.tensor([float(getattr(wish, name)) for wish in wishes]).to(like)


def _of_zones(wishes: Sequence[Wishes], like: Tensor) -> Tensor:
    """(N, zones)."""
    return torch.tensor([[float(wish.zones.get(zone, 1.0)) for zone in ZONES] for wish in wishes]).to(like)
