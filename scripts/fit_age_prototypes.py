"""Measure what age does to faces: the small table of the engine `sift`.

    python scripts/fit_age_prototypes.py ../shared/train --out models/reage-sift/reage-sift.safetensors

Age prototypes as in D. M. Burt, D. I. Perrett, "Perception of age in adult Caucasian male faces", Proc. R. Soc. B 259
(1995), and B. Tiddeman, M. Burt, D. Perrett, "Prototyping and transforming facial textures for perception research",
IEEE CG&A 21(5), 2001: average shape, colour and amplitude of each frequency band as functions of age. Instead of
averages of age groups they are smooth curves, fitted robustly to all portraits at once, with sex, smile and the
sharpness of each photograph as further causes, which are then left out.

The folder holds ``portraits.csv`` (file, date_of_birth, gender, lap) and the pictures. They were taken about 2013 to
2020, when is not recorded: the middle of that is assumed, which blurs ages by two years. One portrait in ten is kept
for measuring (`reage_stills.held_back`).
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt
import torch
from reage_stills import held_back
from safetensors.numpy import save_file

from restore.analysis.flow import flow_between
from restore.faces.detect import choose_detector
from restore.stages.reage.alignment import FRAMING, cropped, matrix_of, similarities
from restore.stages.reage.bands import EDGES, bands_of, luma_of
from restore.stages.reage.look import flattened
from restore.stages.reage.prototypes import (
    GRID,
    NODES,
    SHAPE_GRID,
    TONE,
    age_features,
    amplitudes,
    basis,
    hair_measures,
)
from restore.stages.reage.zones import skin_place

Array = npt.NDArray[np.float64]

SIDE = 448
_TAKEN = 2016.5
_STIFF = 60.0
"""Penalty on bends of a curve over age; in portraits."""
_ROUNDS = 4


class Portraits(NamedTuple):
    """What is known of the pictures, (N, ...) each."""

    crops: npt.NDArray[np.uint8]
    points: Array
    """(N, 5, 2) eye distances."""
    ages: Array
    female: Array
    sharpness: Array
    """Logarithm of the variance of the Laplacian, as the material states it."""


def read(folder: Path, detector: str) -> Portraits:
    looking = choose_detector(detector)
    kept = []
    with (folder / "portraits.csv").open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if (folder / row["file"]).is_file()]
    kept_back = held_back([row["file"] for row in rows])
    rows = [row for row in rows if row["date_of_birth"] and row["file"] not in kept_back]
    for row in rows:
        picture = np.ascontiguousarray(cv2.imread(str(folder / row["file"]))[..., ::-1])
        found = looking.find(picture)
        if not found:
            continue
        face = max(found, key=lambda face: face.box[2])
        similarity = similarities(face.points[None])[0]
        matrix = matrix_of(similarity, SIDE)
        crop = cropped(torch.from_numpy(picture).permute(2, 0, 1).float() / 255, matrix, SIDE)
        eight = (crop.permute(1, 2, 0) * 255 + 0.5).clamp(0, 255).to(torch.uint8).numpy()
        year, month, _ = (int(part) for part in row["date_of_birth"].split("-"))
        x, y, cosine, sine = similarity
        turn = np.array([(cosine, sine), (-sine, cosine)]) / (cosine**2 + sine**2)
        points = (face.points - (x, y)) @ turn.T
        kept.append((eight, points, _TAKEN - year - month / 12, row["gender"] == "female", np.log(float(row["lap"]))))
    crops, points, ages, female, sharpness = (np.stack(column) for column in zip(*kept, strict=True))
    return Portraits(crops, points, ages, female.astype(float), sharpness)


def causes(portraits: Portraits, *more: Array) -> Array:
    """(N, K): what else makes pictures differ, each with mean 0."""
    smile = portraits.points[:, 4, 0] - portraits.points[:, 3, 0]
    turned = portraits.points[:, 2, 0]
    columns = [portraits.female, smile, turned, turned**2, *more]
    return np.stack([column - column.mean() for column in columns], 1)


def curves(ages: Array, others: Array, values: Array) -> Array:
    """(nodes, ...) of (N, ...) values: their course over age, other causes left out; Huber's weights against outliers.

    P. J. Huber, "Robust Estimation of a Location Parameter", 1964.
    """
    design = np.concatenate((basis(ages), others), 1)
    bends = np.zeros((len(NODES) - 2, design.shape[1]))
    for row in range(len(bends)):
        bends[row, row : row + 3] = (1, -2, 1)
    penalty = _STIFF * bends.T @ bends + 1e-3 * np.eye(design.shape[1])
    flat = values.reshape(len(values), -1)
    result = np.empty((len(NODES), flat.shape[1]))
    for first in range(0, flat.shape[1], 4096):
        part = flat[:, first : first + 4096]
        weights = np.ones_like(part)
        for _ in range(_ROUNDS):
            normal = np.einsum("nk,np,nl->pkl", design, weights, design, optimize=True) + penalty
            right = np.einsum("nk,np->pk", design, weights * part)
            found = np.linalg.solve(normal, right[..., None])[..., 0]
            away = np.abs(part - design @ found.T)
            spread = 1.4826 * np.median(away, axis=0) + 1e-9
            weights = np.minimum(1, 1.3 * spread / np.maximum(away, 1e-9))
        result[:, first : first + 4096] = found[:, : len(NODES)].T
    return result.reshape(len(NODES), *values.shape[1:])


def log_colours(crops: npt.NDArray[np.uint8], side: int) -> Array:
    """(N, side, side, 3): logarithms of luma, and of red and blue over luma."""
    small = np.stack([cv2.resize(crop, (side, side), interpolation=cv2.INTER_AREA) for crop in crops])
    rgb = small.astype(np.float64) / 255
    luma = rgb @ (0.2126, 0.7152, 0.0722)
    tone = np.log(luma + TONE)
    return np.stack((tone, np.log(rgb[..., 0] + TONE) - tone, np.log(rgb[..., 2] + TONE) - tone), -1)


def registered(crops: npt.NDArray[np.uint8], side: int = 128, rounds: int = 3) -> tuple[Array, Array]:
    """How each face's shape differs from the mean's, (N, side, side, 2) eye distances, and the mean, (side, side)."""
    grey = np.stack([cv2.resize(cv2.cvtColor(c, cv2.COLOR_RGB2GRAY), (side, side), interpolation=cv2.INTER_AREA)
                     for c in crops])  # fmt: skip
    flat = np.stack([flattened(g.astype(np.float32)) for g in grey])
    mean, flows = flat.mean(0), np.zeros((len(crops), side, side, 2), np.float32)
    y, x = np.mgrid[0:side, 0:side].astype(np.float32)
    for _ in range(rounds):
        eight = np.clip(mean, 0, 255).astype(np.uint8)
        for place, face in enumerate(flat):
            flow = flow_between(eight, np.clip(face, 0, 255).astype(np.uint8), fine=True)
            flows[place] = cv2.GaussianBlur(flow, (0, 0), side / 22)
        flows -= np.median(flows, axis=0)
        brought = [
            cv2.remap(f, x + w[..., 0], y + w[..., 1], cv2.INTER_LINEAR) for f, w in zip(flat, flows, strict=True)
        ]
        mean = np.mean(brought, axis=0)
    return flows.astype(np.float64) / (FRAMING.distance * side), mean


def moved_to_mean(colours: Array, shapes: Array) -> Array:
    """Colours of each face where the mean face has them."""
    side = colours.shape[1]
    y, x = np.mgrid[0:side, 0:side].astype(np.float32)
    unit = FRAMING.distance * side
    result = np.empty_like(colours)
    for place, (colour, shape) in enumerate(zip(colours, shapes, strict=True)):
        flow = cv2.resize(shape.astype(np.float32), (side, side)) * unit
        result[place] = cv2.remap(colour.astype(np.float32), x + flow[..., 0], y + flow[..., 1], cv2.INTER_LINEAR)
    return result


def measures(portraits: Portraits) -> tuple[Array, Array]:
    """(N, zones, bands, 2) logarithms of amplitudes, and (N, 4) of hair: see `restore.stages.reage.prototypes`."""
    found, hair = [], []
    for crop, points in zip(portraits.crops, portraits.points, strict=True):
        rgb = torch.from_numpy(crop).permute(2, 0, 1).float()[None] / 255
        where = torch.from_numpy(points).float()[None]
        bands = bands_of((luma_of(rgb) + TONE).log(), FRAMING.distance * SIDE)
        found.append(amplitudes(bands, rgb, where)[0].numpy())
        hair.append(hair_measures(rgb, where)[0].numpy())
    return np.stack(found).astype(np.float64), np.stack(hair).astype(np.float64)


def age_features_of(portraits: Portraits) -> Array:
    rows = [
        age_features(
            torch.from_numpy(crop).permute(2, 0, 1).float()[None] / 255, torch.from_numpy(points).float()[None]
        )
        for crop, points in zip(portraits.crops, portraits.points, strict=True)
    ]
    return torch.cat(rows).double().numpy()


def predicted(features: Array, ages: Array, folds: int = 10) -> tuple[float, float, Array, Array]:
    """Correlation and mean error of ages predicted in cross-validation by ridge regression; and the whole fit."""
    mean, spread = features.mean(0), features.std(0) + 1e-9
    scaled = (features - mean) / spread

    def fitted(x: Array, y: Array) -> Array:
        both = np.concatenate((x, np.ones((len(x), 1))), 1)
        ridge = 60.0 * np.eye(both.shape[1])
        ridge[-1, -1] = 0
        return np.asarray(np.linalg.solve(both.T @ both + ridge, both.T @ y))

    guess, part = np.empty(len(ages)), np.random.default_rng(0).permutation(len(ages)) % folds
    for fold in range(folds):
        away = fitted(scaled[part != fold], ages[part != fold])
        guess[part == fold] = scaled[part == fold] @ away[:-1] + away[-1]
    whole = fitted(scaled, ages)
    weights = whole[:-1] / spread
    return (
        float(np.corrcoef(guess, ages)[0, 1]),
        float(np.abs(guess - ages).mean()),
        weights,
        whole[-1] - weights @ mean,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--detector", default="auto")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    torch.set_num_threads(1)
    portraits = read(args.folder, args.detector)
    print(f"{len(portraits.ages)} portraits, ages {np.percentile(portraits.ages, (0, 10, 50, 90, 100)).round()}")
    shapes, mean = registered(portraits.crops)
    colours = moved_to_mean(log_colours(portraits.crops, GRID), shapes)
    x, y = FRAMING.units(GRID)
    skin = skin_place(x.expand(GRID, GRID), y.expand(GRID, GRID)).double().numpy()
    level = np.einsum("nijc,ij->nc", colours, skin) / skin.sum()
    others = causes(portraits)
    colour_curves = curves(portraits.ages, others, colours - level[:, None, None])
    level_curves = curves(portraits.ages, others, level)
    coarse = np.stack([cv2.resize(s.astype(np.float32), (SHAPE_GRID, SHAPE_GRID), interpolation=cv2.INTER_AREA)
                       for s in shapes]).astype(np.float64)  # fmt: skip
    shape_curves = curves(portraits.ages, others, coarse)
    # Faces are alike on both sides; chance is not.
    colour_curves = (colour_curves + colour_curves[:, :, ::-1]) / 2
    shape_curves = (shape_curves + shape_curves[:, :, ::-1] * (-1, 1)) / 2
    found, hair = measures(portraits)
    sharp = causes(portraits, portraits.sharpness, found[:, -1, 0].mean(-1))
    band_curves = curves(portraits.ages, sharp, found[:, :-1])
    hair_curves = curves(portraits.ages, others, hair)
    features = age_features_of(portraits)
    correlation, error, weights, constant = predicted(features, portraits.ages)
    print(f"age from the measures, cross-validated: correlation {correlation:.2f}, mean error {error:.1f} years")
    for name, at in zip(("fine", "lines", "wrinkles", "folds", "blotches"), range(len(EDGES)), strict=True):
        rise = band_curves[5, :, at] - band_curves[1, :, at]
        print(f"35 to 75, {name}: darker {np.exp(rise[:, 0]).round(2)} lighter {np.exp(rise[:, 1]).round(2)}")
    print("hair, 25 to 85:\n", hair_curves.round(2), "\nskin:\n", level_curves.round(3))
    args.out.parent.mkdir(parents=True, exist_ok=True)
    table = {
        "mean": mean.astype(np.float16), "colours": colour_curves.transpose(0, 3, 1, 2).astype(np.float16),
        "level": level_curves.astype(np.float32), "shape": shape_curves.transpose(0, 3, 1, 2).astype(np.float16),
        "bands": band_curves.astype(np.float32), "hair": hair_curves.astype(np.float32),
        "age_weights": weights.astype(np.float32), "age_constant": np.array([constant], np.float32),
    }  # fmt: skip
    save_file({name: np.ascontiguousarray(value) for name, value in table.items()}, args.out)


if __name__ == "__main__":
    main()
