"""Portraits, how old they are, and what an engine makes of them."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from reage_ages import AgeEstimator
from reage_measures import Array, amount_at_texture, identity, texture_kept
from reage_peers import PEERS
from reage_stage import Workbench
from scipy.stats import spearmanr
from torch import Tensor

from restore.errors import OptionError, RestoreError
from restore.faces.yunet import YuNetDetector

HELD_BACK = 10
"""One portrait in so many of the training folder is fitted and trained on by nobody."""
ASKED = tuple(range(20, 90, 10))
_TAKEN = 2019
"""About when the portraits were taken; nobody says."""


def usable(row: Mapping[str, str], train: Path) -> bool:
    """Whether a row of portraits.csv has a date of birth and its picture is there."""
    return bool(row["date_of_birth"]) and (train / row["file"]).is_file()


def held_back(files: Sequence[str]) -> set[str]:
    """Which of a training folder's usable portraits are kept for measuring."""
    return set(sorted(files)[::HELD_BACK])


@dataclass(frozen=True)
class Still:
    """One portrait."""

    name: str
    picture: Tensor
    """(3, H, W) R'G'B'."""
    age: float
    """About, from the date of birth; 50 where that is not known."""
    box: Array
    points: Array
    plan: dict[str, Any]
    """What the stage found."""


def portraits(kind: str, test: Path, train: Path) -> Iterator[tuple[str, Path, float | None]]:
    """Name, file and age of the portraits of a set: ``test``, or ``held-back``."""
    if kind == "test":
        with (test / "images" / "us-senate.csv").open(newline="", encoding="utf-8") as file:
            born = {Path(row["photo_url"]).stem: row["date_of_birth"] for row in csv.DictReader(file)}
        for path in sorted((test / "images" / "senate_1024").glob("*.jpg")):
            yield path.stem, path, _age(born.get(path.stem, ""))
        for path in sorted((test / "images" / "reaging_faces").glob("*.png")):
            yield path.stem, path, None
        return
    with (train / "portraits.csv").open(newline="", encoding="utf-8") as file:
        rows = {row["file"]: row["date_of_birth"] for row in csv.DictReader(file) if usable(row, train)}
    for name in sorted(held_back(list(rows))):
        yield Path(name).stem, train / name, _age(rows[name])


def _age(born: str) -> float | None:
    return _TAKEN - int(born[:4]) if born else None


def load(
    kind: str, test: Path, train: Path, bench: Workbench, limit: int | None = None, every: int = 1,
    without: frozenset[str] = frozenset(),
) -> Iterator[Still]:  # fmt: skip
    """The portraits in which the stage finds a face, but for some."""
    detector = YuNetDetector(test / "weights" / "yunet_n_640_640.onnx")
    for number, (name, path, age) in enumerate(portraits(kind, test, train)):
        if name in without or number % every or (limit is not None and number // every >= limit):
            continue
        picture = cv2.imread(str(path), cv2.IMREAD_COLOR)[..., ::-1].copy()
        found = detector.find(picture)
        still = torch.from_numpy(picture).permute(2, 0, 1).float() / 255
        try:
            plan = _studied(bench, still)
        except RestoreError as error:
            print(f"<!-- {name}: {error} -->")
            continue
        if found:
            yield Still(name, still, age or 50.0, found[0].box, found[0].points, plan)


def _studied(bench: Workbench, still: Tensor) -> dict[str, Any]:
    """The plan for the only, or the first, face."""
    try:
        return bench.study([still])
    except OptionError:
        return bench.study([still], "1")


def edited(bench: Workbench, still: Still, source: float, target: float) -> Tensor:
    """(3, H, W), not clamped."""
    return next(bench.render([still.picture], still.plan, source, target)).pixels


@dataclass
class Measured:
    """One portrait under one engine; changes are against the estimated age of the portrait itself."""

    name: str
    true: float
    seen: float
    follows: float
    """Spearman's correlation of asked and estimated ages."""
    change: dict[int, float]
    """Years, by years asked for: -30 and 30."""
    texture: dict[int, float]
    identity: dict[int, float]
    peers: dict[str, dict[int, tuple[float, float]]]
    """Years and texture of each, at about the engine's texture."""


def measure(still: Still, bench: Workbench, estimator: AgeEstimator, peers: dict[str, Workbench]) -> Measured:
    """All that is measured on a portrait."""
    years: Callable[[Tensor], float] = lambda picture: estimator.years(picture, still.box)  # noqa: E731
    seen = years(still.picture)
    found = Measured(still.name, still.age, seen, 0.0, {}, {}, {}, {name: {} for name in peers})
    estimates = [years(edited(bench, still, still.age, asked)) for asked in ASKED]
    found.follows = float(spearmanr(ASKED, estimates).statistic) if len(set(estimates)) > 1 else 0.0
    deltas = {name: edited(peer, still, 60.0, 30.0) - still.picture for name, peer in peers.items()}
    for asked in (-30, 30):
        source = still.age if still.age + asked > 0 else 31.0
        picture = edited(bench, still, source, source + asked)
        found.change[asked] = years(picture) - seen
        found.texture[asked] = texture_kept(still.picture, picture, still.points)
        found.identity[asked] = identity(still.picture, picture, still.points)
        for name, delta in deltas.items():
            low, high = (0.0, 1.0) if asked < 0 else (-2.0, 0.0)
            amount = amount_at_texture(still.picture, delta, still.points, found.texture[asked])
            equal = still.picture + float(np.clip(amount, low, high)) * delta
            found.peers[name][asked] = (years(equal) - seen, texture_kept(still.picture, equal, still.points))
    return found


def _kept(path: Path | None) -> dict[str, Measured]:
    """What an interrupted run measured, by name."""
    if path is None or not path.exists():
        return {}
    found = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        values = json.loads(line)
        for name in ("change", "texture", "identity"):
            values[name] = {int(asked): value for asked, value in values[name].items()}
        values["peers"] = {peer: {int(asked): tuple(pair) for asked, pair in pairs.items()}
                           for peer, pairs in values["peers"].items()}  # fmt: skip
        found[values["name"]] = Measured(**values)
    return found


def _measured(
    stills: Iterator[Still], keep: Path | None, bench: Workbench, estimator: AgeEstimator, peers: dict[str, Workbench]
) -> Iterator[Measured]:
    """Each portrait measured, and noted at once in the file where one is given."""
    for still in stills:
        one = measure(still, bench, estimator, peers)
        if keep is not None:
            with keep.open("a", encoding="utf-8") as file:
                file.write(json.dumps(asdict(one)) + "\n")
        yield one


def rows(
    kind: str, model: str, test: Path, train: Path, limit: int | None, every: int, keep: Path | None = None
) -> Iterator[str]:
    """The table's lines about faces; what stands in `keep` is not measured again."""
    detector = str(test / "weights" / "yunet_n_640_640.onnx")
    bench, estimator = Workbench(model, detector), AgeEstimator(test / "weights")
    peers = {peer.name: Workbench(model, detector, peer()) for peer in PEERS}
    before = _kept(keep)
    stills = load(kind, test, train, bench, limit, every, frozenset(before))
    found = [*before.values(), *_measured(stills, keep, bench, estimator, peers)]
    if not found:
        raise SystemExit(f"there are no faces in the set '{kind}'")
    median = lambda values: float(np.median(list(values)))  # noqa: E731
    true, seen = [m.true for m in found], [m.seen for m in found]
    if len(found) > 2:
        close = np.corrcoef(true, seen)[0, 1]
        yield f"| portraits; the estimator's correlation with their dates of birth | | {len(found)}; {close:.2f} |"
    follows = median(m.follows for m in found)
    yield f"| estimated age follows the asked age, 20 to 80 (Spearman, median) | 0.9 | {follows:.2f} |"
    for asked, least in ((-30, "8 younger"), (30, "10 older")):
        change, texture = median(m.change[asked] for m in found), median(m.texture[asked] for m in found)
        what = f"{abs(asked)} years {'younger' if asked < 0 else 'older'}"
        yield f"| asked {what}: estimated (median) | {least} | {change:+.1f} |"
        yield f"| {what}: the finest skin band keeps | 70 % | {100 * texture:.0f} % |"
        for name in peers:
            years = median(m.peers[name][asked][0] for m in found)
            kept = median(m.peers[name][asked][1] for m in found)
            yield f"| {what}: {name} at equal texture | must lose | {years:+.1f} ({100 * kept:.0f} %) |"
        most = [max(np.sign(asked) * p[asked][0] for p in m.peers.values()) for m in found]
        won = sum(np.sign(asked) * m.change[asked] > other for m, other in zip(found, most, strict=True))
        yield f"| {what}: portraits on which it changes more than both | | {won} of {len(found)} |"
        same = [m.identity[asked] for m in found]
        yield f"| {what}: SSIM of eyes, nose, mouth (median; lowest) | 0.85 | {median(same):.3f}; {min(same):.3f} |"
