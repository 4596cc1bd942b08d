"""Finding the colours of a shot: what a person named, what a network proposes, carried to every frame."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import torch

from restore.analysis.flow import Small
from restore.analysis.tint import Tint, measure_tint
from restore.errors import SourceError
from restore.frames import FrameBatch, Shot, VideoFormat
from restore.pipeline.contract import Analyzer, Device, Values
from restore.pipeline.index import FrameIndex
from restore.stages.colorize import chroma
from restore.stages.colorize.enlarge import plan_size, reduced
from restore.stages.colorize.follow import Paint
from restore.stages.colorize.guidance import Guidance, picture_tensor
from restore.stages.colorize.keyframes import ChangeChooser
from restore.stages.colorize.known import Person, marks_anchor, region_anchor
from restore.stages.colorize.layers import Known, spread
from restore.stages.colorize.marks import Hint, Place, rgb_of
from restore.stages.colorize.proposals import Proposals
from restore.stages.colorize.records import Records
from restore.times import format_time

_LOOKS = 8
"""Frames of a shot in which its own chroma is measured."""
_REACHED = 0.97
"""Share of a shot's picture that a person's colours must reach for nothing to be proposed."""

_HALF_LOST = 0.3
"""Trust in a still's colours below which proposals begin to show through."""


@dataclass
class _Seen:
    """A shot as it is watched."""

    shot: Shot
    format: VideoFormat
    size: tuple[int, int]
    pts: list[int]
    luma: Records
    looks: list[tuple[torch.Tensor, torch.Tensor]]
    chooser: ChangeChooser
    keys: list[int]
    """Frames that stand for those after them."""

    def picture(self, number: int) -> Small:
        """The plan's picture of a frame, by number from the shot's first."""
        return np.asarray(self.luma[number])


class ColorAnalyzer(Analyzer):
    """Keeps a small picture of every frame; at the shot's end, makes anchors and follows them."""

    sees = "input"

    def __init__(self, guidance: Guidance, proposals: Proposals | None, recolor: bool) -> None:
        self._guidance, self._proposals, self._recolor = guidance, proposals, recolor
        self._index: FrameIndex | None = None
        self._edits: Values = {}
        self._seen: _Seen | None = None
        self._colours: Records | None = None
        self._soft = False
        """Whether all colours of the shot are proposed."""

    def film(self, index: FrameIndex) -> None:
        """Times of frames."""
        self._index = index

    def heed(self, edits: Values) -> None:
        """What the person set for the next shot."""
        self._edits = edits

    def open(self, device: Device) -> None:
        """Load the network, if one proposes."""
        if self._proposals is not None:
            self._proposals.open(device)

    def begin(self, shot: Shot, format: VideoFormat) -> None:
        """Forget the shot before."""
        if self._seen is not None:
            self._seen.luma.close()
        size = plan_size(format.height, format.width)
        self._seen = _Seen(shot, format, size, [], Records(size, np.uint8), [], ChangeChooser(), [])
        if self._proposals is not None:
            self._proposals.begin(size, format)

    def add(self, batch: FrameBatch) -> None:
        """Keep the frames small, and larger those that stand for others."""
        seen = self._seen
        assert seen is not None
        for place in range(batch.core.start, batch.core.stop):
            luma = batch.planes[0][place : place + 1]
            small = reduced(luma, seen.size)
            picture = (small[0] * 255 + 0.5).clamp(0, 255).to(torch.uint8).cpu().numpy()
            number = len(seen.pts)
            seen.luma[number] = picture
            seen.pts.append(batch.pts[place])
            if number % max(1, len(seen.shot) // _LOOKS) == 0 and len(seen.looks) < _LOOKS:
                seen.looks.append(_look(luma, batch.pixels[place : place + 1]))
            if seen.chooser.wants(number, picture):
                seen.keys.append(number)
                if self._proposals is not None:
                    self._proposals.see(number, luma)

    def finish(self) -> dict[str, Any]:
        """The plan of one shot.

        ``source``: what its own chroma is (neutral, tinted, colour); ``tint``: Cb and Cr at nine levels of luma.
        ``known``: the frames, counted from the shot's first, whose colours a person made known, and of what.
        ``reached``: the share of the picture, 0 to 1, that those reach, on average. ``proposed``: the frames a network
        was asked about. ``palette``: the regions that were locked. The colours themselves are arrays: see `arrays`.
        """
        seen = self._seen
        assert seen is not None
        tint = measure_tint(*(torch.cat(planes) for planes in zip(*seen.looks, strict=True)))
        found: dict[str, Any] = {"source": tint.kind, "size": list(seen.size)}
        if tint.kind == "tinted":
            found["tint"] = [list(level) for level in tint.curve]
        self._refuse_colour(tint)
        return {**found, **self._color()}

    def _refuse_colour(self, tint: Tint) -> None:
        assert self._seen is not None
        if tint.kind != "colour" or self._recolor or self._edits.get("recolor"):
            return
        when = ""
        if self._index is not None:
            first = self._index.pts
            when = f" at {format_time(int(first[self._seen.shot.start] - first[0]) * self._index.time_base)}"
        raise SourceError(
            f"the shot{when} is in colour already; --recolor drops its colours and goes on (edits.json: shot by shot)"
        )

    def _color(self) -> dict[str, Any]:
        seen = self._seen
        assert seen is not None
        count = len(seen.pts)
        person = self._person()
        regions = self._guidance.places_of(seen.shot, self._index)
        if not person.makers and self._proposals is None and not regions:
            return {}  # nobody says anything of this shot: it stays as it is
        colours = self._colours = Records((*seen.size, 3), np.float16)
        reached = 0.0
        if person.makers:
            known = Known(person.numbers, person.anchor, person.proposed)
            for number, paint, trust in spread(known, seen.picture, count):
                if self._proposals is None and person.fades:
                    paint = paint * trust[..., None]
                colours[number] = np.dstack((paint, trust))
                reached += float(trust.mean()) / count
        self._soft = not person.makers and not regions
        facts: dict[str, Any] = {"known": person.facts, "reached": round(reached, 3)}
        if self._proposals is not None and reached < _REACHED:
            facts["proposed"] = self._propose(person)
        elif not person.makers:
            for number in range(count):
                colours[number] = np.zeros((*seen.size, 3), np.float16)
        for region, places in regions.items():
            self._lock(region, places)
            facts.setdefault("palette", []).append(region)
        return facts

    def _person(self) -> Person:
        """What the person says of the shot."""
        seen, guidance = self._seen, self._guidance
        assert seen is not None
        person = Person(seen.picture, seen.format)
        strange = [
            still
            for number, still in guidance.stills_of(seen.shot, self._index, self._edits)
            if not person.add_still(number, still)
        ]
        for number, hints in guidance.hints_of(seen.shot, self._index).items():
            person.add_hints(number, hints)
        stills = strange or guidance.untimed
        if stills and not person.makers:
            person.lend(seen.keys, stills)
        return person

    def _propose(self, person: Person) -> list[int]:
        """Lay proposed colours beneath what the person's do not reach. Returns the frames they were proposed for."""
        seen, proposals, colours = self._seen, self._proposals, self._colours
        assert seen is not None
        assert proposals is not None
        assert colours is not None
        hints = self._guidance.hints_of(seen.shot, self._index) if proposals.takes_hints else {}
        if hints:
            marks = self._followed(hints)
            proposals.ask(seen.picture, lambda number: marks[number].astype(np.float32))
            marks.close()
        else:
            proposals.ask(seen.picture)
        known = Known(proposals.numbers, lambda number: proposals.anchor(number, seen.picture(number)), proposed=True)
        for number, paint, _ in spread(known, seen.picture, len(seen.pts)):
            if person.makers:
                own = colours[number].astype(np.float32)
                # Hints say how far they mean to reach; of stills even what is half lost is nearer than any guess.
                believed = own[..., 2:] if person.fades else np.minimum(1, own[..., 2:] / _HALF_LOST)
                paint = paint + believed * (own[..., :2] - paint)
            colours[number] = np.dstack((paint, np.ones_like(paint[..., 0])))
        return list(proposals.numbers)

    def _followed(self, hints: Mapping[int, Sequence[Hint]]) -> Records:
        """Where the hints lie, as `Proposals.ask` takes them, in the frames that the network is asked about."""
        seen, proposals = self._seen, self._proposals
        assert seen is not None
        assert proposals is not None
        marks, asked = Records((*seen.size, 3), np.float16), set(proposals.numbers)
        known = Known(sorted(hints), lambda number: marks_anchor(hints[number], seen.picture(number), seen.format))
        for number, paint, trust in spread(known, seen.picture, len(seen.pts)):
            if number in asked:
                marks[number] = paint * trust[..., None]
        return marks

    def _lock(self, region: str, places: Mapping[int, Sequence[Place]]) -> None:
        """Give a region of the palette its colour in every frame."""
        seen, colours, palette = self._seen, self._colours, self._guidance.palette
        assert seen is not None
        assert colours is not None
        assert palette is not None
        color, weights = rgb_of(palette.colors[region]), chroma.weights_of(seen.format)
        known = Known(
            sorted(places), lambda n: region_anchor(self._guidance, places[n], seen.picture(n), seen.format)
        )  # fmt: skip
        for number, mask, _ in spread(known, seen.picture, len(seen.pts)):
            own = colours[number].astype(np.float32)
            paint = chroma.of_paint(picture_tensor(seen.picture(number)), color, weights)[0].permute(1, 2, 0).numpy()
            own[..., :2] += mask * (paint - own[..., :2])
            colours[number] = own

    def arrays(self) -> Iterator[tuple[str, npt.NDArray[Any]]]:
        """Chroma of each frame, named by its pts: (2, h, w) int8, Cb and Cr in steps of 1/254.

        At half the size where it is all proposed: those colours are soft, and the plan takes a third of the room.
        """
        seen, colours = self._seen, self._colours
        if seen is None or colours is None:
            return
        for number, pts in enumerate(seen.pts):
            paint: Paint = colours[number][..., :2].astype(np.float32)
            if self._soft:
                half = (max(1, seen.size[1] // 2), max(1, seen.size[0] // 2))
                paint = np.asarray(cv2.resize(paint, half, interpolation=cv2.INTER_AREA), np.float32)
            yield str(pts), chroma.stored(torch.from_numpy(paint).permute(2, 0, 1)).numpy()
        seen.luma.close()
        colours.close()
        if self._proposals is not None:
            self._proposals.close()
        self._seen = self._colours = None


def _look(luma: torch.Tensor, planes: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """(1, 1, 96, 96) luma and (1, 2, 96, 96) chroma of a frame, for its tint."""
    size = (96, 96)
    return (
        torch.nn.functional.interpolate(luma.unsqueeze(1), size, mode="area").cpu(),
        torch.nn.functional.interpolate(planes, size, mode="area").cpu(),
    )
