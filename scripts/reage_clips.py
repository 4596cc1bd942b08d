"""Re-ageing films: how steady it is, whom it touches, whom it finds, how fast it is.

Steadiness is measured on real clips; what must stay untouched on films made here of portraits, where it is known.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import torch
from reage_measures import change_along_motion, face_units, skin
from reage_stage import Workbench, decoded
from torch import Tensor

from restore.faces.yunet import YuNetDetector

FROM, TO = 55.0, 25.0
CLIPS = ("orig.mp4", "studio_feature_bw.mp4", "asl/book.mkv", "carphone_pristine.mp4")
_TALKING = "orig.mp4"
_SMALL, _LENGTHS = "carphone_pristine.mp4", (12, 120)
_STILL_FRAMES = 48
_HAND_FRAMES, _HAND_AT = 44, 30
"""Of the film with the hand, and when it is there."""


def _yunet(material: Path) -> str:
    return str(material / "weights" / "yunet_n_640_640.onnx")


def steady_rows(model: str, material: Path, frames: int) -> Iterator[str]:
    """The delta's change along motion in real clips."""
    for name in CLIPS:
        path = material / "video" / name
        if not path.is_file():
            continue
        bench = Workbench(model, _yunet(material))
        clip = list(decoded(path, frames, start=30))
        plan = bench.study(clip)
        detector = YuNetDetector(Path(_yunet(material)))
        changes, sizes, earlier = [], [], None
        for frame, done in zip(clip, bench.render(clip, plan, FROM, TO), strict=True):
            delta = done.pixels - frame
            [*found] = detector.find(_eight(frame))[:1]
            if earlier is not None and found:
                where = skin(frame, found[0].points)
                if (where & done.mask.numpy()).sum() > 100:
                    where &= done.mask.numpy()
                    changes.append(change_along_motion((earlier[0], frame), (earlier[1], delta), where))
                    sizes.append(float(delta.abs().mean(0).numpy()[where].mean() * 255))
            earlier = (frame, delta)
        mean = float(np.mean(changes)) if changes else float("nan")
        size = float(np.mean(sizes)) if sizes else 0.0
        yield f"| delta's change along motion, {name} (of a delta of {size:.1f}/255) | 1/255 | {mean:.2f}/255 |"


def still_rows(model: str, material: Path) -> Iterator[str]:
    """Points followed on a face that stands still under grain, 48 frames: a portrait of 512 pixels."""
    still = next(iter(_stills(material, 1)))
    generator = torch.Generator().manual_seed(5)
    shaking = [still + 0.012 * torch.randn(still.shape, generator=generator) for _ in range(_STILL_FRAMES)]
    points = _points(Workbench(model, _yunet(material)).study(shaking))
    away = np.sqrt(np.square(points - points.mean(0)).sum(-1).mean())
    step = np.sqrt(np.square(np.diff(points, axis=0)).sum(-1).mean())
    yield (f"| points of a still face under grain, RMS from frame to frame (about their mean) | 0.3 px "
           f"| {step:.3f} px ({away:.2f} px) |")  # fmt: skip


def _points(plan: dict[str, object]) -> np.ndarray:
    """(frames, 5, 2) of the first of the actor's faces."""
    actor, arrays = plan["actor"], plan["arrays"]
    assert isinstance(actor, list)
    assert isinstance(arrays, dict)
    rows = np.asarray(arrays[f"face-{actor[0]}"], np.float64)
    return rows[:, -10:].reshape(-1, 5, 2)


def _stills(material: Path, count: int) -> Iterator[Tensor]:
    for path in sorted((material / "images" / "senate_1024").glob("*.jpg"))[3 : 3 + count]:
        picture = cv2.resize(cv2.imread(str(path)), (512, 512), interpolation=cv2.INTER_AREA)[..., ::-1].copy()
        yield torch.from_numpy(picture).permute(2, 0, 1).float() / 255


def _eight(frame: Tensor) -> np.ndarray:
    return (frame.clamp(0, 1) * 255 + 0.5).byte().permute(1, 2, 0).contiguous().numpy()


def only_rows(model: str, material: Path) -> Iterator[str]:
    """Two people of whom one is meant; something skin-coloured that passes before a face."""
    left, right = _stills(material, 2)
    both = torch.cat((left, right), 2)
    film = [both.roll(n, 2) for n in range(6)]
    detector = YuNetDetector(Path(_yunet(material)))
    heads = []
    for side, still in enumerate((left, right)):
        x, y, _ = face_units(detector.find(_eight(still))[0].points, *still.shape[1:])
        head = torch.zeros(both.shape[1:], dtype=torch.bool)
        head[:, side * 512 : (side + 1) * 512] = torch.from_numpy(np.hypot(x / 1.4, (y - 0.2) / 1.9) < 1)
        heads.append(head)
    bench = Workbench(model, _yunet(material))
    for actor in ("1", "2"):
        plan = bench.study(film, actor)
        touched, outside = [0, 0], 0
        for n, (frame, done) in enumerate(zip(film, bench.render(film, plan, FROM, TO, actor=actor), strict=True)):
            changed = (done.pixels != frame).any(0)
            outside += int((changed & ~done.mask).sum())
            touched = [
                count + int((changed & head.roll(n, 1)).sum()) for count, head in zip(touched, heads, strict=True)
            ]
        yield (f"| two people, person {actor} meant: pixels changed on the one head and on the other | one of them 0 "
               f"| {max(touched)}; {min(touched)} |")  # fmt: skip
        yield f"| changed outside the mask, {len(film)} frames | 0 | {outside} |"
    yield from _hand_rows(model, material)


def hand_film(material: Path) -> tuple[list[Tensor], list[np.ndarray], np.ndarray]:
    """A hand of the face's own skin, its forehead's colour with folds, passes over mouth and cheek; where it is wholly
    (H, W) in each frame; where the face's skin is."""
    still = next(iter(_stills(material, 1)))
    points = YuNetDetector(Path(_yunet(material))).find(_eight(still))[0].points
    x, y, unit = face_units(points, *still.shape[1:])
    forehead = still[:, (np.abs(y + 0.75) < 0.15) & (np.abs(x) < 0.4)].mean(1)
    noise = torch.randn(still.shape[1:], generator=torch.Generator().manual_seed(2))
    texture = torch.from_numpy(cv2.GaussianBlur(noise.numpy(), (0, 0), 0.03 * unit)) * 0.35
    film, hands = [], []
    for n in range(_HAND_FRAMES):
        # It comes from the right, halts over the cheek, and goes again.
        away = max(0.3, 0.3 + 0.3 * (abs(n - _HAND_AT) - 2))
        reach = 0.55 - np.hypot((x - away) / 1.1, (y - 0.85) / 0.9)
        hand = 1 / (1 + np.exp(np.clip(-30 * reach, -50, 50)))
        shade = forehead[:, None, None] * (0.92 + texture.roll(round(away * unit), 1))
        film.append(torch.lerp(still, shade, torch.from_numpy(hand.astype(np.float32))))
        hands.append(hand > 0.98)
    return film, hands, skin(still, points)


def _hand_rows(model: str, material: Path) -> Iterator[str]:
    """How much is added to the hand, and to the same places before it comes."""
    film, hands, face = hand_film(material)
    bench = Workbench(model, _yunet(material))
    plan = bench.study(film)
    free = (next(bench.render(film, plan, FROM, TO, core=range(4, 5))).pixels - film[4]).abs().mean(0).numpy()
    covered, bare = [], []
    core = range(_HAND_AT - 4, _HAND_AT + 5)
    for n, done in zip(core, bench.render(film, plan, FROM, TO, core=core), strict=True):
        where = hands[n] & face
        if where.sum() > 200:
            covered.append(float((done.pixels - film[n]).abs().mean(0).numpy()[where].mean() * 255))
            bare.append(float(free[where].mean() * 255))
    yield (f"| delta on a hand before the face (the same places without it: {np.mean(bare):.1f}/255) | none "
           f"| {np.mean(covered):.2f}/255 |")  # fmt: skip


def coverage_rows(model: str, material: Path) -> Iterator[str]:
    """A talking man, found with Haar cascades alone; and what else is taken for him."""
    path = material / "video" / _TALKING
    bench = Workbench(model, "haar")
    plan = bench.study(decoded(path, height=540), "1")
    total = int(plan["length"]) if "length" in plan else sum(1 for _ in decoded(path, height=64))
    weight = np.zeros(total)
    for face in plan["actor"]:
        first, stop = plan["faces"][face]["frames"]
        rows = np.asarray(plan["arrays"][f"face-{face}"], np.float64)
        weight[first:stop] = np.maximum(weight[first:stop], rows[: stop - first, 0])
    yield (f"| {_TALKING}, Haar alone: frames with the face changed (at half strength or more) | 95 % "
           f"| {100 * np.mean(weight > 0):.1f} % ({100 * np.mean(weight >= 0.5):.1f} %) |")  # fmt: skip
    detector = YuNetDetector(Path(_yunet(material)))
    wrong = looked = 0
    for n, frame in enumerate(decoded(path, height=540)):
        if n % 10:
            continue
        boxes = [face.box for face in detector.find(_eight(frame))]
        for face in plan["actor"]:
            first, stop = plan["faces"][face]["frames"]
            if first <= n < stop:
                rows = np.asarray(plan["arrays"][f"face-{face}"], np.float64)
                middle = rows[n - first, -10:].reshape(5, 2).mean(0)
                looked += 1
                wrong += not any(((middle > box[:2]) & (middle < box[:2] + box[2:])).all() for box in boxes)
    yield f"| the same, faces changed that are none ({looked} looked at) | 0 | {wrong} |"


def memory_rows(model: str, material: Path) -> Iterator[str]:
    """The most memory that `restore reage` takes on a short clip and on one ten times as long."""
    most = [_run(model, material / "video" / _SMALL, count).memory for count in _LENGTHS]
    first, second = (f"{memory / 2**20:.0f} MiB" for memory in most)
    yield f"| {_SMALL}, {_LENGTHS[0]} frames and {_LENGTHS[1]}: peak memory | flat | {first}, {second} |"


def speed_rows(model: str, material: Path, frames: int) -> Iterator[str]:
    """`restore reage` itself on a talking man, 1080x1080: wall and processor time beyond starting up."""
    took = [_run(model, material / "video" / _TALKING, count) for count in (8, 8 + frames)]
    wall, work = took[1].wall - took[0].wall, took[1].work - took[0].work
    processors = os.cpu_count() or 1
    yield (f"| {_TALKING}, 1080x1080, decode to encode, {processors} processors (each further frame: "
           f"{work / frames:.2f} s of processor) | 3 frames/s | {frames / wall:.2f} frames/s |")  # fmt: skip


class _Took(NamedTuple):
    """What a run of the command took."""

    wall: float
    """Seconds."""
    work: float
    """Seconds of processor."""
    memory: int
    """Bytes, at most."""


def _run(model: str, source: Path, frames: int) -> _Took:
    """The command itself over a film's first frames."""
    with tempfile.TemporaryDirectory() as folder:
        clip, target = Path(folder) / "clip.mp4", Path(folder) / "out.mp4"
        _cut(source, clip, frames)
        started = time.perf_counter()
        run = subprocess.Popen(
            [sys.executable, "-m", "restore", "reage", str(clip), str(target), "--from", f"{FROM:g}", "--to", f"{TO:g}",
             "--model", model, "--detector", "haar", "--test-material", "a benchmark on published test footage",
             "-q", "--no-report"],
        )  # fmt: skip
        _, status, used = os.wait4(run.pid, 0)
        run.returncode = os.waitstatus_to_exitcode(status)
        if run.returncode:
            raise SystemExit(f"restore reage: exit status {run.returncode}")
    return _Took(time.perf_counter() - started, used.ru_utime + used.ru_stime, used.ru_maxrss * 1024)


def _cut(source: Path, target: Path, frames: int) -> None:
    """The film's first frames, encoded almost without loss."""
    import av

    with av.open(str(source)) as film, av.open(str(target), "w") as out:
        shown = film.streams.video[0]
        size = {"width": shown.width, "height": shown.height, "pix_fmt": "yuv420p"}
        stream = out.add_stream("libx264", rate=shown.average_rate, options={"crf": "8"}, **size)
        for number, frame in enumerate(film.decode(video=0)):
            if number == frames:
                break
            out.mux(stream.encode(frame.reformat(format="yuv420p")))
        out.mux(stream.encode())
