"""The rendering half of `refade`: a curve each for red, green and blue, the same for all frames of a shot."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from pydantic import TypeAdapter, ValidationError

from restore.errors import OptionError
from restore.frames import FrameBatch, VideoFormat
from restore.pipeline.contract import Analyzer, Device, Finding, Stage, Values
from restore.stages.refade.analysis import FadeAnalyzer
from restore.stages.refade.estimate import settled
from restore.stages.refade.options import RefadeOptions

_CURVES = ("red", "green", "blue", "tone")
_CURVE: TypeAdapter[list[float]] = TypeAdapter(list[float])


class Refade(Stage[RefadeOptions]):
    """Levels, contrast and balance from the plan. Window 0."""

    name = "refade"
    domain = "rgb"
    film_wide = True
    editable: ClassVar[frozenset[str]] = frozenset({"strength", "keep_tint", *_CURVES})

    def analyzer(self) -> Analyzer:
        """What finds the fading."""
        return FadeAnalyzer()

    def settle(self, found: Sequence[Values]) -> list[dict[str, Any]]:
        """One correction a reel; see `settled`."""
        return settled(found, self.options.sensitivity)

    def idle(self, values: Values) -> bool:
        """Where the film is not faded."""
        return not float(values["strength"]) or not any(_curves(values))

    def findings(self, values: Values) -> tuple[Finding, ...]:
        """Fading, if it is corrected."""
        amount = float(values.get("amount", 0.0))
        left = f"{100 * float(values.get('left', 1.0)):.0f} % of the dyes left"
        return (Finding("fading", left, 3 * amount),) if amount else ()

    def checked_edit(self, changes: Values) -> dict[str, Any]:
        """As for every stage; curves are checked for their form."""
        curves = {name: _checked(name, changes[name]) for name in _CURVES if name in changes}
        rest = {name: value for name, value in changes.items() if name not in curves}
        return {**super().checked_edit(rest), **curves}

    def open(self, device: Device, format: VideoFormat) -> None:
        """Nothing to load."""

    def process(self, batch: FrameBatch, values: Values) -> torch.Tensor | tuple[torch.Tensor, torch.Tensor]:
        """Correct the core frames; a shot that is not faded comes back bit for bit."""
        pixels = batch.pixels[batch.core]
        strength = float(values["strength"])
        curves = _curves(values)
        if not strength or not any(curves):
            return pixels, torch.zeros((len(pixels), 1, *pixels.shape[2:]), dtype=torch.bool, device=pixels.device)
        result = pixels.clone()
        for channel, curve in enumerate(curves):
            if curve:
                result[:, channel] = _through(curve, pixels[:, channel])
        return torch.lerp(pixels, result, strength)


def _curves(values: Values) -> list[list[float] | None]:
    """Of red, green and blue; None where one stays as it is."""
    return [values.get(name) for name in (("tone",) * 3 if values["keep_tint"] else _CURVES[:3])]


def _through(curve: list[float], values: torch.Tensor) -> torch.Tensor:
    """Values through a curve over evenly spaced levels from 0 to 1; beyond, as far off as they were."""
    nodes = torch.tensor(curve, dtype=values.dtype, device=values.device)
    inside = values.clamp(0, 1)
    place = inside * (len(curve) - 1)
    low = place.floor().clamp(max=len(curve) - 2)
    first = low.to(torch.int64)
    return torch.lerp(nodes[first], nodes[first + 1], place - low) + (values - inside)


def _checked(name: str, value: Any) -> list[float]:
    try:
        curve = _CURVE.validate_python(value)
    except ValidationError:
        curve = []
    if len(curve) < 2 or not all(-1 <= level <= 2 for level in curve):
        raise OptionError(
            f"refade: {name}: write a list of two or more values in [0, 1], for levels from black to white"
        )
    return curve
