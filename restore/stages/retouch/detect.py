"""Finding damage in one picture, without neighbours: thin lines in any direction, and specks.

A line is what is lighter (or darker) than *both* its sides, over a stretch along it: the response is averaged along
sixteen directions, so that a scratch shows through texture and an edge, which has two different sides, does not. A
speck is what an opening (or closing) takes away. What sticks out of the unrest around it becomes a patch, and every
patch is judged by what it measures (`judge`): wires, hair, window bars and print are lines too.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from restore.analysis.flow import Plane

Mask = npt.NDArray[np.bool_]
Labels = npt.NDArray[np.int32]

DIRECTIONS = 16
_LINE = 21
"""Length along which a line's response is averaged, in pixels of the working size."""
_WIDTHS = (2.0, 4.0)
"""How far from its middle the sides of a line are looked at."""
WORKING = 720
"""Shorter side of the picture in which damage is sought; a larger one is reduced."""


@dataclass(frozen=True, slots=True)
class Responses:
    """How a picture sticks out of its surroundings with one sign, nominally [0, 1]."""

    line: Plane
    speck: Plane
    fine: Plane
    """As `line`, but not averaged along it: what a pixel itself sticks out by."""


def _shifted(picture: Plane, dx: float, dy: float) -> Plane:
    height, width = picture.shape
    matrix = np.array([[1, 0, dx], [0, 1, dy]], np.float32)
    moved = cv2.warpAffine(
        picture, matrix, (width, height), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_REFLECT
    )
    return np.asarray(moved, np.float32)


def _kernel(angle: float) -> npt.NDArray[np.float32]:
    half = _LINE // 2
    y, x = np.mgrid[-half : half + 1, -half : half + 1]
    away = np.abs(-x * np.sin(angle) + y * np.cos(angle))
    kernel = np.clip(1 - away, 0, 1) * (np.hypot(x, y) <= half)
    return np.asarray(kernel / kernel.sum(), np.float32)


def responses(luma: Plane, sign: int) -> Responses:
    """For lighter (1) or darker (-1) damage."""
    here = luma * np.float32(sign)
    soft = cv2.GaussianBlur(here, (0, 0), 0.7)
    line, fine = np.zeros_like(here), np.zeros_like(here)
    for number in range(DIRECTIONS):
        angle = np.pi * number / DIRECTIONS
        nx, ny = -np.sin(angle), np.cos(angle)
        best = np.zeros_like(here)
        for away in _WIDTHS:
            sides = np.maximum(_shifted(soft, away * nx, away * ny), _shifted(soft, -away * nx, -away * ny))
            best = np.maximum(best, soft - sides)
        # A bright bead does not make a line: no pixel counts for more than a tenth of the range.
        line = np.maximum(line, cv2.filter2D(np.minimum(best, 0.1), -1, _kernel(angle), borderType=cv2.BORDER_REFLECT))
        fine = np.maximum(fine, best)
    disk = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (9, 9))
    opened = cv2.morphologyEx(soft, cv2.MORPH_OPEN, disk, borderType=cv2.BORDER_REFLECT)
    return Responses(line, np.asarray(soft - opened, np.float32), fine)


def unrest(plane: Plane) -> Plane:
    """What is usual around each pixel: the mean over a wide square."""
    side = max(31, min(plane.shape) // 8) | 1
    return np.asarray(cv2.blur(plane, (side, side), borderType=cv2.BORDER_REFLECT), np.float32)


@dataclass(frozen=True, slots=True)
class Patches:
    """Candidates of one kind and sign: their labels from 1, and what is measured of each (a row a label)."""

    labels: Labels
    table: npt.NDArray[np.float64]
    sign: int


def _hysteresis(plane: Plane, sure: Plane, faint: Plane, least: int) -> tuple[Labels, int]:
    """Connected stretches above `faint` that hold a pixel above `sure` and have at least so many pixels."""
    lax = (plane > faint).astype(np.uint8)
    number, labels, stats, _ = cv2.connectedComponentsWithStats(lax, connectivity=8)
    keep = np.zeros(number, bool)
    keep[labels[plane > sure]] = True
    keep &= stats[:, cv2.CC_STAT_AREA] >= least
    keep[0] = False
    names = np.zeros(number, np.int32)
    names[keep] = np.arange(1, int(keep.sum()) + 1)
    return np.asarray(names[labels], np.int32), int(keep.sum()) + 1


FEATURES = 14


def _measured(labels: Labels, count: int, luma: Plane, found: Plane, usual: Plane, sign: int) -> npt.NDArray[np.float64]:
    """(count, FEATURES): see the names below. Row 0, the background, means nothing."""
    table = np.zeros((count, FEATURES))
    white = float(np.quantile(luma * sign, 0.98))
    everywhere = cv2.blur((labels > 0).astype(np.float32), (81, 81), borderType=cv2.BORDER_REFLECT)
    gradient = np.hypot(cv2.Sobel(luma, cv2.CV_32F, 1, 0), cv2.Sobel(luma, cv2.CV_32F, 0, 1)) / 8
    stats = cv2.connectedComponentsWithStats((labels > 0).astype(np.uint8), connectivity=8)
    boxes = _boxes(labels, count)
    del stats
    for label in range(1, count):
        y0, y1, x0, x1 = boxes[label]
        pad = 6
        box = (slice(max(0, y0 - pad), y1 + pad), slice(max(0, x0 - pad), x1 + pad))
        own = labels[box] == label
        ring = cv2.dilate(own.astype(np.uint8), np.ones((11, 11), np.uint8)).astype(bool)
        ring &= ~cv2.dilate(own.astype(np.uint8), np.ones((5, 5), np.uint8)).astype(bool)
        ys, xs = np.nonzero(own)
        area = len(ys)
        (_, (w, h), _) = cv2.minAreaRect(np.stack((xs, ys), 1).astype(np.float32))
        length, thick = max(w, h) + 1, min(w, h) + 1
        inside, around = luma[box][own] * sign, luma[box][ring] * sign
        if not len(around):
            around = inside
        contrast = float(inside.mean() - around.mean())
        table[label] = (
            np.log(area), np.log(length), np.log(thick), np.log(area / length),
            contrast, float(np.log(found[box][own].mean() / (usual[box][own].mean() + 2e-3))),
            float(around.std()), float(inside.std()), contrast / (float(around.std()) + 0.02),
            float(inside.mean() - white), float(np.quantile(around, 0.9) - inside.mean()),
            float(everywhere[box][own].mean()), float(gradient[box][ring].mean()),
            float(usual[box][own].mean()),
        )  # fmt: skip
    return table


def _boxes(labels: Labels, count: int) -> npt.NDArray[np.intp]:
    """(count, 4): first and last row and column of each label, ends exclusive."""
    boxes = np.zeros((count, 4), np.intp)
    ys, xs = np.nonzero(labels)
    names = labels[ys, xs]
    for column, values, reduce, start in ((0, ys, np.minimum, 1 << 30), (2, xs, np.minimum, 1 << 30)):
        low = np.full(count, start)
        reduce.at(low, names, values)
        boxes[:, column] = low
        high = np.zeros(count, np.intp)
        np.maximum.at(high, names, values)
        boxes[:, column + 1] = high + 1
    return boxes


def candidates(luma: Plane) -> dict[str, list[Patches]]:
    """Lines and specks of both signs, of a picture at working size."""
    result: dict[str, list[Patches]] = {"line": [], "speck": []}
    for sign in (1, -1):
        found = responses(luma, sign)
        usual = unrest(found.line)
        labels, count = _hysteresis(found.line, np.maximum(0.022, 2.5 * usual), np.maximum(0.012, 1.6 * usual), 14)
        # The averaged response is blunt at the ends and beside the line: keep what sticks out by itself.
        own = found.fine > np.maximum(0.012, 0.35 * cv2.dilate(found.fine, np.ones((5, 5), np.uint8)))
        labels = np.where(own, labels, 0).astype(np.int32)
        result["line"].append(Patches(labels, _measured(labels, count, luma, found.line, usual, sign), sign))
        usual = unrest(found.speck)
        labels, count = _hysteresis(found.speck, np.maximum(0.07, 4 * usual), np.maximum(0.03, 2 * usual), 2)
        result["speck"].append(Patches(labels, _measured(labels, count, luma, found.speck, usual, sign), sign))
    return result
