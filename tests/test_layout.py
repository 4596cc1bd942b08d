"""The house keeps its plan: which room may import which, how large modules and functions may be, and their names."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "restore"

ALLOWED = {
    # The ground floor: no other room.
    "errors": set(),
    "times": {"errors"},
    "files": set(),
    "frames": {"errors"},
    "colorimetry": {"errors"},
    "nets": set(),
    # Reads and writes; knows nothing of stages.
    "media": {"errors", "colorimetry", "frames", "times"},
    "provenance": {"errors", "frames", "times"},
    "damage": {"errors", "frames", "nets", "media"},
    "zoo": {"errors", "nets"},
    "analysis": {"errors", "colorimetry", "frames", "nets", "zoo"},
    "faces": {"errors", "times", "frames", "nets", "zoo", "analysis"},
    # Knows the stages' contract, never a stage.
    "pipeline": {"errors", "files", "colorimetry", "frames", "times", "media", "provenance", "analysis"},
    "stages": {"errors", "times", "colorimetry", "frames", "media", "pipeline", "provenance", "faces", "analysis",
               "zoo", "damage", "nets"},
    "voice": {"errors", "frames", "media", "pipeline", "provenance", "analysis", "zoo", "damage", "nets"},
    "report": {"errors", "files", "frames", "times", "media", "pipeline", "analysis"},
    "recipe": {"errors", "media", "pipeline", "stages", "voice"},
    "presets": {"errors", "recipe", "stages"},
    "engines": {"errors", "frames", "pipeline"},
    # The front doors.
    "api": {"errors", "frames", "times", "media", "pipeline", "engines", "recipe", "presets", "stages", "voice", "zoo",
            "report", "provenance"},
    "examine": {"errors", "frames", "media", "pipeline", "engines", "recipe", "stages", "voice", "report"},
    "versions": {"errors", "numbered", "frames", "media", "pipeline", "engines", "recipe", "stages", "report", "api"},
    "passes": {"errors", "files", "faces", "pipeline"},
    "people": {"errors", "files", "frames", "media", "pipeline", "faces", "report"},
    "numbered": {"errors", "files", "pipeline", "recipe", "presets"},
    "worn_voice": {"errors", "numbered", "media", "pipeline", "recipe", "analysis", "report", "api"},
    "pages": {"errors", "examine", "pipeline", "recipe", "stages", "voice", "report"},
    # Many jobs.
    "archive": {"errors", "files", "times", "media", "pipeline", "engines", "recipe", "api", "pages"},
    "cli": {"errors", "files", "times", "api", "examine", "pages", "people", "passes", "versions", "worn_voice",
            "recipe", "presets", "stages", "voice", "pipeline", "media", "zoo", "report", "engines", "archive"},
}  # fmt: skip
CONTRACT = {
    "restore.pipeline.contract",
    "restore.pipeline.audio_contract",
    "restore.pipeline.catalogue",
    "restore.pipeline.chain",
    "restore.pipeline.timeline",
    "restore.pipeline.index",
}
"""What stages may know of the pipeline."""


def modules() -> list[Path]:
    return sorted(path for path in PACKAGE.rglob("*.py"))


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def typing_only(tree: ast.Module) -> set[int]:
    """Lines inside ``if TYPE_CHECKING:``."""
    lines: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            lines.update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return lines


def imports(path: Path, *, at_start: bool = False) -> Iterator[str]:
    """Everything a module imports, be it inside functions; or only what importing it imports."""
    tree = tree_of(path)
    skipped = typing_only(tree)
    nodes = tree.body if at_start else ast.walk(tree)
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if node.lineno not in skipped)
        elif isinstance(node, ast.ImportFrom) and node.lineno not in skipped:
            assert not node.level, f"{name_of(path)}: imports are absolute"
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names if node.module == "restore")


def room_of(module: str) -> str:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else ""


@pytest.mark.parametrize("path", modules(), ids=name_of)
def test_imports_point_one_way(path: Path) -> None:
    name = name_of(path)
    room = room_of(name)
    if room in ("", "__main__"):
        return
    assert room in ALLOWED, f"restore/{room} is a new room: say here what it may know"
    for module in imports(path):
        if not module.startswith("restore."):
            continue
        other = room_of(module)
        known = ALLOWED[room] | {room, "__version__"}
        assert other in known, (
            f"{name} imports {module}: {room} may know {', '.join(sorted(ALLOWED[room])) or 'no other room'}"
        )
        if room in ("stages", "voice", "faces") and other == "pipeline":
            assert any(module.startswith(allowed) for allowed in CONTRACT), (
                f"{name}: of the pipeline, the contract only"
            )
        if room in ("stages", "voice") and module.startswith(f"restore.{room}."):
            mine, theirs = name.split(".")[2:3], module.split(".")[2:3]
            assert mine in ([], theirs) or theirs == mine, f"{name} imports another stage: {module}"


@pytest.mark.parametrize("path", modules(), ids=name_of)
def test_av_and_network_stay_in_their_rooms(path: Path) -> None:
    name, room = name_of(path), room_of(name_of(path))
    for module in imports(path):
        top = module.split(".")[0]
        if top == "av":
            assert room in ("media", "damage") or name == "restore.cli.doctor", f"{name}: only media imports av"
        if top in ("urllib", "http", "requests", "socket") and module != "urllib.parse":
            local = name in ("restore.engines.cluster", "restore.report.review_server")
            assert room == "zoo" or local, f"{name}: only the zoo is on the network"
        if top in ("pickle", "marshal", "shelve"):
            assert name == "restore.zoo.load", f"{name}: no pickles"


TORCH_FREE = ("errors", "times", "files", "cli", "engines.choice", "engines.cluster", "zoo.table", "zoo.spec",
              "zoo.resolve", "media.options", "recipe", "presets", "pipeline.contract", "pipeline.audio_contract",
              "pipeline.catalogue", "stages", "voice")  # fmt: skip


@pytest.mark.parametrize(
    "path", [p for p in modules() if name_of(p).removeprefix("restore.").startswith(TORCH_FREE)], ids=name_of
)
def test_front_doors_import_no_torch(path: Path) -> None:
    name = name_of(path).removeprefix("restore.")
    if name.startswith(("stages.", "voice.")) and not name.endswith(".options") and name.count(".") > 1:
        return
    heavy = {"torch", "torchvision", "av", "cv2", "spandrel"}
    assert not heavy & {module.split(".")[0] for module in imports(path, at_start=True)}


@pytest.mark.parametrize("path", modules(), ids=name_of)
def test_sizes_and_names(path: Path) -> None:
    assert path.stem not in ("utils", "util", "common", "helpers", "helper", "core", "misc")
    lines = path.read_text(encoding="utf-8").count("\n")
    assert lines <= 400, f"{name_of(path)} has {lines} lines: is it two modules?"
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            assert length <= 70, f"{name_of(path)}.{node.name} has {length} lines"


def test_every_room_of_the_plan_is_documented() -> None:
    """Each folder's __init__ says what the room is for."""
    for path in PACKAGE.rglob("__init__.py"):
        assert ast.get_docstring(tree_of(path)), f"{name_of(path)}: say what this room is for"
