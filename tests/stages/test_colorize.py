"""Colorize: luma stays, colours follow what moves, and what a person says wins."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import numpy.typing as npt
import pytest
import torch
from contract import StageContract, frames_of, video_format
from hypothesis import given, settings
from hypothesis import strategies as st

import restore
from restore import api
from restore.cli.main import main
from restore.colorimetry import delta_e, rgb_to_lab
from restore.errors import PlanError
from restore.frames import Frame, Shot, VideoFormat
from restore.media.options import OutputOptions
from restore.pipeline.contract import Stage
from restore.recipe import Recipe
from restore.stages import build_stage
from restore.stages.colorize import chroma
from restore.stages.colorize.affinity import evened, spread_out
from restore.stages.colorize.enlarge import enlarged
from restore.stages.colorize.proposer import ColorHints, Proposal

Pictures = npt.NDArray[np.float32]
WIDTH, HEIGHT = 128, 96
BROWN, BLUE, GREEN = (0.62, 0.45, 0.30), (0.25, 0.35, 0.75), (0.30, 0.60, 0.25)


def scene(count: int, ball: Sequence[float] = BLUE, wall: Sequence[float] = BROWN, seed: int = 0) -> Pictures:
    """(N, H, W, 3) R'G'B': a textured wall, and a textured ball that rolls across it."""
    rng = np.random.default_rng(seed)
    grain = cv2.resize(rng.random((24, 32)).astype(np.float32), (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
    skin = cv2.resize(rng.random((12, 12)).astype(np.float32), (60, 60), interpolation=cv2.INTER_CUBIC)
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
    made = []
    for number in range(count):
        left = 14 + 2 * number
        picture = (0.5 + 0.5 * grain)[..., None] * np.asarray(wall, np.float32)
        inside = (x - left - 20) ** 2 + (y - 50) ** 2 < 400
        texture = np.zeros((HEIGHT, WIDTH), np.float32)
        width = min(60, WIDTH - left)
        texture[20:80, left : left + width] = skin[:, :width]
        picture[inside] = ((0.5 + 0.5 * texture)[..., None] * np.asarray(ball, np.float32))[inside]
        made.append(picture)
    return np.stack(made).astype(np.float32)


def write(path: Path, pictures: Pictures, pix_fmt: str = "yuv420p") -> Path:
    """The pictures as a grey film."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = pictures.shape[2], pictures.shape[1], pix_fmt
        stream.codec_context.colorspace, stream.codec_context.color_range = 1, 1
        stream.codec_context.color_primaries = stream.codec_context.color_trc = 1
        for picture in pictures:
            luma = picture @ np.array([0.2126, 0.7152, 0.0722], np.float32)
            grey = (luma * 219 + 16.5).clip(16, 235).astype(np.uint8)
            if pix_fmt == "yuv420p":
                planes = np.vstack((grey, np.full((grey.shape[0] // 2, grey.shape[1]), 128, np.uint8)))
            else:
                planes = grey
            container.mux(stream.encode(av.VideoFrame.from_ndarray(planes, format=pix_fmt)))
        container.mux(stream.encode(None))
    return path


def still(path: Path, picture: npt.NDArray[np.float32]) -> Path:
    """A picture in colour."""
    cv2.imwrite(str(path), (picture[..., ::-1] * 255 + 0.5).clip(0, 255).astype(np.uint8))
    return path


def planes_of(path: Path) -> list[npt.NDArray[np.uint8]]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray() for frame in container.decode(video=0)]


def colours_of(path: Path) -> Pictures:
    """(N, H, W, 3) R'G'B'."""
    with av.open(str(path)) as container:
        found = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    return np.stack(found).astype(np.float32) / 255


def error(made: Pictures, true: Pictures) -> float:
    """Mean CIEDE2000."""
    labs = [rgb_to_lab(torch.from_numpy(np.ascontiguousarray(p)).movedim(-1, 1).clamp(0, 1)) for p in (made, true)]
    return float(delta_e(*labs).mean())


def recipe(**options: Any) -> Recipe:
    stages = Recipe.of("colorize", **{"model": "none", **options}).stages
    return Recipe(stages, output=OutputOptions(codec="ffv1"))


def hints(path: Path, *rows: dict[str, Any]) -> str:
    path.write_text(json.dumps({"version": 1, "hints": rows}))
    return str(path)


@pytest.fixture
def two_shots(tmp_path: Path) -> tuple[Path, Pictures]:
    """A film of two shots, 14 frames each, and its true colours."""
    true = np.concatenate((scene(14), scene(14, GREEN, (0.9, 0.85, 0.8), seed=5)))
    return write(tmp_path / "in.mkv", true), true


def by_hand(tmp_path: Path, true: Pictures, *frames: int) -> tuple[str, ...]:
    """References for some frames."""
    return tuple(f"{still(tmp_path / f'{frame}.png', true[frame])}@{frame}f" for frame in frames)


class TestReferences:
    def test_they_are_followed(self, tmp_path: Path, two_shots: tuple[Path, Pictures]) -> None:
        source, true = two_shots
        output = tmp_path / "out.mkv"
        restore.run(source, output, recipe(reference=by_hand(tmp_path, true, 0, 14)))
        made = colours_of(output)
        assert error(made, true) < 2.5 < 0.4 * error(colours_of(source), true)
        for first, last in ((0, 13), (14, 27)):
            seen = slice(14 + 2 * 13, None)  # what the ball has uncovered in between nobody has coloured
            left = colours_of(source)[last : last + 1, :, seen]
            errors = [error(made[n : n + 1, :, seen], true[n : n + 1, :, seen]) for n in (first, last)]
            assert max(errors) < 3 < 0.5 * error(left, true[last : last + 1, :, seen])

    def test_luma_is_the_sources(self, tmp_path: Path, two_shots: tuple[Path, Pictures]) -> None:
        source, true = two_shots
        output = tmp_path / "out.mkv"
        restore.run(source, output, recipe(reference=by_hand(tmp_path, true, 0, 14)))
        for before, after in zip(planes_of(source), planes_of(output), strict=True):
            assert np.array_equal(before[:HEIGHT], after[:HEIGHT])

    @pytest.mark.parametrize(("width", "pix_fmt"), [(WIDTH, "yuv420p"), (WIDTH - 1, "yuv444p")])
    def test_grey_gets_chroma_planes(self, tmp_path: Path, width: int, pix_fmt: str) -> None:
        true = np.ascontiguousarray(scene(6)[:, :, :width])
        source = write(tmp_path / "in.mkv", true, "gray")
        output = tmp_path / "out.mkv"
        restore.run(source, output, recipe(reference=by_hand(tmp_path, true, 0)))
        with av.open(str(output)) as container:
            assert container.streams.video[0].codec_context.pix_fmt == pix_fmt
            frames = list(container.decode(video=0))
        for before, frame in zip(planes_of(source), frames, strict=True):
            rows = np.frombuffer(frame.planes[0], np.uint8).reshape(HEIGHT, -1)[:, :width]
            assert np.array_equal(before, rows)
        assert error(colours_of(output), true) < 3

    def test_later_frames_colour_earlier_ones(self, tmp_path: Path) -> None:
        true = scene(16)
        source = write(tmp_path / "in.mkv", true)
        made = {}
        for name, frames in (("first", (0,)), ("last", (15,)), ("both", (0, 15))):
            output = tmp_path / f"{name}.mkv"
            restore.run(source, output, recipe(reference=by_hand(tmp_path, true, *frames)))
            made[name] = error(colours_of(output), true)
        assert made["last"] < 3
        assert made["both"] <= min(made["first"], made["last"]) + 0.1

    def test_other_sizes_of_the_same_frame(self, tmp_path: Path) -> None:
        true = scene(6)
        source = write(tmp_path / "in.mkv", true)
        larger = cv2.resize(true[0], (3 * WIDTH, 3 * HEIGHT), interpolation=cv2.INTER_CUBIC)
        output = tmp_path / "out.mkv"
        restore.run(source, output, recipe(reference=(f"{still(tmp_path / 'large.png', larger)}@0",)))
        assert error(colours_of(output), true) < 3

    def test_another_moment_lends_by_likeness(self, tmp_path: Path) -> None:
        """A still of the same things elsewhere in the picture, without a time."""
        true = scene(4)
        other = np.ascontiguousarray(np.roll(scene(40, seed=3)[30], 11, axis=0))
        source = write(tmp_path / "in.mkv", true)
        output = tmp_path / "out.mkv"
        result = restore.run(source, output, recipe(reference=(str(still(tmp_path / "other.png", other)),)))
        assert error(colours_of(output), true) < 0.75 * error(colours_of(source), true)
        plan = json.loads((result.folder / "plan" / "shot-0000000.json").read_text())
        assert plan["stages"]["1-colorize"]["values"]["known"][-1]["likeness"] == ["other.png"]

    def test_a_changed_still_concerns_its_shot_alone(
        self, tmp_path: Path, two_shots: tuple[Path, Pictures], journal_keys: Any
    ) -> None:
        source, true = two_shots
        source = write(tmp_path / "long.mkv", np.concatenate([scene(55), true[14:], true[14:], true[14:], true[14:]]))
        true = np.concatenate([scene(55), true[14:], true[14:], true[14:], true[14:]])
        output = tmp_path / "out.mkv"
        given = recipe(reference=by_hand(tmp_path, true, 0, 55))
        first = restore.run(source, output, given)
        plan = first.folder / "plan" / "shot-0000000.json"
        before, kept = journal_keys(first.folder), plan.stat().st_mtime_ns
        still(tmp_path / "55.png", true[55][..., ::-1])
        again = restore.run(source, output, given)
        assert plan.stat().st_mtime_ns == kept
        assert 0 < again.rendered < first.rendered
        after = journal_keys(first.folder)
        assert after[(0, 55)] == before[(0, 55)]


@pytest.fixture(scope="module")
def tiny_colours(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights of a small random network that proposes colours."""
    from safetensors.torch import save_file

    from restore.nets.colorize import ColorizeNet
    from restore.nets.efficientnet import EfficientNetLite

    torch.manual_seed(4)
    steps = torch.arange(-6, 7)
    net = ColorizeNet(
        torch.cartesian_prod(steps, steps), EfficientNetLite((4,) * 7, (1,) * 7, stem=4), widths=(8, 8, 8)
    )
    torch.nn.init.normal_(net.head.weight, std=40)  # or it would think all colours alike
    path = tmp_path_factory.mktemp("weights") / "tiny-colours.safetensors"
    save_file({name: tensor.contiguous() for name, tensor in net.state_dict().items()}, path)
    return path


class TestProposals:
    def test_alone(self, tmp_path: Path, two_shots: tuple[Path, Pictures], tiny_colours: Path) -> None:
        source, _ = two_shots
        output = tmp_path / "out.mkv"
        folder = restore.run(source, output, recipe(model=str(tiny_colours))).folder
        values = json.loads((folder / "plan" / "shot-0000014.json").read_text())["stages"]["1-colorize"]["values"]
        assert values["proposed"][0] == 0
        with np.load(folder / "plan" / "shot-0000014.1-colorize.npz") as arrays:
            assert {arrays[name].shape for name in arrays} == {(2, HEIGHT // 2, WIDTH // 2)}, "half the size"
        for before, after in zip(planes_of(source), planes_of(output), strict=True):
            assert np.array_equal(before[:HEIGHT], after[:HEIGHT])
        made = rgb_to_lab(torch.from_numpy(colours_of(output)).movedim(-1, 1))[:, 1:]
        assert float(made.abs().mean()) > 0.1, "even a random network proposes something"
        steps = (made[1:14] - made[:13]).abs().mean()
        assert float(steps) < 0.5 * float(made.abs().mean()), "and it stays put"

    def test_beneath_what_a_person_says(
        self, tmp_path: Path, two_shots: tuple[Path, Pictures], tiny_colours: Path
    ) -> None:
        source, _ = two_shots
        rows = ({"at": 0, "color": "#4059bf", "points": [[34, 50]], "width": 15},)
        path = hints(tmp_path / "hints.json", *rows)
        found = {}
        for name, model in (("alone", "none"), ("both", str(tiny_colours))):
            output = tmp_path / f"{name}.mkv"
            restore.run(source, output, recipe(model=model, hints=path))
            found[name] = colours_of(output)
        near = np.abs(found["alone"] - found["both"])[0]
        assert near[46:54, 30:38].mean() < 0.03, "where the hint is, it counts"
        assert np.abs(found["alone"] - found["both"])[14:].mean() > 0.002, "the other shot has proposals alone"


class _Listener:
    """In a network's place: keeps what it is told."""

    takes_hints = True

    def __init__(self) -> None:
        self.told: list[ColorHints | None] = []

    def input_size(self, height: int, width: int) -> tuple[int, int]:
        return 48, 64

    def propose(self, lightness: torch.Tensor, hints: ColorHints | None = None) -> Proposal:
        self.told.append(hints)
        return Proposal(torch.zeros(len(lightness), 2, 12, 16))


def test_hints_reach_a_network_that_takes_them_in_every_frame_it_is_asked_about(
    tmp_path: Path, tiny_colours: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = write(tmp_path / "in.mkv", scene(28))
    listener = _Listener()
    monkeypatch.setattr("restore.stages.colorize.proposals.load_proposer", lambda *_: listener)
    row = {"at": 0, "color": "#4059bf", "points": [[34, 50]], "width": 15}
    path = hints(tmp_path / "hints.json", row)
    restore.run(source, tmp_path / "out.mkv", recipe(model=str(tiny_colours), hints=path))
    (told,) = listener.told
    assert told is not None
    assert len(told.known) == 2, "at the beginning, and a second on"
    for known, ab, left in zip(told.known[:, 0], told.ab, (34, 34 + 2 * 24), strict=True):
        rows, columns = known.nonzero().double().mean(dim=0).tolist()
        assert rows == pytest.approx(25, abs=2)
        assert columns == pytest.approx(left / 2, abs=2), "it has gone along with the ball"
        assert 20 < int(known.sum()) < 100, "a mark, not all that is like it"
        assert float(ab[1][known > 0].mean()) < -15, "blue"
        assert float(ab[:, known == 0].abs().max()) == 0


class TestMarks:
    def test_hints_spread_to_what_is_alike(self, tmp_path: Path) -> None:
        true = scene(8)
        source = write(tmp_path / "in.mkv", true)
        rows = (
            {"at": 0, "color": "#4059bf", "points": [[34, 50]], "width": 15},
            {"at": 0, "color": "#9e734d", "points": [[100, 20], [100, 80], [10, 10]], "width": 9},
            {"at": 0, "color": "#9e734d", "stroke": [[70, 10], [70, 90]], "width": 5},
        )
        output = tmp_path / "out.mkv"
        restore.run(source, output, recipe(hints=hints(tmp_path / "hints.json", *rows)))
        made = colours_of(output)
        assert error(made, true) < 0.6 * error(colours_of(source), true)
        ball = made[7, 50, 14 + 2 * 7 + 20]
        assert ball[2] > 1.3 * ball[0], "blue still, where it has rolled to"

    def test_a_region_keeps_its_colour(self, tmp_path: Path, two_shots: tuple[Path, Pictures]) -> None:
        source, true = two_shots
        mask = np.zeros((HEIGHT, WIDTH), np.float32)
        cv2.circle(mask, (34, 50), 20, 1, -1)
        cv2.imwrite(str(tmp_path / "ball.png"), (mask * 255).astype(np.uint8))
        palette = {
            "version": 1,
            "colors": {"ball": "#5b6236"},
            "places": [{"region": "ball", "at": f"{at}f", "mask": "ball.png"} for at in (0, 14)],
        }
        (tmp_path / "palette.json").write_text(json.dumps(palette))
        output = tmp_path / "out.mkv"
        given = recipe(reference=by_hand(tmp_path, true, 0, 14), palette=str(tmp_path / "palette.json"))
        restore.run(source, output, given)
        made = rgb_to_lab(torch.from_numpy(colours_of(output)).movedim(-1, 1))
        for frame in (0, 12, 14, 26):
            left = 14 + 2 * (frame % 14) + 20
            a, b = made[frame, 1:, 45:55, left - 5 : left + 5].mean(dim=(1, 2)).tolist()
            assert b > 8, f"olive at {frame}"
            assert -14 < a < 2

    def test_colours_are_evened_out_within_areas_and_kept_apart_at_edges(self) -> None:
        rng = np.random.default_rng(1)
        lightness = np.where(np.arange(44) < 20, 40.0, 75.0)[None].repeat(32, 0).astype(np.float32)
        plain = np.where(lightness < 50, 12.0, -8.0).astype(np.float32)
        clouds = cv2.GaussianBlur(rng.normal(0, 20, (32, 44)).astype(np.float32), (0, 0), 1.5)
        said = np.dstack((plain + clouds, 0.5 * clouds)).astype(np.float32)
        made = evened(said, np.full((32, 44), 0.5, np.float32), lightness)
        assert np.abs(made[..., 0] - plain).mean() < 0.4 * np.abs(clouds).mean()
        assert made[:, :19, 0].mean() == pytest.approx(said[:, :19, 0].mean(), abs=1.0)
        assert (made[:, 18, 0] - made[:, 21, 0]).mean() > 15, "the edge stands"
        assert np.allclose(evened(said, np.full((32, 44), 50, np.float32), lightness), said, atol=0.2)

    def test_affinity_stops_at_edges(self) -> None:
        luma = np.full((48, 64), 60, np.uint8)
        luma[:, 32:] = 180
        given, values = np.zeros((48, 64), bool), np.zeros((48, 64, 1), np.float32)
        given[24, 8], given[24, 56], values[24, 8] = True, True, 1
        spread, reach = spread_out(luma, values, given)
        assert spread[:, :30].min() > 0.9
        assert spread[:, 34:].max() < 0.1
        assert reach.min() > 0.02


class TestPerson:
    def test_keyframes_go_out_and_come_back(self, tmp_path: Path, two_shots: tuple[Path, Pictures]) -> None:
        source, true = two_shots
        folder = tmp_path / "keys"
        assert main(["colorize", str(source), "--export-keyframes", str(folder), "-q"]) == 0
        pictures = sorted(folder.iterdir())
        assert [path.name for path in pictures] == ["shot-0001_frame-0000000.png", "shot-0002_frame-0000014.png"]
        grey = cv2.imread(str(pictures[0]))
        assert (grey.max(axis=2) == grey.min(axis=2)).all()
        output = tmp_path / "out.mkv"
        assert main(["colorize", str(source), str(output), "--references", str(folder), "--model", "none", "-q"]) == 2
        still(pictures[1], true[14])  # the other is not painted yet: its shot stays grey
        assert main(["colorize", str(source), str(output), "--references", str(folder), "--model", "none",
                     "--codec", "ffv1", "-q"]) == 0  # fmt: skip
        made = colours_of(output)
        assert error(made[14:], true[14:]) < 3
        assert np.ptp(made[:14], axis=3).max() < 0.02
        assert main(["colorize", str(source), "--export-keyframes", str(folder), "-q"]) == 0
        assert error(cv2.imread(str(pictures[1]))[None, ..., ::-1] / np.float32(255), true[14:15]) < 1, "kept"

    def test_edits(self, tmp_path: Path, two_shots: tuple[Path, Pictures]) -> None:
        source, true = two_shots
        output = tmp_path / "out.mkv"
        given = recipe(reference=by_hand(tmp_path, true, 0, 14))
        folder = restore.run(source, output, given).folder
        before = colours_of(output)
        red = still(tmp_path / "red.png", np.clip(true[20] * (2.0, 0.6, 0.6), 0, 1))
        green = still(tmp_path / "green.png", np.clip(true[4] * (0.5, 1.6, 0.6), 0, 1))
        changes = [
            {"from": "20f", "to": "21f", "stage": "colorize", "set": {"chroma": str(red)}},
            {"from": "4f", "to": "5f", "stage": "colorize", "set": {"reference": str(green)}},
        ]
        (folder / "edits.json").write_text(json.dumps({"changes": changes}))
        restore.run(source, output, given)
        after = colours_of(output)
        moved = np.abs(after - before).mean(axis=(1, 2, 3))
        assert moved[20] > 0.05 > 10 * max(moved[19], moved[21]), "one frame is replaced, and only that"
        assert moved[3:6].min() > 0.03, "a reference colours its neighbours too"
        changes = [{"from": "14f", "to": "15f", "stage": "colorize", "set": {"strength": 0}}]
        (folder / "edits.json").write_text(json.dumps({"changes": changes}))
        restore.run(source, output, given)
        assert np.ptp(colours_of(output)[14:], axis=3).max() < 0.02

    @pytest.mark.parametrize("setting", [{"chroma": 3}, {"reference": "nowhere.png"}, {"hue": 1}, {"saturation": -1}])
    def test_wrong_edits(self, tmp_path: Path, setting: dict[str, Any]) -> None:
        source = write(tmp_path / "in.mkv", scene(4))
        folder = tmp_path / "out.mkv.restore"
        folder.mkdir()
        (folder / "edits.json").write_text(
            json.dumps({"changes": [{"from": 0, "to": 1, "stage": "colorize", "set": setting}]})
        )
        output = tmp_path / "out.mkv"
        with pytest.raises(restore.errors.RestoreError):
            restore.run(source, output, recipe(reference=by_hand(tmp_path, scene(1), 0)))
        assert not output.exists()

    def test_going_on(self, tmp_path: Path, two_shots: tuple[Path, Pictures]) -> None:
        source, true = two_shots
        output = tmp_path / "out.mkv"
        given = recipe(reference=by_hand(tmp_path, true, 0, 14))
        folder = restore.run(source, output, given).folder
        whole = [frame.tobytes() for frame in planes_of(output)]
        assert restore.run(source, output, given).unchanged
        arrays = folder / "plan" / "shot-0000014.1-colorize.npz"
        stored = arrays.read_bytes()
        arrays.unlink()
        output.unlink()
        restore.run(source, output, given)
        assert arrays.read_bytes() == stored, "found again, the same"
        assert [frame.tobytes() for frame in planes_of(output)] == whole
        arrays.write_bytes(stored[:100])
        with pytest.raises(PlanError, match="delete it"):
            restore.run(source, output, given)

    def test_how_strong_is_decided_last(self, tmp_path: Path, two_shots: tuple[Path, Pictures]) -> None:
        source, true = two_shots
        output = tmp_path / "out.mkv"
        reference = by_hand(tmp_path, true, 0, 14)
        folder = restore.run(source, output, recipe(reference=reference)).folder
        full = colours_of(output)
        plan = folder / "plan" / "shot-0000000.json"
        kept = plan.stat().st_mtime_ns
        spreads = []
        for options in ({"saturation": 0.5}, {"strength": 0.5}, {"saturation": 0}, {"strength": 0}):
            restore.run(source, output, recipe(reference=reference, **options))
            spreads.append(float(np.ptp(colours_of(output), axis=3).mean() / np.ptp(full, axis=3).mean()))
        assert spreads == pytest.approx([0.5, 0.5, 0, 0], abs=0.04)
        assert plan.stat().st_mtime_ns == kept, "nothing is analysed again"


HINT = '{"hints": [{"at": %s, "color": "%s", "points": [[%s, 5]]}]}'


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "line 1"),
        ("[]", "dictionary"),
        ('{"hints": []}', "at least 1"),
        ('{"hints": [{"at": 0, "color": "#ff0000"}]}', "points or a stroke"),
        (HINT % (0, "red", 5), "#rrggbb"),
        (HINT % ('"soon"', "#ff0000", 5), "not a time"),
        (HINT % (99, "#ff0000", 5), "behind the end"),
        (HINT % (0, "#ff0000", 500), "outside frames of 128x96"),
        (HINT % (0, "#ff0000", -1), "greater than or equal to 0"),
        ('{"hints": [{"at": 0, "color": "#ff0000", "hue": 3, "points": [[1, 1]]}]}', "no option"),
    ],
)
def test_malformed_hints(tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, words: str) -> None:
    source = write(tmp_path / "in.mkv", scene(3))
    path = tmp_path / "hints.json"
    path.write_text(text)
    output = tmp_path / "out.mkv"
    assert main(["colorize", str(source), str(output), "--hints", str(path), "--model", "none", "-q"]) == 2
    said = capsys.readouterr().err
    assert "hints.json" in said
    assert words in said
    assert not output.exists()


def test_references_that_cannot_be(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    true = scene(3)
    source = write(tmp_path / "in.mkv", true)
    good = still(tmp_path / "good.png", true[0])
    grey = still(tmp_path / "grey.png", np.repeat(true[0].mean(axis=2, keepdims=True), 3, 2))
    wide = still(tmp_path / "wide.png", true[0][:48])
    tiny = still(tmp_path / "tiny.png", true[0][:8, :8])
    torn = tmp_path / "torn.png"
    torn.write_bytes(good.read_bytes()[:200])
    cases = [
        ([f"{tmp_path / 'none.png'}@0"], "no such reference", 1),
        ([f"{good}@0:59"], "behind the end", 2),
        ([f"{good}@now"], "not a time", 2),
        ([f"{grey}@0"], "no colour", 2),
        ([f"{wide}@0"], "matched by likeness", 2),
        ([str(tiny)], "too small", 2),
        ([str(torn)], "torn.png", 1),
        ([str(source)], "must be a picture", 1),
        ([], "nothing names a colour", 2),
    ]
    for references, words, status in cases:
        output = tmp_path / "out.mkv"
        line = ["colorize", str(source), str(output), "--model", "none", "-q"]
        assert main([*line, *(part for name in references for part in ("--reference", name))]) == status, references
        said = capsys.readouterr().err
        assert words in said
        assert said.count("\n") == 1
        assert not output.exists()


def test_a_film_in_colour_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    true = np.concatenate((scene(30), scene(30, GREEN, (0.8, 0.5, 0.6), seed=5)))
    source = tmp_path / "colour.mkv"
    with av.open(str(source), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv444p"
        for picture in true:
            frame = av.VideoFrame.from_ndarray((picture * 255).astype(np.uint8), format="rgb24")
            container.mux(stream.encode(frame.reformat(format="yuv444p")))
        container.mux(stream.encode(None))
    reference = f"{still(tmp_path / 'first.png', true[0][..., ::-1])}@0"
    output = tmp_path / "out.mkv"
    line = ["colorize", str(source), str(output), "--model", "none", "-q", "--codec", "ffv1", "--reference", reference]
    assert main(line) == 1
    assert "--recolor" in capsys.readouterr().err
    assert not output.exists()
    assert main([*line, "--recolor"]) == 0
    assert error(colours_of(output)[:30], np.ascontiguousarray(true[:30, ..., ::-1])) < 12


def test_a_tinted_film(tmp_path: Path) -> None:
    """Sepia is dropped, or kept beneath."""
    true = scene(4)
    source = tmp_path / "sepia.mkv"
    grey = true @ np.array([0.2126, 0.7152, 0.0722], np.float32)
    sepia = (grey[..., None] * np.array([1.1, 0.97, 0.75], np.float32)).clip(0, 1)
    with av.open(str(source), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv444p"
        for picture in sepia:
            frame = av.VideoFrame.from_ndarray((picture * 255).astype(np.uint8), format="rgb24")
            container.mux(stream.encode(frame.reformat(format="yuv444p")))
        container.mux(stream.encode(None))
    found = {}
    for keep in (False, True):
        output = tmp_path / f"{keep}.mkv"
        result = restore.run(source, output, recipe(reference=by_hand(tmp_path, true, 0), keep_tint=keep))
        plan = json.loads((result.folder / "plan" / "shot-0000000.json").read_text())
        assert plan["stages"]["1-colorize"]["values"]["source"] == "tinted"
        found[keep] = rgb_to_lab(torch.from_numpy(colours_of(output)).movedim(-1, 1))[:, 2].mean()
    assert found[True] > found[False] + 4


@settings(max_examples=60, deadline=None)
@given(st.tuples(*[st.floats(0.02, 0.98)] * 3), st.sampled_from([(0.2126, 0.0722), (0.299, 0.114)]))
def test_chroma_gives_the_colour_at_its_luma(color: tuple[float, float, float], weights: tuple[float, float]) -> None:
    rgb = torch.tensor(color).reshape(1, 3, 1, 1)
    luma, expected = chroma.of_rgb(rgb, weights)
    found = chroma.of_lab(luma, chroma.ab_of(rgb), weights)
    assert torch.allclose(found, expected, atol=0.02)
    assert torch.allclose(chroma.to_rgb(luma, expected, weights), rgb, atol=1e-4)


@settings(max_examples=60, deadline=None)
@given(st.floats(0, 1, width=32), st.floats(-1, 1, width=32), st.floats(-1, 1, width=32))
def test_colours_stay_within_gamut(luma: float, cb: float, cr: float) -> None:
    weights = (0.2126, 0.0722)
    grey, wanted = torch.tensor(luma).reshape(1, 1, 1), torch.tensor([cb, cr]).reshape(1, 2, 1, 1)
    found = chroma.within_gamut(grey, wanted, weights)
    rgb = chroma.to_rgb(grey, found, weights)
    assert float(rgb.min()) > -1e-4
    assert float(rgb.max()) < 1 + 1e-4
    assert float((found[0, 0] * wanted[0, 1] - found[0, 1] * wanted[0, 0]).abs()) < 1e-5, "the same hue"


def test_enlarged_colours_end_at_edges() -> None:
    luma = torch.full((120, 160), 0.2)
    luma[:, 83:] = 0.8
    true = torch.where(luma > 0.5, 0.2, -0.1)[None].expand(2, -1, -1)
    low = torch.nn.functional.interpolate(true[None], (30, 40), mode="area")[0]
    plain = torch.nn.functional.interpolate(low[None], (120, 160), mode="bilinear")[0]
    ours = enlarged(low, luma, (120, 160))
    assert float((ours - true).abs().max()) < 0.12
    assert float((ours - true).abs().mean()) < 0.4 * float((plain - true).abs().mean())


def test_memory_of_the_analysis_is_bounded() -> None:
    """What is kept between frames does not grow with the shot: pictures go to the disk."""
    import gc
    import tracemalloc

    stage = build_stage("colorize", {"reference": (), "model": "none", "saturation": 1})
    held = []
    for count in (4, 40):
        analyzer = stage.analyzer()
        assert analyzer is not None
        format = video_format("yuv420p", 320, 240)
        analyzer.begin(Shot(0, 0, count), format)
        gc.collect()
        tracemalloc.start()
        for number, frame in enumerate(frames_of(format, 4) * (count // 4)):
            luma = torch.from_numpy(frame.planes[0][None].astype(np.float32) / 255)
            from restore.frames import FrameBatch

            pixels = torch.zeros((1, 2, 120, 160))
            analyzer.add(FrameBatch(pixels, (number,), slice(0, 1), (True,), 0, format, (luma,)))
        held.append(tracemalloc.get_traced_memory()[0])
        tracemalloc.stop()
    assert held[1] < held[0] + 200_000


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif"])
def test_a_photograph(tmp_path: Path, tiny_colours: Path, suffix: str) -> None:
    """A grey scan with a profile of greys becomes a picture in colour, without it."""
    from PIL import Image

    luma = (scene(1)[0] @ np.array([0.2126, 0.7152, 0.0722], np.float32) * 255).astype(np.uint8)
    source, output = tmp_path / "scan.png", tmp_path / f"out{suffix}"
    Image.fromarray(luma).save(source, icc_profile=b"a profile of greys")
    restore.run(source, output, Recipe.of("colorize", model=str(tiny_colours)))
    with Image.open(output) as made:
        assert made.mode == "RGB"
        assert not made.info.get("icc_profile")
        grey = np.asarray(made, np.float32) @ np.array([0.2126, 0.7152, 0.0722], np.float32)
    assert np.abs(grey - luma).mean() < 2


def test_through_the_library(tmp_path: Path) -> None:
    true = scene(4)
    grey = np.repeat((true @ np.array([0.2126, 0.7152, 0.0722], np.float32))[..., None], 3, 3)
    frames = torch.from_numpy(grey).movedim(-1, 1)
    made = api.apply("colorize", frames, model="none", reference=by_hand(tmp_path, true, 0))
    assert error(made.movedim(1, -1).numpy(), true) < 3


class TestContract(StageContract):
    """Beside `test_contract.py`: on grey, where planes are added."""

    pix_fmts = ("gray",)

    @pytest.fixture
    def stage(self, tmp_path: Path) -> Stage[Any]:
        row = {"at": 0, "color": "#804020", "points": [[10, 10]]}
        return build_stage("colorize", {"model": "none", "hints": hints(tmp_path / "hints.json", row)})

    @pytest.fixture
    def off(self, tmp_path: Path) -> Stage[Any]:
        row = {"at": 0, "color": "#804020", "points": [[10, 10]]}
        options = {"model": "none", "hints": hints(tmp_path / "hints.json", row), "strength": 0}
        return build_stage("colorize", options)

    def test_range_is_kept(self, stage: Stage[Any], format: VideoFormat) -> None:
        """Black and white have no room for colour."""
        for level in (16, 235):
            [done] = self.render(stage, [Frame(0, (np.full((format.height, format.width), level, np.uint8),))], format)
            assert (done.planes[0] == level).all()
            assert all(abs(plane.astype(int) - 128).max() <= 2 for plane in done.planes[1:])

    def check_off(self, off: Stage[Any], frames: Sequence[Frame], done: Sequence[Frame], format: VideoFormat) -> None:
        for before, after in zip(frames, done, strict=True):
            assert np.array_equal(before.planes[0], after.planes[0])
            assert all((plane == 128).all() for plane in after.planes[1:])
