"""The rendering half of `reage`: crops of the actor's face, a delta from the engine, steadied, masked, put back."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from restore.faces.identify import Said, embedder_name
from restore.faces.wanted import Wanted
from restore.frames import ColorInfo, FrameBatch, PixelFormat, VideoFormat
from restore.pipeline.contract import Analyzer, Device, Finding, Stage, Values, Window
from restore.provenance.consent import Claim, checked_claim
from restore.stages.reage.actor import chosen
from restore.stages.reage.ages import Keyed
from restore.stages.reage.alignment import (
    Array,
    applied,
    cropped,
    inverse,
    matrix_of,
    place_of,
    put_back,
    similarities,
)
from restore.stages.reage.analysis import FaceAnalyzer
from restore.stages.reage.engines import Engine, Faces, Wishes, choose_engine
from restore.stages.reage.grain import degrained
from restore.stages.reage.look import Look, covered
from restore.stages.reage.masks import enlarged_mask, framed, lasting
from restore.stages.reage.options import OLDEST, ReageOptions, parse_zones
from restore.stages.reage.steady import View, steadied

_REACH = 2
"""Frames either side over which a delta is averaged."""
_LEAST = 1 / 2048
"""What is changed by less is left as it is, to the bit."""
_USUAL_AGE = 50.0
"""Of a person of whom nothing is known."""
Key = tuple[int, int]
"""(face, pts)."""


class Reage(Stage[ReageOptions]):
    """Adds a delta to the actor's face; all else stays as it is, to the bit."""

    name = "reage"
    version = 2
    domain = "rgb"
    film_wide = True
    needs_progressive = True
    editable: ClassVar[frozenset[str]] = frozenset({
        "strength", "to", "from_age", "wrinkles", "skin", "shape", "hair", "hair_color", "brow_color", "zone",
    })  # fmt: skip

    def __init__(self, options: ReageOptions) -> None:
        super().__init__(options)
        self._engine: Engine | None = None
        self._views: dict[Key, View] = {}
        self._settings = ""
        self._said: tuple[Said, ...] = ()

    def __getstate__(self) -> dict[str, Any]:
        # What it remembers only saves time, and cannot be sent to a worker.
        return {**self.__dict__, "_engine": None, "_views": {}}

    def window(self) -> Window:
        """What a delta is averaged over."""
        return Window(_REACH, _REACH)

    def check(self, format: VideoFormat) -> None:
        """A person's face is altered: somebody must have said that this is right. And a photograph must be there."""
        self.consent()
        Wanted.parse(self.options.actor, self.options.at).check()

    def consent(self) -> dict[str, Any]:
        """The claim of the options, checked."""
        options = self.options
        record = None if options.consent is None else Path(options.consent)
        return checked_claim(Claim(record, options.own_work, options.test_material), "face")

    def effective(self) -> dict[str, Any]:
        """The options, and what was checked of the consent."""
        return {**self.options.effective(), "claim": self.consent()}

    def analysed(self) -> dict[str, Any]:
        """Where faces are depends on what looks for them alone."""
        known = {"detector": self.options.detector, "apart": embedder_name()}
        return known if self.options.at is None else {**known, "at": self.options.at}

    def analyzer(self) -> Analyzer:
        """What follows faces."""
        return FaceAnalyzer(self.options)

    def introduce(self, people: Sequence[Mapping[str, Any]]) -> None:
        """Who is who, as the person says."""
        self._said = tuple(
            Said(said["track"], said["person"], said["same_as"], said["name"], said["drop"]) for said in people
        )

    def settle(self, found: Sequence[Values]) -> list[dict[str, Any]]:
        """Adds ``actor``: which of a shot's ``faces`` are the actor's; ``age``: how old they look over all shots."""
        actor = chosen(found, Wanted.parse(self.options.actor, self.options.at), self._said, self.options.detector)
        years, frames = [], []
        for values, faces in zip(found, actor, strict=True):
            for face in (values["faces"][number] for number in faces):
                if face["looks"] is not None:
                    years.append(float(face["looks"]))
                    frames.append(int(face["frames"][1]) - int(face["frames"][0]))
        age = round(float(np.average(years, weights=frames))) if years else None
        return [{**values, "actor": faces, "age": age} for values, faces in zip(found, actor, strict=True)]

    def findings(self, values: Values) -> tuple[Finding, ...]:
        """The actor is worth a look wherever there is one."""
        faces = [values["faces"][number] for number in values.get("actor", [])]
        return tuple(Finding("actor", f"{face['width']:.0f} pixels wide", 1 - face["quality"]) for face in faces)

    def weights(self) -> dict[str, str]:
        """The engine's."""
        return choose_engine(self.options.model).weights()

    def open(self, device: Device, format: VideoFormat) -> None:
        """Load the engine; nothing is remembered yet."""
        self._engine = choose_engine(self.options.model)
        self._engine.open(device)
        self._views = {}

    def output_format(self, format: VideoFormat) -> VideoFormat:
        """The same, but for passes: these are numbers, to be read as they are, or what a film can hold of them."""
        if self.options.show == "reaged":
            return format
        as_film = self.options.show_as == "film"
        transfer = format.color.transfer if as_film else "linear"
        color = ColorInfo(format.color.primaries, transfer, "gbr", "full")
        return replace(format, pixel=PixelFormat("rgb", 10 if as_film else 32), color=color)

    def process(self, batch: FrameBatch, values: Values) -> Tensor | tuple[Tensor, Tensor]:
        """Change the core frames; the mask says where. Or what `show` asks for."""
        pixels = batch.pixels[batch.core]
        matte = torch.zeros((len(pixels), 1, *pixels.shape[2:]), device=pixels.device)
        result, mask = self._changed(batch, values, matte)
        if self.options.show == "reaged":
            return result, mask
        if self.options.show == "delta":
            delta = result - pixels
            return 0.5 + delta / 2 if self.options.show_as == "film" else delta
        return (matte.clamp(max=1) if self.options.show == "matte" else mask.float()).expand(-1, 3, -1, -1).contiguous()

    def _changed(self, batch: FrameBatch, values: Values, matte: Tensor) -> tuple[Tensor, Tensor]:
        """The core frames, and where they were changed; how far a change is let through is noted in the matte."""
        pixels = batch.pixels[batch.core]
        mask = torch.zeros((len(pixels), 1, *pixels.shape[2:]), dtype=torch.bool, device=pixels.device)
        told = {**self.options.model_dump(), **values, "seed": self._seed}
        strength = Keyed.parse(told["strength"], 0, 2, "a strength")
        if strength.is_nought or not told.get("actor"):
            return pixels, mask
        self._forget(batch, told)
        paths = {n: _Path(told, n, batch.format) for n in told["actor"]}
        core = range(*batch.core.indices(len(batch.pts)))
        self._look(batch, paths, core, told)
        result = pixels.clone()
        for place, n in enumerate(core):
            share = strength.at(_seconds(batch, n, told), batch.format.frame_rate)
            for number, path in paths.items():
                weight = share * path.weight(batch.pts[n])
                if weight > 0:
                    planes = (result[place], mask[place, 0], matte[place, 0])
                    self._change(planes, number, path, batch.pts, n, weight)
        return result, mask

    @property
    def _seed(self) -> int:
        """The same in all shots, another for another actor."""
        return zlib.crc32(repr((self.options.actor, self.options.at)).encode()) % 1000

    def _forget(self, batch: FrameBatch, told: dict[str, Any]) -> None:
        """Let go of views that cannot be used again."""
        settings = repr((batch.shot, batch.format, {name: told.get(name) for name in (*self.editable, "actor")}))
        if settings != self._settings:
            self._views, self._settings = {}, settings
        here = set(batch.pts)
        self._views = {key: view for key, view in self._views.items() if key[1] in here}

    def _look(self, batch: FrameBatch, paths: dict[int, _Path], core: range, told: dict[str, Any]) -> None:
        """Crops and deltas of every face in every frame that is needed, all in one call of the engine."""
        assert self._engine is not None
        needed = sorted({m for n in core for m in range(n - _REACH, n + _REACH + 1)} & set(range(len(batch.pts))))
        jobs: dict[int, list[tuple[int, int, Array]]] = {}
        for number, path in paths.items():
            side = self._engine.side(path.eye_distance)
            for n in needed:
                if batch.valid[n] and path.has(batch.pts[n]) and (number, batch.pts[n]) not in self._views:
                    matrix = matrix_of(path.similarity(batch.pts[n]), side, self._engine.framing, path.aspect)
                    jobs.setdefault(side, []).append((number, n, matrix))
        to = Keyed.parse(told["to"], 0, OLDEST, "an age")
        zones = parse_zones(told["zone"])
        for side, listed in jobs.items():
            crops = torch.stack([cropped(batch.pixels[n], matrix, side) for _, n, matrix in listed])
            points = np.stack([paths[number].points_in(batch.pts[n], matrix) for number, n, matrix in listed])
            seconds = [_seconds(batch, n, told) for _, n, _ in listed]
            rate = batch.format.frame_rate
            faces = Faces(
                degrained(crops), torch.from_numpy(points).to(crops),
                torch.full((len(listed),), _age(told)).to(crops),
                torch.tensor([to.at(time, rate) for time in seconds]).to(crops),
                [_wishes(told, {z: k.at(time, rate) for z, k in zones.items()}) for time in seconds],
            )  # fmt: skip
            deltas = self._engine.deltas(faces)
            for (number, n, matrix), crop, delta in zip(listed, crops, deltas, strict=True):
                look = paths[number].look
                cover = None if look is None else covered(crop, look)
                self._views[number, batch.pts[n]] = View(matrix, crop, delta, cover)

    def _change(
        self, planes: tuple[Tensor, Tensor, Tensor], number: int, path: _Path, pts: Sequence[int], n: int, weight: float
    ) -> None:
        """Add one face's delta to one (3, H, W) frame, in place; mask and matte, (H, W), follow."""
        result, mask, matte = planes
        view = self._views[number, pts[n]]
        side = view.delta.shape[-1]
        place = place_of(view.matrix, side, result.shape[1], result.shape[2])
        if place is None:
            return
        near = range(max(0, n - _REACH), min(len(pts), n + _REACH + 1))
        views = {m - n: self._views[number, pts[m]] for m in near if (number, pts[m]) in self._views}
        delta = steadied(view, [(abs(away), other) for away, other in views.items() if away])
        shown = framed(side, result.device)
        covers = {away: other.cover for away, other in views.items() if other.cover is not None}
        if covers:
            shown = shown * (1 - enlarged_mask(lasting(covers), side).to(shown))
        back = put_back(torch.cat((delta * shown, shown[None])), view.matrix, place)
        rows, columns = place.slices
        change = weight * back[:3]
        where = change.abs().amax(0) > _LEAST
        result[:, rows, columns] += torch.where(where, change, 0.0)
        mask[rows, columns] |= where
        matte[rows, columns] = torch.maximum(matte[rows, columns], weight * back[3].clamp(min=0))


class _Path:
    """Where one face is, by pts, in the frames that the stage sees."""

    def __init__(self, told: Values, number: int, format: VideoFormat) -> None:
        self._rows = np.asarray(told["arrays"][f"face-{number}"], np.float64)
        first, stop = told["faces"][number]["frames"]
        self._pts = np.asarray(told["arrays"]["pts"])[first:stop]
        self.aspect = float(format.sample_aspect)
        width, height = told["size"]
        self._points = self._rows[:, 4:].reshape(-1, 5, 2) * (format.width / width, format.height / height)
        self._similarities = similarities(self._points, self.aspect)
        arrays = told["arrays"]
        names = [f"look-{number}-{name}" for name in Look._fields]
        self.look = Look(*(np.asarray(arrays[name], np.float32) for name in names)) if names[0] in arrays else None
        self.eye_distance = float(np.median(np.hypot(self._similarities[:, 2], self._similarities[:, 3])))

    def _row(self, pts: int) -> int:
        return int(np.searchsorted(self._pts, pts))

    def has(self, pts: int) -> bool:
        row = self._row(pts)
        return row < len(self._pts) and int(self._pts[row]) == pts

    def weight(self, pts: int) -> float:
        return float(self._rows[self._row(pts), 0]) if self.has(pts) else 0.0

    def similarity(self, pts: int) -> Array:
        return np.asarray(self._similarities[self._row(pts)])

    def points_in(self, pts: int, matrix: Array) -> Array:
        """(5, 2) pixels of the crop."""
        return applied(inverse(matrix), self._points[self._row(pts)])


def _seconds(batch: FrameBatch, n: int, told: Values) -> Fraction:
    """From the film's first frame."""
    return (batch.pts[n] - int(told.get("zero", 0))) * batch.format.time_base


def _age(told: Values) -> float:
    """In the film, years."""
    return float(told["from_age"] or told.get("age") or _USUAL_AGE)


def _wishes(told: Values, zones: dict[str, float]) -> Wishes:
    return Wishes(
        float(told["wrinkles"]), float(told["skin"]), float(told["shape"]), float(told["hair"]), told["hair_color"],
        told["brow_color"], zones, int(told["seed"]),
    )  # fmt: skip
