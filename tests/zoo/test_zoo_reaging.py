"""Re-ageing networks through the zoo: built from a person's checkpoint, wrong files refused in one line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import save_file

from restore import zoo
from restore.cli.models import models
from restore.errors import OptionError, WeightsError
from restore.nets.fran import ReagingUNet


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """A small network as a checkpoint of training, wrapped."""
    torch.manual_seed(4)
    net = ReagingUNet((4, 8, 16, 32, 64))
    torch.save({"model_state_dict": net.state_dict(), "epoch": 3}, tmp_path / "best_unet_model.pth")
    return tmp_path / "best_unet_model.pth"


@torch.inference_mode()
def test_a_checkpoint_is_built(checkpoint: Path) -> None:
    network = zoo.load_reaging_network(checkpoint)
    assert (network.id, network.licence) == ("best_unet_model", "not stated")
    assert network.module.widths == (4, 8, 16, 32, 64)
    assert not network.module.training
    ages = torch.tensor([40.0])
    assert network.module(torch.rand(1, 3, 32, 32), ages, ages).dtype == torch.float32


def test_it_is_imported_under_a_name_and_told_for_what_it_is(checkpoint: Path) -> None:
    assert zoo.import_file(checkpoint, name="my-fran").kind == "reage"
    assert zoo.load_reaging_network("my-fran").id == "my-fran"
    shown = CliRunner().invoke(models, ["show", "my-fran", "--json"])
    assert json.loads(shown.output)["kind"] == "reage"


def test_the_published_one_has_no_hash_and_is_not_fetched() -> None:
    with pytest.raises(WeightsError, match=r"no hash .* `restore models import FILE`"):
        zoo.load_reaging_network("fran")


def test_other_networks_are_refused(tmp_path: Path, checkpoint: Path) -> None:
    with pytest.raises(OptionError, match="reel-x2 does not re-age"):
        zoo.load_reaging_network("reel-x2")
    save_file({"weight": torch.ones(3)}, tmp_path / "other.safetensors")
    with pytest.raises(WeightsError, match="not a re-ageing network"):
        zoo.load_reaging_network(tmp_path / "other.safetensors")
    state = zoo.load_state_dict(checkpoint)
    save_file({**state, "final_conv.weight": torch.ones(3, 5, 1, 1)}, tmp_path / "odd.safetensors")
    with pytest.raises(WeightsError, match="resembles a re-ageing network") as caught:
        zoo.load_reaging_network(tmp_path / "odd.safetensors")
    assert "\n" not in str(caught.value)


def test_what_could_run_code_is_not_opened(tmp_path: Path) -> None:
    torch.save(ReagingUNet((4, 8, 16, 32, 64)), tmp_path / "whole.pth")
    with pytest.raises(WeightsError, match="could run code"):
        zoo.load_reaging_network(tmp_path / "whole.pth")


def test_the_trap_is_named(material: Path) -> None:
    with pytest.raises(WeightsError, match="is not RetinaFace") as caught:
        zoo.load_reaging_network(material / "trap_mobilenet0.25_Final.pth")
    assert "\n" not in str(caught.value)
