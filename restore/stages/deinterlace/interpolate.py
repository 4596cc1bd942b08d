"""Making the missing lines of a field.

Motion-adaptive, after bwdif (Thomas Mundt, 2016): the spatial and temporal filters of the BBC's Weston three-field
deinterlacer (M. Weston, BBC PH-2071), bounded by yadif's temporal check (Michael Niedermayer).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F

_LOW = (4309 / 8192, 213 / 8192)
_HIGH = (5570 / 8192, 3801 / 8192, 1016 / 8192)
_SPATIAL = (5077 / 8192, 981 / 8192)
_MARGIN = 4


def _line(plane: torch.Tensor, offset: int) -> torch.Tensor:
    """The plane shifted so that line y holds line y + offset; `plane` carries a margin of four lines."""
    height = plane.shape[0] - 2 * _MARGIN
    return plane[_MARGIN + offset : _MARGIN + offset + height]


def _with_margin(plane: torch.Tensor) -> torch.Tensor:
    """Four lines more above and below, mirrored with their parity kept; short planes repeat their edge."""
    mode = "reflect" if plane.shape[0] > _MARGIN else "replicate"
    return F.pad(plane[None, None], (0, 0, _MARGIN, _MARGIN), mode=mode)[0, 0]


def interpolated(
    before: torch.Tensor | None, now: torch.Tensor, after: torch.Tensor | None, keep_top: bool, top_first: bool
) -> torch.Tensor:
    """One plane, (h, w) float32, with one field of `now` kept and the lines between made.

    `before` and `after` are the same plane of the neighbouring frames, None at a shot's edge: then the other neighbour,
    or `now` itself, stands in, and what moves is interpolated from the kept field alone.
    """
    first = keep_top == top_first
    alone = before is None and after is None
    earlier = _with_margin(before if before is not None else (after if after is not None else now))
    later = _with_margin(after if after is not None else (before if before is not None else now))
    current = _with_margin(now)
    # The opposite fields just before and just after the kept one in time.
    past, future = (earlier, current) if first else (current, later)
    made = _spatial(current) if alone else _adaptive(earlier, current, later, past, future)
    result = now.clone()
    start = 1 if keep_top else 0
    result[start::2] = made[start::2]
    return result


def _spatial(current: torch.Tensor) -> torch.Tensor:
    near = _line(current, -1) + _line(current, 1)
    far = _line(current, -3) + _line(current, 3)
    return _SPATIAL[0] * near - _SPATIAL[1] * far


def _adaptive(
    earlier: torch.Tensor, current: torch.Tensor, later: torch.Tensor, past: torch.Tensor, future: torch.Tensor
) -> torch.Tensor:
    above, below = _line(current, -1), _line(current, 1)
    still = (_line(past, 0) + _line(future, 0)) / 2
    moved = (_line(past, 0) - _line(future, 0)).abs()
    moved_before = ((_line(earlier, -1) - above).abs() + (_line(earlier, 1) - below).abs()) / 2
    moved_after = ((_line(later, -1) - above).abs() + (_line(later, 1) - below).abs()) / 2
    leeway = torch.maximum(moved / 2, torch.maximum(moved_before, moved_after))

    up = (_line(past, -2) + _line(future, -2)) / 2 - above
    down = (_line(past, 2) + _line(future, 2)) / 2 - below
    to_above, to_below = still - above, still - below
    highest = torch.maximum(torch.maximum(to_below, to_above), torch.minimum(up, down))
    lowest = torch.minimum(torch.minimum(to_below, to_above), torch.maximum(up, down))
    allowed = torch.maximum(leeway, torch.maximum(lowest, -highest))

    near, far = above + below, _line(current, -3) + _line(current, 3)
    high = (
        _HIGH[0] * (_line(past, 0) + _line(future, 0))
        - _HIGH[1] * (_line(past, -2) + _line(future, -2) + _line(past, 2) + _line(future, 2))
        + _HIGH[2] * (_line(past, -4) + _line(future, -4) + _line(past, 4) + _line(future, 4))
    ) / 4
    mixed = high + _LOW[0] * near - _LOW[1] * far
    edge = (above - below).abs() > moved
    guess = torch.where(edge, mixed, _SPATIAL[0] * near - _SPATIAL[1] * far)
    bounded = torch.maximum(torch.minimum(guess, still + allowed), still - allowed)
    return torch.where(leeway == 0, still, bounded)
