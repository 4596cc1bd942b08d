"""Train our own small networks: reel-x2, reel-x4 and the degradation estimator. See docs/training.md.

    python scripts/train_upscale.py reel-x2 --data PICTURES --steps 12000
    python scripts/train_upscale.py reel-x4 --data PICTURES --steps 6000 --start-from training/reel-x2.safetensors
    python scripts/train_upscale.py reel-degradation --data PICTURES --steps 8000 --patch 64

Interrupt it whenever you like; the same command goes on from `training/NAME.pt`. After its last step the
averaged weights are written to `models/NAME/NAME.safetensors`.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import math
import random
import time
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F
import video_coding
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from restore.damage import Damage, sample_clean, sample_film
from restore.nets.estimator import DegradationNet
from restore.nets.reel import ReelUpscaler

ROOT = Path(__file__).resolve().parent.parent
SCALES = {"reel-x2": 2, "reel-x4": 4, "reel-degradation": 2}
VALIDATION_SHARE = 20  # one file in so many is held back
PORTRAITS = 0.12  # how often a patch comes from a portrait
CODED = 0.15  # how often a patch went through a video encoder
POOL = 100  # pictures that did
CLEAN = 0.5  # how often one of the others is only small, not damaged

Coded = tuple[Tensor, Tensor, Damage, float]
"""Damaged bytes (1, 3, H, W), sharp bytes (1, 3, sH, sW), their damage, and how much coding lost."""


def held_back(name: str) -> bool:
    """Whether a training file is kept for choosing checkpoints; by its name's hash, so always the same ones."""
    return int(hashlib.sha256(name.encode()).hexdigest(), 16) % VALIDATION_SHARE == 0


def rows_used(data: Path) -> list[dict[str, str]]:
    """The rows of SOURCES.csv whose pictures are used: photographs fit for super-resolution, and portraits."""
    with (data / "SOURCES.csv").open(newline="", encoding="utf-8") as file:
        rows = sorted(csv.DictReader(file), key=lambda row: row["file"])
    return [r for r in rows if r["use"].startswith("super-resolution") or r["file"].startswith("portraits/")]


def load_pictures(data: Path) -> dict[str, list[np.ndarray]]:
    """Decode them: {"photos", "portraits", "validation"}, RGB bytes."""
    pictures: dict[str, list[np.ndarray]] = {"photos": [], "portraits": [], "validation": []}
    for row in rows_used(data):
        picture = cv2.imread(str(data / row["file"]), cv2.IMREAD_COLOR)
        if picture is not None and min(picture.shape[:2]) >= 256:
            folder = "validation" if held_back(row["file"]) else row["file"].split("/")[0]
            pictures[folder].append(picture[..., ::-1])
    return pictures


def write_sources(data: Path, path: Path) -> None:
    """Keep the attribution of every picture used beside the weights."""
    with path.open("w", newline="", encoding="utf-8") as file:
        columns = ["file", "licence", "attribution", "source", "use"]
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        for row in rows_used(data):
            use = "choosing the checkpoint" if held_back(row["file"]) else "training"
            writer.writerow({key: row[key] for key in columns[:-1]} | {"use": use})


class CodedPool:
    """Damaged pictures that went through a video encoder: too slow to make patch by patch, so some are kept."""

    def __init__(self, pictures: list[np.ndarray], scale: int, count: int, seed: int) -> None:
        self.random = random.Random(seed)
        self.scale = scale
        window = 96 * max(scale, 3)
        large = [p for p in pictures if min(p.shape[:2]) >= window + 24]
        self.items = [self.make(self.random.choice(large), window) for _ in range(count)]

    def make(self, picture: np.ndarray, window: int) -> Coded:
        """(damaged bytes (1, 3, H, W), sharp bytes (1, 3, sH, sW), damage, compression): the third frame of a pan."""
        rnd = self.random
        damage = replace(sample_film(rnd) if rnd.random() < 0.7 else sample_clean(rnd), jpeg=0)
        dy, dx = rnd.randint(-6, 6), rnd.randint(-6, 6)
        top, left = rnd.randint(12, picture.shape[0] - window - 12), rnd.randint(12, picture.shape[1] - window - 12)
        frames = [picture[y : y + window, x : x + window] for y, x in ((top + i * dy, left + i * dx) for i in range(3))]
        sharp = torch.from_numpy(np.stack(frames)).permute(0, 3, 1, 2)
        small = (damage.apply(sharp.float() / 255, self.scale) * 255).round().byte().permute(0, 2, 3, 1).numpy()
        encoder = rnd.choices(tuple(video_coding.LOST), (6, 2, 2))[0]
        qualities = video_coding.LOST[encoder][0]
        quality = round(qualities[0] + (qualities[-1] - qualities[0]) * rnd.random() ** 1.4)
        coded = video_coding.code(list(small), encoder, quality)[-1]
        pixels = torch.from_numpy(coded).permute(2, 0, 1)[None]
        return pixels, sharp[-1:].clone(), damage, video_coding.compression(encoder, quality)

    def draw(self, patch: int) -> tuple[Tensor, Tensor, Tensor]:
        """(damaged (1, 3, P, P), truth (1, 3, sP, sP), degradation (3,))."""
        return cut(self.random.choice(self.items), self.random, patch, self.scale)


def cut(item: Coded, rnd: random.Random, patch: int, scale: int) -> tuple[Tensor, Tensor, Tensor]:
    """A random patch of a coded picture and its truth."""
    pixels, sharp, damage, lost = item
    top, left = (rnd.randint(0, side - patch) for side in pixels.shape[-2:])
    small = pixels[..., top : top + patch, left : left + patch].float() / 255
    size, top, left = patch * scale, top * scale, left * scale
    truth = damage.toned(sharp[..., top : top + size, left : left + size].float() / 255)
    turns = rnd.randrange(4)
    blur, noise, _ = damage.degradation
    small, truth = (torch.rot90(t, turns, (2, 3)) for t in (small, truth))
    return small, truth, torch.tensor([blur, noise * (1 - lost), lost])  # encoders take grain for waste


class Sampler:
    """Random patches, damaged, with their truth and degradation vectors."""

    def __init__(
        self, pictures: dict[str, list[np.ndarray]], scale: int, patch: int, batch: int, *, seed: int, clean: float
    ) -> None:
        self.clean = clean
        self.photos, self.portraits = pictures["photos"], pictures["portraits"]
        self.weights = np.cumsum([p.shape[0] * p.shape[1] for p in self.photos]).tolist()
        self.scale, self.patch, self.batch = scale, patch, batch
        self.random = random.Random(seed)
        self.coded = CodedPool(self.photos, scale, POOL, seed)

    def crop(self) -> Tensor:
        """One sharp patch, (1, 3, S, S)."""
        rnd = self.random
        if rnd.random() < PORTRAITS:
            picture = rnd.choice(self.portraits)
        else:
            picture = rnd.choices(self.photos, cum_weights=self.weights)[0]
        size = self.patch * self.scale
        largest = min(picture.shape[:2])
        side = min(largest, round(size * (rnd.uniform(1, 1.7) if rnd.random() < 0.35 else 1)))
        top, left = rnd.randint(0, picture.shape[0] - side), rnd.randint(0, picture.shape[1] - side)
        patch = picture[top : top + side, left : left + side]
        if side != size:
            patch = cv2.resize(patch, (size, size), interpolation=cv2.INTER_AREA)
        patch = np.rot90(patch, rnd.randrange(4))
        if rnd.random() < 0.5:
            patch = patch[:, ::-1]
        return torch.from_numpy(np.ascontiguousarray(patch)).permute(2, 0, 1)[None].float() / 255

    def draw(self) -> tuple[Tensor, Tensor, Tensor]:
        """(damaged (N, 3, P, P), truth (N, 3, sP, sP), degradation (N, 3))."""
        damaged, truths, degradations = [], [], []
        for _ in range(self.batch):
            if self.random.random() < CODED:
                small, truth, degradation = self.coded.draw(self.patch)
                damaged.append(small)
                truths.append(truth)
                degradations.append(degradation)
                continue
            damage = (sample_clean if self.random.random() < self.clean else sample_film)(self.random)
            sharp = self.crop()
            damaged.append(damage.apply(sharp, self.scale))
            truths.append(damage.toned(sharp))
            degradations.append(torch.tensor(damage.degradation))
        return torch.cat(damaged), torch.cat(truths), torch.stack(degradations)


class Replay:
    """Batches drawn once and used again, for the estimator, whose step is shorter than the making of its crops."""

    def __init__(self, sampler: Sampler, count: int) -> None:
        self.sampler = sampler
        self.batches = [self.fresh() for _ in range(count)]

    def fresh(self) -> tuple[Tensor, Tensor]:
        small, _, degradation = self.sampler.draw()
        return (small * 255).round().byte(), degradation

    def draw(self) -> tuple[Tensor, Tensor, Tensor]:
        """As `Sampler.draw`, without a truth; one crop each from other batches, every eighth time from a new one."""
        rnd = self.sampler.random
        if rnd.random() < 1 / 8:
            self.batches[rnd.randrange(len(self.batches))] = self.fresh()
        chosen = [rnd.choice(self.batches) for _ in range(self.sampler.batch)]
        rows = [rnd.randrange(self.sampler.batch) for _ in chosen]
        small = torch.stack([pixels[row] for (pixels, _), row in zip(chosen, rows, strict=True)]).float() / 255
        if rnd.random() < 0.5:
            small = small.flip(3)
        return small, small, torch.stack([vectors[row] for (_, vectors), row in zip(chosen, rows, strict=True)])


def perturbed(degradation: Tensor, deviation: float = 0.03) -> Tensor:
    """The vector as a measurement would give it: a little wrong."""
    noise = torch.randn_like(degradation) * deviation * (1 + 2 * degradation)
    return (degradation + noise).clamp(0, 1)


def charbonnier(prediction: Tensor, truth: Tensor) -> Tensor:
    return ((prediction - truth).square() + 1e-6).sqrt().mean()


def estimator_loss(prediction: Tensor, truth: Tensor) -> Tensor:
    """Huber's error; below 0 nothing is wrong where the truth is 0, for a measurement is clamped."""
    error = F.smooth_l1_loss(prediction, truth, reduction="none", beta=0.1)
    return torch.where((truth <= 0) & (prediction <= 0), torch.zeros_like(error), error).mean()


class Validation:
    """The same held-back crops every time, clean and damaged."""

    def __init__(self, pictures: list[np.ndarray], scale: int, crop: int = 192) -> None:
        rnd = random.Random(20)
        self.sets: dict[str, list[tuple[Tensor, Tensor, Tensor]]] = {"clean": [], "film": [], "coded": []}
        for picture in pictures[:20]:
            top, left = (picture.shape[0] - crop) // 2, (picture.shape[1] - crop) // 2
            patch = np.ascontiguousarray(picture[top : top + crop, left : left + crop])
            sharp = torch.from_numpy(patch).permute(2, 0, 1)[None].float() / 255
            for name, damage in (("clean", Damage()), ("film", sample_film(rnd))):
                degradation = torch.tensor([damage.degradation])
                self.sets[name].append((damage.apply(sharp, scale), damage.toned(sharp), degradation))
        pool = CodedPool(pictures, scale, 20, seed=20)
        for item in pool.items:
            small, truth, degradation = cut(item, pool.random, crop // scale, scale)
            self.sets["coded"].append((small, truth, degradation[None]))

    @torch.inference_mode()
    def gains(self, net: nn.Module, device: torch.device, scale: int) -> dict[str, float]:
        """dB of PSNR over bicubic, mean of the crops, 4 pixels of border cut."""
        return {
            name: float(
                np.mean(
                    [
                        _psnr(net(small.to(device), vector.to(device)).cpu(), truth)
                        - _psnr(F.interpolate(small, scale_factor=scale, mode="bicubic", antialias=True), truth)
                        for small, truth, vector in triples
                    ]
                )
            )
            for name, triples in self.sets.items()
        }

    @torch.inference_mode()
    def errors(self, net: nn.Module, device: torch.device) -> dict[str, float]:
        """Mean absolute error of each measured quantity, on clean and on damaged crops."""
        result = {}
        for name, triples in self.sets.items():
            wrong = torch.stack([(net(s.to(device)).cpu().clamp(0, 1) - v).abs()[0] for s, _, v in triples]).mean(0)
            result |= {f"{name} {k}": float(e) for k, e in zip(("blur", "noise", "compression"), wrong, strict=True)}
        return result


def _psnr(picture: Tensor, truth: Tensor) -> float:
    picture = (picture.clamp(0, 1) * 255).round() / 255
    error = (picture - truth)[..., 4:-4, 4:-4].square().mean()
    return float(-10 * torch.log10(error + 1e-12))


class Training:
    """One network being trained: weights, their running average, optimiser, clock."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.name, self.args = args.name, args
        self.scale = SCALES[args.name]
        self.device = torch.device(args.device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self.is_estimator = args.name == "reel-degradation"
        net = DegradationNet() if self.is_estimator else ReelUpscaler(self.scale, args.features, args.depth)
        if args.start_from:
            start_from(net, load_file(args.start_from))
        self.net = net.to(self.device, memory_format=torch.channels_last)
        self.average = {k: v.detach().clone() for k, v in self.net.state_dict().items()}
        slow = [p for key, p in self.net.named_parameters() if key == "skip.weight"]  # it starts where it should be
        fast = [p for key, p in self.net.named_parameters() if key != "skip.weight"]
        groups = [{"params": fast, "speed": 1.0}, {"params": slow, "speed": 0.1}][: 1 + bool(slow)]
        self.optimiser = torch.optim.Adam(groups, lr=args.lr, betas=(0.9, 0.99))
        self.step, self.seconds = 0, 0.0
        self.checkpoint = args.folder / f"{args.name}.pt"
        if self.checkpoint.exists():
            self.resume()

    def resume(self) -> None:
        state = torch.load(self.checkpoint, map_location=self.device, weights_only=True)
        self.net.load_state_dict(state["net"])
        self.average = state["average"]
        self.optimiser.load_state_dict(state["optimiser"])
        self.step, self.seconds = state["step"], state["seconds"]
        print(f"going on from {self.checkpoint}: step {self.step}, {self.seconds / 60:.1f} min", flush=True)

    def save(self) -> None:
        """Write the checkpoint, and the averaged weights beside it; each appears whole or not at all."""
        state = {"net": self.net.state_dict(), "average": self.average, "optimiser": self.optimiser.state_dict()}
        part = self.checkpoint.with_suffix(".part")
        torch.save(state | {"step": self.step, "seconds": self.seconds}, part)
        part.replace(self.checkpoint)
        write_weights(self.average, self.args.folder / f"{self.name}.safetensors")

    def learning_rate(self) -> float:
        """A short warm-up, then a cosine down to a hundredth at the last step."""
        done = min(1.0, self.step / self.args.steps)
        return self.args.lr * min(1.0, (self.step + 1) / 200) * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * done)))

    def train_step(self, batch: tuple[Tensor, Tensor, Tensor]) -> float:
        small, truth, degradation = (t.to(self.device) for t in batch)
        for group in self.optimiser.param_groups:
            group["lr"] = self.learning_rate() * group["speed"]
        small = small.contiguous(memory_format=torch.channels_last)
        with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=not self.is_estimator):
            output = self.net(small) if self.is_estimator else self.net(small, perturbed(degradation))
        loss = estimator_loss(output, degradation) if self.is_estimator else charbonnier(output.float(), truth)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.net.parameters(), 1.0)
        self.optimiser.step()
        decay = min(0.999, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            for key, value in self.net.state_dict().items():
                self.average[key].lerp_(value, 1 - decay)
        self.step += 1
        return float(loss.detach())

    def measure(self, validation: Validation) -> dict[str, float]:
        """How good the averaged weights are on what was held back."""
        net = self.averaged()
        if self.is_estimator:
            return validation.errors(net, self.device)
        return validation.gains(net, self.device, self.scale)

    def averaged(self) -> nn.Module:
        net = DegradationNet() if self.is_estimator else ReelUpscaler(self.scale, self.args.features, self.args.depth)
        net.load_state_dict(self.average)
        return net.to(self.device).eval()

    def run(self) -> None:
        args = self.args
        pictures = load_pictures(args.data)
        print({k: len(v) for k, v in pictures.items()}, "on", self.device, flush=True)
        clean = CLEAN / 2 if self.is_estimator else CLEAN
        sampler = Sampler(pictures, self.scale, args.patch, args.batch, seed=self.step + args.seed, clean=clean)
        draw = Replay(sampler, 240).draw if self.is_estimator else sampler.draw
        validation = Validation(pictures["validation"], self.scale)
        last_save, losses = self.seconds, []
        while self.step < args.steps:
            started = time.perf_counter()
            losses.append(self.train_step(draw()))
            self.seconds += time.perf_counter() - started
            if self.seconds - last_save >= 60 * args.checkpoint_minutes:
                self.save()
                last_save = self.seconds
                gains = {k: round(v, 3) for k, v in self.measure(validation).items()}
                print(
                    f"step {self.step:6d}  {self.seconds / 60:6.1f} min  lr {self.learning_rate():.1e}  "
                    f"loss {np.mean(losses):.5f}  {gains}",
                    flush=True,
                )
                losses = []
        self.save()
        print({k: round(v, 3) for k, v in self.measure(validation).items()}, flush=True)
        folder = ROOT / "models" / self.name
        publish(self.average, folder)
        write_sources(args.data, folder / "SOURCES.csv")


def publish(state: dict[str, Tensor], folder: Path) -> None:
    """Write the weights of models/NAME, and their hash, which `restore models verify` compares with."""
    write_weights(state, path := folder / f"{folder.name}.safetensors")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    (folder / "SHA256SUMS").write_text(f"{digest}  {path.name}\n", encoding="utf-8")


def write_weights(state: dict[str, Tensor], path: Path) -> None:
    """A safetensors file that appears whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    save_file({k: v.cpu().contiguous() for k, v in state.items()}, part)
    part.chmod(0o644)  # safetensors writes for the owner alone
    part.replace(path)


def start_from(net: nn.Module, state: dict[str, Tensor]) -> None:
    """Take over every tensor of another network that fits: the x4 body starts from the x2 body."""
    own = net.state_dict()
    fitting = {k: v for k, v in state.items() if k in own and own[k].shape == v.shape}
    net.load_state_dict(own | fitting)
    print(f"started from {len(fitting)} of {len(own)} tensors", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=SCALES)
    parser.add_argument("--data", type=Path, required=True, help="folder with SOURCES.csv, photos/ and portraits/")
    parser.add_argument("--steps", type=int, default=12000, help="over all resumptions; may change between them")
    parser.add_argument("--device", default="", help="default: cuda where there is one, else cpu")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--patch", type=int, default=48, help="pixels of the damaged patch")
    parser.add_argument("--lr", type=float, default=1.5e-3)
    parser.add_argument("--features", type=int, default=32)
    parser.add_argument("--depth", type=int, default=10)
    parser.add_argument("--start-from", type=Path)
    parser.add_argument("--checkpoint-minutes", type=float, default=3)
    parser.add_argument("--folder", type=Path, default=ROOT / "training")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    if args.threads:
        torch.set_num_threads(args.threads)
    cv2.setNumThreads(1)
    torch.manual_seed(args.seed)
    Training(args).run()


if __name__ == "__main__":
    main()
