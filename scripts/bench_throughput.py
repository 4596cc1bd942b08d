"""Speed, end to end, against the field's own way: the `realesrgan` package's RealESRGANer over the frames, one by one.

Same checkpoint, same decoder, encoder and settings, in one run; nothing else should run meanwhile.

    python scripts/bench_throughput.py --source samples/old_reel.mp4 --frames 48

Prints a Markdown table for BENCHMARKS.md. Needs the `train` extra (Python 3.12 or older) for the peer, and the
published weights: RESTORE_TEST_MATERIAL/weights, or `restore models pull`.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import tempfile
import time
import types
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import av
import numpy as np
import torch

import restore
from restore.engines.inline import InlineEngine
from restore.media.options import OutputOptions
from restore.pipeline.device import choose_device, native_bf16
from restore.recipe import Recipe
from restore.stages.upscale.network import NetworkRunner
from restore.zoo import load_network

MATERIAL = Path(os.environ.get("RESTORE_TEST_MATERIAL", Path(__file__).parents[2] / "shared" / "test"))
LOCAL = {
    "realesr-animevideov3": MATERIAL / "weights" / "realesr-animevideov3.pth",
    "realesr-general-x4v3": MATERIAL / "weights" / "realesr-general-x4v3.fp16-copy.pth",
}


def weights(name: str) -> str:
    path = LOCAL[name]
    return str(path) if path.exists() else name


def peer(name: str) -> Any:
    """RealESRGANer as its own inference script sets it up for a CPU."""
    # basicsr imports a module that torchvision removed; its one function lives on elsewhere.
    from torchvision.transforms import functional

    stand_in = types.ModuleType("torchvision.transforms.functional_tensor")
    stand_in.rgb_to_grayscale = functional.rgb_to_grayscale  # type: ignore[attr-defined]
    sys.modules.setdefault(stand_in.__name__, stand_in)
    from realesrgan import RealESRGANer
    from realesrgan.archs.srvgg_arch import SRVGGNetCompact

    convs = 16 if name == "realesr-animevideov3" else 32
    model = SRVGGNetCompact(num_in_ch=3, num_out_ch=3, num_feat=64, num_conv=convs, upscale=4, act_type="prelu")
    path = weights(name)
    if not Path(path).exists():
        path = str(restore.zoo.pull(name))
    return RealESRGANer(
        scale=4, model_path=path, model=model, tile=0, pre_pad=0, half=False, device=torch.device("cpu")
    )


def run_peer(
    source: Path, output: Path, name: str, frames: int, settings: dict[str, str], threads: int
) -> dict[str, float]:
    """Decode, enhance one by one, encode: the loop of its video script, in one process."""
    upsampler = peer(name)
    spent = dict.fromkeys(("network", "rest"), 0.0)
    started = time.perf_counter()
    with av.open(str(source)) as reading, av.open(str(output), "w") as writing:
        video = reading.streams.video[0]
        video.thread_type = "AUTO"
        stream: Any = writing.add_stream("libx264", rate=video.average_rate, options=settings)
        stream.width, stream.height, stream.pix_fmt = video.width * 4, video.height * 4, "yuv420p"
        stream.codec_context.thread_count = threads
        for number, frame in enumerate(reading.decode(video)):
            if number >= frames:
                break
            image = frame.to_ndarray(format="bgr24")
            begun = time.perf_counter()
            enlarged, _ = upsampler.enhance(image, outscale=4)
            spent["network"] += time.perf_counter() - begun
            for packet in stream.encode(av.VideoFrame.from_ndarray(enlarged, format="bgr24")):
                writing.mux(packet)
        for packet in stream.encode(None):
            writing.mux(packet)
    return {"wall": time.perf_counter() - started, **spent}


def run_ours(
    source: Path, output: Path, frames: int, options: dict[str, Any], precision: str, threads: int
) -> dict[str, float]:
    engine = InlineEngine()
    recipe = Recipe.of("upscale", **options)
    recipe = Recipe(recipe.stages, output=OutputOptions(threads=threads))
    # Two frames first: imports and first-run set-up are not what is measured (the peer is built before its clock runs).
    restore.run(source, output.with_suffix(".warm.mp4"), recipe, end="2f", precision=precision)
    started = time.perf_counter()
    restore.run(source, output, recipe, end=f"{frames}f", precision=precision, engine=engine)
    return {"wall": time.perf_counter() - started, **engine.seconds}


def largest_difference(source: Path, name: str, frames: int) -> float:
    """fp32 against the peer's pictures, in code values, without the edges that the peer pads."""
    upsampler = peer(name)
    worst = 0.0
    reach = load_network(weights(name)).receptive_field or 0
    with av.open(str(source)) as reading:
        for number, frame in enumerate(reading.decode(video=0)):
            if number >= frames:
                break
            image = frame.to_ndarray(format="rgb24")
            theirs, _ = upsampler.enhance(np.ascontiguousarray(image[..., ::-1]), outscale=4)
            ours = restore.apply("upscale", image[None], scale=4, model=weights(name), precision="fp32")[0]
            kept = slice(0, -4 * reach)
            worst = max(worst, float(np.abs(ours[kept, kept].astype(int) - theirs[kept, kept, ::-1].astype(int)).max()))
    return worst


def isolated(function: Callable[..., dict[str, float]], *arguments: Any) -> dict[str, float]:
    """Call in a fresh process: what one side does to the process (memory, threads) must not help the other."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


def best_of(call: Callable[[], object], tries: int = 5) -> float:
    call()
    times = []
    for _ in range(tries):
        begun = time.perf_counter()
        call()
        times.append(time.perf_counter() - begun)
    return min(times)


def network_times(precision: str) -> dict[str, float]:
    """Seconds a 640x480 frame in the network alone."""
    device = choose_device("cpu", precision)
    pixels = torch.rand(1, 3, 480, 640, generator=torch.Generator().manual_seed(1))
    found = {}
    with torch.inference_mode():
        for name, told in (("reel-x2", (0.2, 0.2, 0.2)), ("reel-x4", (0.2, 0.2, 0.2)), ("realesr-animevideov3", ())):
            try:
                runner = NetworkRunner(load_network(LOCAL.get(name, name)), device)
            except restore.errors.RestoreError as error:
                print(f"{name}: {error}", file=sys.stderr)
                continue
            found[name] = best_of(lambda runner=runner, told=told: runner(pixels, told))  # type: ignore[misc]
    return found


def machine() -> str:
    model = next(
        (line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line),
        platform.processor(),
    )
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False
    ).stdout.strip()
    bf16 = "native bf16" if native_bf16() else "no native bf16"
    return f"{model}, {os.cpu_count()} cores, {bf16}; torch {torch.__version__}; commit {commit}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", type=Path, default=Path(__file__).parents[1] / "samples" / "old_reel.mp4")
    parser.add_argument("--frames", type=int, default=48)
    parser.add_argument("--models", nargs="+", default=list(LOCAL))
    arguments = parser.parse_args()
    threads = os.cpu_count() or 1
    settings = {"crf": "17", "preset": "medium"}
    info = restore.probe(arguments.source)
    print(
        f"{machine()}\n\n{info.format.width}x{info.format.height}, {arguments.frames} frames, x4, x264 crf 17 medium\n"
    )
    print(
        "| checkpoint, frames/s | RealESRGANer | restore fp32 | default | times faster | outside decode, net, encode |"
    )
    print("|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as scratch:
        for name in arguments.models:
            theirs = isolated(
                run_peer, arguments.source, Path(scratch, f"peer-{name}.mp4"), name, arguments.frames, settings, threads
            )
            rates = {}
            for precision in ("fp32", "auto"):
                output = Path(scratch, f"{name}-{precision}.mp4")
                options = {"scale": 4, "model": weights(name)}
                ours = isolated(run_ours, arguments.source, output, arguments.frames, options, precision, threads)
                rates[precision] = ours
            ours = rates["auto"]
            inside = ours["read"] + ours["write"] + ours["upscale"]
            outside = (ours["wall"] - inside) / ours["wall"]
            speeds = [f"{arguments.frames / run['wall']:.3f}" for run in (theirs, rates["fp32"], ours)]
            print(
                f"| {name} | {' | '.join(speeds)} | {theirs['wall'] / ours['wall']:.2f} | {outside:.1%} |", flush=True
            )
    for name in arguments.models:
        worst = largest_difference(arguments.source, name, 2)
        print(f"\nfp32 {name} against RealESRGANer: largest difference {worst:.0f}/255")
    print("\n| network alone, 640x480 | seconds a frame, fp32 | default precision |\n|---|---|---|")
    slow, fast = network_times("fp32"), network_times("bf16" if native_bf16() else "fp32")
    for name in slow:
        print(f"| {name} | {slow[name]:.3f} | {fast[name]:.3f} |")
    if "reel-x2" in fast:
        print(
            f"\nreel-x2 is {fast['realesr-animevideov3'] / fast['reel-x2']:.2f} times faster than realesr-animevideov3"
        )


if __name__ == "__main__":
    main()
