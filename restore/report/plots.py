"""Plots of what the analyses found, as PNG: the brightness that deflicker evens, the path that stabilize smooths.

Matplotlib is imported when something is plotted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from restore.files import whole

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Floats = npt.NDArray[np.float64]

_FOUND, _COURSE, _AFTER = "#9a9a9a", "#d08020", "#1f5fa8"
_INCHES = (12.0, 3.2)
"""Width, and height of each panel."""


@dataclass(frozen=True)
class ShotValues:
    """What rendering is told of one shot by one stage, and when the shot begins and ends, in seconds."""

    start: float
    end: float
    times: Floats
    """Of the frames that the values name, in seconds."""
    values: Mapping[str, Any]


def flicker_curves(values: Mapping[str, Any]) -> tuple[Floats, Floats, Floats]:
    """Of a shot's frames, mean brightness (display values): as found, its smooth course, and after correction."""
    found = np.asarray(values["brightness"], np.float64)
    full = np.zeros_like(found)
    if "tones" in values:
        levels = np.asarray(values["levels"], np.float64)
        full = np.array([np.interp(b, levels, row) for b, row in zip(found, values["tones"], strict=True)])
    return found, found * np.exp(full), found * np.exp(full * float(values.get("strength", 1.0)))


def weave_path(values: Mapping[str, Any]) -> tuple[Floats, Floats]:
    """Of a shot's frames, (N, 2) where the picture lies right of and below the first: as found, and afterwards."""
    path = np.asarray(values["path"], np.float64)
    return path, path + float(values.get("strength", 1.0)) * np.asarray(values["shift"], np.float64)


def plot_flicker(shots: Sequence[ShotValues], path: Path) -> bool:
    """Draw the brightness of every shot that was corrected. False, and no file, where none was."""
    drawn = [shot for shot in shots if "brightness" in shot.values]

    def draw(axes: Sequence[Axes]) -> None:
        for number, shot in enumerate(drawn):
            found, course, after = flicker_curves(shot.values)
            named = ("as found", "after", "smooth course") if not number else (None, None, None)
            axes[0].plot(shot.times, 100 * found, color=_FOUND, lw=0.9, label=named[0])
            axes[0].plot(shot.times, 100 * after, color=_AFTER, lw=1.2, label=named[1])
            axes[0].plot(shot.times, 100 * course, "--", color=_COURSE, lw=1.0, label=named[2])
        axes[0].set_ylabel("mean brightness, %")

    return _plot(shots, drawn, 1, "Brightness, frame by frame", draw, path)


def plot_weave(shots: Sequence[ShotValues], path: Path) -> bool:
    """Draw the path of every shot that was steadied. False, and no file, where none was."""
    drawn = [shot for shot in shots if "shift" in shot.values]

    def draw(axes: Sequence[Axes]) -> None:
        for number, shot in enumerate(drawn):
            found, after = weave_path(shot.values)
            for axis, ax in enumerate(axes):
                ax.plot(shot.times, found[:, axis], color=_FOUND, lw=0.9, label=None if number else "as found")
                ax.plot(shot.times, after[:, axis], color=_AFTER, lw=1.2, label=None if number else "after")
        for ax, way in zip(axes, ("right", "down"), strict=True):
            ax.set_ylabel(f"{way}, pixels")

    return _plot(shots, drawn, 2, "Where the picture lies, beside its shot's first frame", draw, path)


PLOTS: dict[str, Callable[[Sequence[ShotValues], Path], bool]] = {"deflicker": plot_flicker, "stabilize": plot_weave}
"""By stage."""


def _plot(
    shots: Sequence[ShotValues], drawn: Sequence[ShotValues], panels: int, title: str,
    draw: Callable[[Sequence[Axes]], None], path: Path,
) -> bool:  # fmt: skip
    if not drawn:
        return False
    from matplotlib.figure import Figure

    figure = Figure((_INCHES[0], 0.6 + _INCHES[1] * panels), layout="constrained")
    axes = [figure.add_subplot(panels, 1, number + 1) for number in range(panels)]
    draw(axes)
    for ax in axes:
        for shot in shots[1:]:
            ax.axvline(shot.start, color="#dddddd", lw=0.8, zorder=0)
        ax.set_xlim(shots[0].start, shots[-1].end)
        ax.spines[["top", "right"]].set_visible(False)
    axes[0].set_title(title, loc="left", fontsize=11)
    axes[0].legend(loc="lower right", bbox_to_anchor=(1, 1), frameon=False, ncols=3, fontsize=9)
    axes[-1].set_xlabel("seconds; cuts are light lines, shots without a curve were left alone")
    _save(figure, path)
    return True


def _save(figure: Figure, path: Path) -> None:
    with whole(path) as file:
        figure.savefig(file, format="png", dpi=120)
