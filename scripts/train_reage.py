"""Train our own re-ageing network, reage-fran, with the engine `sift` as its teacher. See docs/training.md.

    python scripts/train_reage.py --data PICTURES --teach           # crops, and what the teacher would add to them
    python scripts/train_reage.py --data PICTURES --minutes 60      # interrupt it whenever you like; --resume goes on
    python scripts/train_reage.py --publish reage-fran

The teacher sees clean portraits; the network sees them turned, moved, toned, grey, soft, grainy and compressed, and
shall say the same: so it knows wrinkles under grain. A second view of each, moved a little, with other grain, is where
the network must say the same as in the first: the temporal term.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from reage_stills import held_back, usable
from safetensors.torch import save_file
from torch import Tensor, nn
from train_colorize import Muon

from restore.damage.compression import jpeg
from restore.damage.grain import film_grain, luma
from restore.damage.optics import convolve, gaussian_kernel
from restore.errors import RestoreError
from restore.faces.detect import choose_detector
from restore.nets.fran import ReagingUNet
from restore.pipeline.contract import Device
from restore.stages.reage.alignment import cropped, inverse, matrix_of, similarities
from restore.stages.reage.engines import Engine, Faces, Wishes, choose_engine
from restore.stages.reage.fran import SIDE

ROOT = Path(__file__).resolve().parent.parent
TAUGHT = 256
"""Pixels of the crops that the teacher sees; the network sees them reduced to `SIDE`."""
TARGETS = 6
"""Ages that the teacher makes of each portrait, spread over these:"""
YOUNGEST, OLDEST = 12.0, 90.0
_TAKEN = 2017
_DOUBT = 4.0
"""Years by which a portrait's age may be told wrongly."""
_SCALE = 16.0
"""What errors are multiplied with: deltas are small."""


# Crops and the teacher's answers


def detected(folder: Path, rows: list[dict[str, str]], detector_name: str) -> dict[str, list[Any]]:
    """Aligned crops (3, TAUGHT, TAUGHT) of 8 bits, points in them, ages, names."""
    detector, engine = choose_detector(detector_name), choose_engine("sift")
    found: dict[str, list[Any]] = {"crops": [], "points": [], "ages": [], "files": []}
    for row in rows:
        picture = cv2.imread(str(folder / row["file"]), cv2.IMREAD_COLOR)
        if picture is None:
            continue
        picture = picture[..., ::-1].copy()
        faces = detector.find(picture)
        if not faces:
            continue
        matrix = matrix_of(similarities(faces[0].points[None])[0], TAUGHT, engine.framing)
        crop = cropped(torch.from_numpy(picture).permute(2, 0, 1).float() / 255, matrix, TAUGHT)
        back = inverse(matrix)
        found["crops"].append((crop.clamp(0, 1) * 255).round().byte().numpy())
        found["points"].append(faces[0].points @ back[:, :2].T + back[:, 2])
        found["ages"].append(_TAKEN - int(row["date_of_birth"][:4]))
        found["files"].append(row["file"])
    return found


def teach(args: argparse.Namespace) -> None:
    """Write crops, ages and the teacher's deltas to the folder."""
    args.folder.mkdir(parents=True, exist_ok=True)
    with (args.data / "portraits.csv").open(newline="", encoding="utf-8") as file:
        rows = sorted((r for r in csv.DictReader(file) if usable(r, args.data)), key=lambda r: r["file"])
    found = detected(args.data, rows, args.detector)
    kept = held_back([row["file"] for row in rows])
    ages = np.array(found["ages"], np.float32)
    random = np.random.default_rng(args.seed)
    sources = (ages[:, None] + random.normal(0, _DOUBT, (len(ages), TARGETS))).astype(np.float32)
    # One in each of as many stretches of life, so that every portrait has all directions.
    stretches = np.linspace(YOUNGEST, OLDEST, TARGETS + 1)
    targets = np.stack([random.uniform(a, b, len(ages)) for a, b in zip(stretches, stretches[1:], strict=False)], 1)
    engine: Engine = choose_engine("sift")
    engine.open(Device(torch.device("cpu"), "fp32"))
    shape = (len(ages), TARGETS, 3, TAUGHT, TAUGHT)
    part = args.folder / "deltas.part"
    deltas = np.lib.format.open_memmap(part, "w+", np.float16, shape)
    started = time.perf_counter()
    for n in range(len(ages)):
        crops = torch.from_numpy(found["crops"][n]).float()[None].expand(TARGETS, -1, -1, -1) / 255
        points = torch.from_numpy(found["points"][n]).float()[None].expand(TARGETS, -1, -1)
        faces = Faces(crops.contiguous(), points.contiguous(), torch.from_numpy(sources[n]),
                      torch.from_numpy(targets[n]).float(), [Wishes()] * TARGETS)  # fmt: skip
        with torch.inference_mode():
            deltas[n] = engine.deltas(faces).numpy()
        if n % 40 == 0:
            print(f"{n} of {len(ages)}, {time.perf_counter() - started:.0f} s", flush=True)
    deltas.flush()
    part.replace(args.folder / "deltas.npy")
    np.savez(
        args.folder / "portraits.npz", crops=np.stack(found["crops"]), sources=sources,
        targets=targets.astype(np.float32), kept=np.array([name in kept for name in found["files"]]),
        files=np.array(found["files"]),
    )  # fmt: skip
    print(f"{len(ages)} portraits, a delta is {float(np.abs(deltas[::7]).mean() * 255):.2f}/255 in the mean")


# What the network is shown


@dataclass
class Lesson:
    """Pairs of views: the first half of each tensor is one view, the second the other."""

    views: Tensor
    """(2 B, 3, S, S)."""
    truth: Tensor
    """(2 B, 3, S, S): the teacher's deltas."""
    source: Tensor
    target: Tensor
    motion: Tensor
    """(B, 2, 3): leads from places in a second view to where they are in the first."""


class Sampler:
    """Portraits with the teacher's deltas, changed at random."""

    def __init__(self, folder: Path, batch: int, seed: int) -> None:
        table = np.load(folder / "portraits.npz")
        self.crops = torch.from_numpy(table["crops"])
        self.deltas = np.load(folder / "deltas.npy", mmap_mode="r")
        self.sources, self.targets = torch.from_numpy(table["sources"]), torch.from_numpy(table["targets"])
        self.kept = torch.from_numpy(table["kept"])
        self.training = (~self.kept).nonzero()[:, 0]
        self.batch, self.random = batch, torch.Generator().manual_seed(seed)

    def uniform(self, low: float, high: float, count: int | None = None) -> Tensor:
        return torch.rand(count or self.batch, generator=self.random) * (high - low) + low

    def draw(self) -> Lesson:
        """Whole faces."""
        chosen = self.training[torch.randint(len(self.training), (self.batch,), generator=self.random)]
        asked = torch.randint(self.targets.shape[1], (self.batch,), generator=self.random)
        clean = self.crops[chosen].float() / 255
        delta = torch.from_numpy(np.stack([self.deltas[n, k] for n, k in zip(chosen, asked, strict=True)])).float()
        clean, delta = self.toned(clean, delta)
        first = self.placements()
        motion = self.motions()
        second = torch.einsum("bij,bjk->bik", first, _square(motion))[:, :2]
        both = torch.cat((clean, delta), 1)
        views = torch.cat([_placed(both, place) for place in (first[:, :2], second)])
        pictures, truth = views[:, :3], views[:, 3:]
        source, target = self.sources[chosen, asked], self.targets[chosen, asked]
        pictures, truth = self.damaged(pictures, truth)
        return Lesson(pictures, truth, source.repeat(2), target.repeat(2), motion)

    def placements(self) -> Tensor:
        """(B, 3, 3): mirrored, turned, nearer or farther, aside."""
        turn, size = self.uniform(-0.06, 0.06), torch.exp(self.uniform(-0.08, 0.08))
        flip = torch.where(self.uniform(0, 1) < 0.5, -1.0, 1.0)
        cosine, sine, zero = size * turn.cos(), size * turn.sin(), torch.zeros(self.batch)
        rows = ((cosine * flip, -sine, self.uniform(-0.05, 0.05)), (sine * flip, cosine, self.uniform(-0.05, 0.05)),
                (zero, zero, zero + 1))  # fmt: skip
        return torch.stack([torch.stack(row, 1) for row in rows], 1)

    def motions(self) -> Tensor:
        """(B, 2, 3): what a head does from one frame to the next: a few pixels, a degree."""
        turn, size = self.uniform(-0.02, 0.02), 1 + self.uniform(-0.015, 0.015)
        cosine, sine = size * turn.cos(), size * turn.sin()
        rows = ((cosine, -sine, self.uniform(-0.03, 0.03)), (sine, cosine, self.uniform(-0.03, 0.03)))
        return torch.stack([torch.stack(row, 1) for row in rows], 1)

    def toned(self, clean: Tensor, delta: Tensor) -> tuple[Tensor, Tensor]:
        """Other exposures, contrasts and casts, what is added likewise; a third of them grey."""
        shape = (self.batch, 1, 1, 1)
        contrast, level = self.uniform(0.65, 1.15).view(shape), self.uniform(-0.08, 0.08).view(shape)
        cast = 1 + 0.06 * torch.randn(self.batch, 3, 1, 1, generator=self.random)
        grey = (self.uniform(0, 1) < 0.33).view(shape)
        clean, delta = contrast * cast * (clean - 0.5) + 0.5 + level, contrast * cast * delta
        return torch.where(grey, luma(clean), clean).clamp(0, 1), torch.where(grey, luma(delta), delta)

    def damaged(self, pictures: Tensor, truth: Tensor) -> tuple[Tensor, Tensor]:
        """Soft (and then the truth likewise), grainy, compressed."""
        seen = []
        for n, picture in enumerate(pictures):
            one = picture[None]
            if float(self.uniform(0, 1, 1)) < 0.3:
                kernel = gaussian_kernel(float(self.uniform(0.4, 1.6, 1)))
                one, truth[n] = convolve(one, kernel), convolve(truth[n : n + 1], kernel)[0]
            if float(self.uniform(0, 1, 1)) < 0.6:
                deviation = 0.003 + 0.03 * float(self.uniform(0, 1, 1)) ** 2
                one = film_grain(one, deviation, float(self.uniform(0, 1, 1)), 0.1, self.random)
            if float(self.uniform(0, 1, 1)) < 0.15:
                one = jpeg(one, int(self.uniform(40, 90, 1)))
            seen.append(one[0])
        return torch.stack(seen), truth


def _square(motion: Tensor) -> Tensor:
    """(B, 3, 3) of (B, 2, 3)."""
    last = torch.tensor((0.0, 0.0, 1.0)).expand(len(motion), 1, 3)
    return torch.cat((motion, last), 1)


def _placed(pictures: Tensor, matrix: Tensor) -> Tensor:
    """Pictures fetched along (B, 2, 3) matrices in units of half their side, at `SIDE`."""
    grid = F.affine_grid(matrix.contiguous(), [len(pictures), 1, SIDE, SIDE], align_corners=False)
    return F.grid_sample(_reduced(pictures), grid, padding_mode="border", align_corners=False)


def _reduced(pictures: Tensor) -> Tensor:
    """From `TAUGHT` to `SIDE`."""
    return F.avg_pool2d(pictures, TAUGHT // SIDE)


# Training


def losses(said: Tensor, lesson: Lesson) -> tuple[Tensor, Tensor, Tensor]:
    """How far from the teacher: pixels, their fine structure; and how far the two views are from each other."""
    error = _SCALE * (said - lesson.truth)
    fine = error - F.avg_pool2d(F.pad(error, (2, 2, 2, 2), mode="replicate"), 5, 1)
    first, second = said.chunk(2)
    grid = F.affine_grid(lesson.motion, list(first.shape), align_corners=False)
    brought = F.grid_sample(first, grid, padding_mode="border", align_corners=False)
    inside = (grid.abs().amax(-1) < 0.95)[:, None]
    changed = _SCALE * (brought - second) * inside
    return _charbonnier(error), _charbonnier(fine), _charbonnier(changed)


def _charbonnier(values: Tensor) -> Tensor:
    return (values.square() + 1e-4).sqrt().mean()


class Training:
    """The network being trained: weights, their running average, optimisers, clock."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.args = args
        self.net = ReagingUNet(args.widths)
        for module in self.net.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, a=0.01)
                nn.init.zeros_(module.bias)  # type: ignore[arg-type]
        nn.init.zeros_(self.net.final_conv.weight)
        self.net.to(memory_format=torch.channels_last)
        self.average = {k: v.detach().clone() for k, v in self.net.state_dict().items()}
        others = ("init_conv.0", "final")
        hidden = [p for name, p in self.net.named_parameters()
                  if p.ndim > 1 and "upsample" not in name and not name.startswith(others)]  # fmt: skip
        chosen = {id(p) for p in hidden}
        rest = [p for p in self.net.parameters() if id(p) not in chosen]
        self.optimisers = {
            "muon": Muon(hidden, lr=args.lr, decay=0.01),
            "adam": torch.optim.AdamW(rest, lr=args.lr / 10, betas=(0.9, 0.98), weight_decay=0.0),
        }
        self.step, self.seconds = 0, 0.0
        self.checkpoint = args.folder / f"{args.name}.pt"
        if args.resume and self.checkpoint.exists():
            state = torch.load(self.checkpoint, weights_only=True)
            self.net.load_state_dict(state["net"])
            self.average = state["average"]
            for name, optimiser in self.optimisers.items():
                optimiser.load_state_dict(state[name])
            self.step, self.seconds = state["step"], state["seconds"]

    def save(self) -> None:
        part = self.checkpoint.with_suffix(".part")
        state = {"net": self.net.state_dict(), "average": self.average, "step": self.step, "seconds": self.seconds}
        torch.save(state | {name: optimiser.state_dict() for name, optimiser in self.optimisers.items()}, part)
        part.replace(self.checkpoint)

    @property
    def done(self) -> float:
        return min(1.0, self.seconds / 60 / self.args.minutes)

    def train_step(self, lesson: Lesson) -> tuple[float, ...]:
        rate = min(1.0, (self.step + 1) / 30) * (0.03 + 0.97 * 0.5 * (1 + math.cos(math.pi * self.done)))
        for name, optimiser in self.optimisers.items():
            for group in optimiser.param_groups:
                group["lr"] = rate * self.args.lr * (1.0 if name == "muon" else 0.1)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            said = self.net(lesson.views, lesson.source, lesson.target).float()
        plain, fine, changed = losses(said, lesson)
        self.net.zero_grad(set_to_none=True)
        (plain + self.args.fine * fine + self.args.steady * changed).backward()
        nn.utils.clip_grad_norm_(self.net.parameters(), 1.0)
        for optimiser in self.optimisers.values():
            optimiser.step()
        decay = min(0.99, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            for key, value in self.net.state_dict().items():
                self.average[key].lerp_(value, 1 - decay)
        self.step += 1
        return float(plain.detach()), float(fine.detach()), float(changed.detach())

    def averaged(self) -> ReagingUNet:
        net = ReagingUNet.from_state(self.average).eval()
        return net.to(memory_format=torch.channels_last)

    @torch.inference_mode()
    def validate(self, sampler: Sampler) -> str:
        """On held-back portraits, clean: the share of the teacher's variance explained, all and fine, by direction."""
        net, kept = self.averaged(), sampler.kept.nonzero()[::3, 0]
        totals = torch.zeros(2, 4)
        for n in kept.tolist():
            asked = torch.tensor((0, sampler.targets.shape[1] - 1))
            crops = _reduced((sampler.crops[n].float() / 255)[None]).expand(2, -1, -1, -1)
            with torch.autocast("cpu", dtype=torch.bfloat16):
                said = net(crops, sampler.sources[n, asked], sampler.targets[n, asked]).float()
            truth = _reduced(torch.from_numpy(np.stack([sampler.deltas[n, k] for k in asked.tolist()])).float())
            fine = [x - F.avg_pool2d(x, 5, 1, 2) for x in (said - truth, truth)]
            for place, values in enumerate((said - truth, truth, *fine)):
                totals[:, place] += values.square().mean((1, 2, 3))
        left, fine_left = totals[:, 0] / totals[:, 1], totals[:, 2] / totals[:, 3]
        both = zip(("younger", "older"), left.tolist(), fine_left.tolist(), strict=True)
        return ", ".join(f"{name}: {1 - a:.3f} explained, {1 - b:.3f} of fine" for name, a, b in both)

    def run(self) -> None:
        args = self.args
        sampler = Sampler(args.folder, args.batch, seed=self.step + args.seed)
        print(f"{len(sampler.training)} to train on, {int(sampler.kept.sum())} held back; "
              f"{sum(p.numel() for p in self.net.parameters())} parameters", flush=True)  # fmt: skip
        last, began, seen = self.seconds, self.seconds, []
        limit = min(60 * args.minutes, began + 60 * args.session)
        while self.seconds < limit:
            started = time.thread_time()
            seen.append(self.train_step(sampler.draw()))
            self.seconds += time.thread_time() - started
            if self.seconds - last >= 60 * args.checkpoint_minutes or self.seconds >= limit:
                self.save()
                last = self.seconds
                means = ", ".join(f"{value:.4f}" for value in np.mean(seen, axis=0))
                print(f"step {self.step} {self.seconds / 60:.1f} min, losses {means}; "
                      f"{self.validate(sampler)}", flush=True)  # fmt: skip
                seen = []


def publish(checkpoint: Path, data: Path, folder: Path) -> None:
    """Write its averaged weights to models/reage-fran, their hash, and whose portraits they learned from."""
    target = ROOT / "models" / "reage-fran"
    target.mkdir(parents=True, exist_ok=True)
    state = torch.load(checkpoint, weights_only=True)["average"]
    path, part = target / "reage-fran.safetensors", target / "reage-fran.part"
    save_file({key: value.half().contiguous() for key, value in state.items()}, part)
    part.chmod(0o644)  # safetensors writes for the owner alone
    part.replace(path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    (target / "SHA256SUMS").write_text(f"{digest}  {path.name}\n", encoding="utf-8")
    table = np.load(folder / "portraits.npz")
    kept = dict(zip(table["files"].tolist(), table["kept"].tolist(), strict=True))
    with (data / "SOURCES.csv").open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["file"] in kept]
    with (target / "SOURCES.csv").open("w", newline="", encoding="utf-8") as file:
        columns = ["file", "licence", "attribution", "source"]
        writer = csv.DictWriter(file, [*columns, "use"], lineterminator="\n")
        writer.writeheader()
        for row in rows:
            use = "choosing and measuring" if kept[row["file"]] else "training"
            writer.writerow({key: row[key] for key in columns} | {"use": use})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with portraits.csv, SOURCES.csv, portraits/")
    parser.add_argument("--teach", action="store_true", help="make crops and the teacher's deltas")
    parser.add_argument("--detector", default="auto", help="what finds faces in the portraits")
    parser.add_argument("--name", default="reage-fran", help="of the checkpoint")
    parser.add_argument("--minutes", type=float, default=60, help="of processor time, over all resumptions")
    parser.add_argument("--session", type=float, default=math.inf, help="minutes, now")
    parser.add_argument("--batch", type=int, default=4, help="faces, each in two views")
    parser.add_argument("--lr", type=float, default=0.01, help="of the hidden layers; a tenth for the others")
    parser.add_argument("--fine", type=float, default=1.0, help="weight of fine structure")
    parser.add_argument("--steady", type=float, default=0.3, help="weight of the temporal term")
    parser.add_argument("--widths", type=int, nargs=5, default=(12, 32, 64, 128, 256))
    parser.add_argument("--checkpoint-minutes", type=float, default=2)
    parser.add_argument("--folder", type=Path, default=ROOT / "training" / "reage")
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--publish", metavar="NAME", help="write this checkpoint's weights to models/reage-fran")
    args = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    torch.manual_seed(args.seed)
    if args.publish:
        publish(args.folder / f"{args.publish}.pt", args.data, args.folder)
    elif args.teach:
        teach(args)
    else:
        if not (args.folder / "portraits.npz").exists():
            raise RestoreError(f"there are no crops in {args.folder}: run with --teach first")
        args.folder.mkdir(parents=True, exist_ok=True)
        Training(args).run()


if __name__ == "__main__":
    main()
