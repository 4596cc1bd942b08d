"""The rendering half of `dedust`: a pure function of five frames and what the plan says of their shot."""

from __future__ import annotations

from typing import Any, ClassVar

import cv2
import numpy as np
import torch

from restore.analysis.drawn import checked_shapes, drawn
from restore.analysis.flow import Picture, Plane, luma_of
from restore.analysis.repaired import handed_back
from restore.frames import FrameBatch, VideoFormat
from restore.pipeline.contract import Analyzer, Device, Finding, Stage, Values, Window
from restore.stages.dedust.analysis import ScratchAnalyzer
from restore.stages.dedust.detect import Limits, Mask, patches
from restore.stages.dedust.fill import Neighbour, fill
from restore.stages.dedust.neighbours import Lumas
from restore.stages.dedust.options import DedustOptions
from restore.stages.dedust.scratches import Beside, Line, mend_scratches, scratch_mask, traced


class Dedust(Stage[DedustOptions]):
    """Repairs dirt on single frames and scratches along a shot; all else stays as it is, to the bit."""

    name = "dedust"
    version = 3
    domain = "rgb"
    needs_progressive = True
    editable: ClassVar[frozenset[str]] = frozenset({"sensitivity", "strength", "dust", "scratches", "lines"})
    timed: ClassVar[frozenset[str]] = frozenset({"add", "forbid"})

    def __init__(self, options: DedustOptions) -> None:
        super().__init__(options)
        self._forget()

    def _forget(self) -> None:
        self._lumas = Lumas()
        self._before: dict[int, tuple[int, Picture, Plane]] = {}
        """By pts: where a frame lay in memory, what keeps it there, and its luma."""

    def __getstate__(self) -> dict[str, Any]:
        # What it remembers only saves time, and cannot be sent to a worker.
        return {**self.__dict__, "_lumas": None, "_before": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._forget()

    def window(self) -> Window:
        """Two frames either side: the neighbours, and what tells whether those spike as well."""
        return Window(2, 2)

    def analyzer(self) -> Analyzer | None:
        """Finds scratches, unless they are not wanted."""
        return ScratchAnalyzer() if self.options.scratches else None

    def checked_edit(self, changes: Values) -> dict[str, Any]:
        """As for every stage; shapes and lines are checked for their form."""
        shapes = {name: checked_shapes(self.name, name, changes[name]) for name in self.timed & changes.keys()}
        lines = {"lines": [Line.parse(line).as_json() for line in changes["lines"]]} if "lines" in changes else {}
        rest = {name: value for name, value in changes.items() if name not in shapes and name not in lines}
        return {**super().checked_edit(rest), **shapes, **lines}

    def idle(self, values: Values) -> bool:
        """Where nothing is to be repaired."""
        told = {**self.options.model_dump(), **values}
        return not told["strength"] and told["show"] != "mask"

    def findings(self, values: Values) -> tuple[Finding, ...]:
        """Scratches; dust is found only when a frame is rendered."""
        count = len(values.get("lines", []))
        return (Finding("scratches", str(count), count / 3),) if count else ()

    def open(self, device: Device, format: VideoFormat) -> None:
        """Start with nothing remembered."""
        self._forget()

    def process(self, batch: FrameBatch, values: Values) -> tuple[torch.Tensor, torch.Tensor]:
        """Repair the core frames; the mask says where."""
        told = {**self.options.model_dump(), **values}
        pixels = batch.pixels.cpu().numpy()
        present = [n for n, valid in enumerate(batch.valid) if valid]
        keys = {n: batch.pts[n] for n in present}
        lumas = self._seen(keys, pixels)
        self._lumas.see([keys[n] for n in present], [lumas[n] for n in present])
        pictures = {keys[n]: pixels[n].transpose(1, 2, 0) for n in present}
        results, masks = [], []
        for n in range(*batch.core.indices(len(batch.pts))):
            picture, mask = self._repaired(keys[n], pictures, lumas[n], told)
            results.append(picture)
            masks.append(mask)
        return handed_back(batch, results, masks, told)

    def _seen(self, keys: dict[int, int], pixels: Picture) -> dict[int, Plane]:
        """Luma of frames of the batch, (N, 3, H, W): most of them, in the same place in memory, the last one had."""
        places = {key: pixels[n].__array_interface__["data"][0] for n, key in keys.items()}
        known = {key: luma for key, (place, _, luma) in self._before.items() if places.get(key) == place}
        lumas = {key: known[key] if key in known else luma_of(pixels[n : n + 1])[0] for n, key in keys.items()}
        self._before = {key: (places[key], pixels, lumas[key]) for key in lumas}
        return {n: lumas[key] for n, key in keys.items()}

    def _repaired(
        self, pts: int, pictures: dict[int, Picture], luma: Plane, told: dict[str, Any]
    ) -> tuple[Picture, Mask]:
        """One frame, repaired, and what was changed."""
        here = pictures[pts]
        untouched = np.zeros(luma.shape, bool)
        if told["strength"] == 0:
            return here, untouched
        lines = [Line.parse(line) for line in told.get("lines", [])] if told["scratches"] else []
        traces = [traced(luma, line, pts) for line in lines]
        scratched = scratch_mask([trace for trace in traces if trace is not None], luma.shape)
        dirt = self._dirt(pts, luma, scratched, told)
        wanted = drawn(told.get("add", []), pts, luma.shape)
        forbidden = drawn(told.get("forbid", []), pts, luma.shape)
        result, changed = here, untouched
        if scratched.any():
            mended, changed = mend_scratches(here, traces, self._beside(pts, pictures, lines))
            changed &= ~forbidden
            result = _kept(mended, here, forbidden)
        if dirt.any() or wanted.any():
            beside = [Neighbour(pictures[there], self._lumas.motion(pts, there)) for there in self._lumas.beside(pts)]
            filled, filled_where = fill(result, (dirt | wanted) & ~forbidden, beside, seed=pts, whole=wanted)
            result = _kept(filled, result, forbidden)
            changed = changed | (filled_where & ~forbidden)
        return result, changed

    def _beside(self, pts: int, pictures: dict[int, Picture], lines: list[Line]) -> list[Beside]:
        """The other frames of the window, and where the scratches run on them."""
        return [
            Beside(
                picture,
                self._lumas.motion(pts, there),
                [traced(self._lumas.luma(there), line, there) for line in lines],
            )
            for there, picture in pictures.items()
            if there != pts and self._lumas.apart(pts, there) <= 2
        ]

    def _dirt(self, pts: int, luma: Plane, scratched: Mask, told: dict[str, Any]) -> Mask:
        lumas = self._lumas
        if not told["dust"] or len(lumas.beside(pts)) < 2:  # of one or two frames none can say which is dirty
            return np.zeros(luma.shape, bool)
        limits = Limits.at(float(told["sensitivity"]), one_sided=lumas.one_sided(pts))
        found = patches(lumas.views(pts), lumas.spikes(pts), limits, lumas.context(pts))
        if scratched.any():
            found &= ~cv2.dilate(scratched.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(bool)
        return found

    def stand_in(self, batch: FrameBatch, values: Values) -> torch.Tensor:
        """The picture as it is: what analyzers of later stages look for is not hidden by dirt."""
        return batch.pixels[batch.core]

    def close(self) -> None:
        """Forget the frames."""
        self._forget()


def _kept(picture: Picture, before: Picture, forbidden: Mask) -> Picture:
    """A repaired picture, as it was where a person forbids repairs."""
    if forbidden.any():
        picture[forbidden] = before[forbidden]
    return picture
