"""`restore doctor`: what this installation can do, and what is amiss."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import shutil
from pathlib import Path
from typing import Any

import click


def examine() -> dict[str, Any]:
    """Facts about the machine and the installation, and a list of what is amiss."""
    import psutil
    import torch

    from restore import __version__, zoo
    from restore.media.codecs import CODECS
    from restore.pipeline.device import choose_device, native_bf16
    from restore.zoo.cache import cache_dir

    problems = []
    versions = {}
    for name in ("torch", "torchvision", "av", "opencv-python", "spandrel", "spandrel-extra-arches", "scenedetect",
                 "basicsr", "realesrgan"):  # fmt: skip
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            versions[name] = "not installed"
    devices = [f"cuda:{n} {torch.cuda.get_device_name(n)}" for n in range(torch.cuda.device_count())]
    from av.codec import Codec

    encoders = {}
    for name, spec in CODECS.items():
        try:
            Codec(spec.encoder, "w")
            encoders[name] = "yes"
        except Exception:
            encoders[name] = "missing"
            problems.append(f"encoder {spec.encoder} is not in this build of PyAV: reinstall av from its wheel")
    for model in zoo.list_models():
        if model.bundled and zoo.resolve(model.id).path is None:
            problems.append(f"the bundled network {model.id} is missing: reinstall restore")
    cache = cache_dir()
    writable = os.access(cache if cache.exists() else _existing(cache), os.W_OK)
    if not writable:
        problems.append(f"{cache}: the cache folder cannot be written; set RESTORE_CACHE")
    chosen = choose_device()
    return {
        "restore": __version__,
        "python": platform.python_version(),
        "system": platform.platform(),
        "processor": {"cores": os.cpu_count(), "native bfloat16": native_bf16()},
        "memory": f"{psutil.virtual_memory().total / 2**30:.1f} GiB",
        "gpus": devices,
        "would use": f"{chosen.torch_device}, {chosen.precision} for 8-bit sources",
        "versions": versions,
        "encoders": encoders,
        "models here": [model.id for model in zoo.available()],
        "cache": f"{cache} ({shutil.disk_usage(_existing(cache)).free / 1e9:.0f} GB free)",
        "problems": problems,
    }


def _existing(path: Path) -> Path:
    while not path.exists():
        path = path.parent
    return path


@click.command(short_help="Say what this installation can do, and what is amiss.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def doctor(as_json: bool) -> int:
    """Say what this installation can do, and what is amiss. Exit status 1 if something is.

    \b
    Example:
      restore doctor
    """
    facts = examine()
    if as_json:
        click.echo(json.dumps(facts, indent=1, ensure_ascii=False))
    else:
        for name, value in facts.items():
            if name == "problems":
                continue
            if isinstance(value, dict):
                value = ", ".join(f"{key} {text}" for key, text in value.items())
            elif isinstance(value, list):
                value = ", ".join(value) or "none"
            click.echo(f"{click.style(f'{name:12}', bold=True)}  {value}")
        for problem in facts["problems"]:
            click.secho(f"amiss: {problem}", fg="red")
        if not facts["problems"]:
            click.secho("nothing amiss", fg="green")
    return 1 if facts["problems"] else 0
