"""Damage is found before a run, and data sets are written anew, through the commands."""

from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from uniter_cli.commands.data import app
from uniter_cli.commands.pretrain import pretrain
from uniter_cli.recipe import DataRecipe
from uniter_cli.verification import verify_before_run
from uniter_data import RegionStore, RegionWriter, Split, TextWriter, Tokenizer, write_dataset


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    """One picture with one sentence."""
    tokenizer = Tokenizer.build(["a red ball"])
    with RegionWriter(tmp_path / "pairs" / "regions.zarr", region_dim=8) as regions:
        regions.append("ball.png", np.ones((3, 8)), np.full((3, 6), 0.5))
        regions.publish()
    with TextWriter(tmp_path / "pairs" / "texts.zarr", tokenizer=tokenizer) as texts:
        texts.append("1", "a red ball", "ball.png")
        texts.publish()
    splits = {"train": Split(texts="texts.zarr", regions="regions.zarr")}
    return write_dataset(tmp_path / "pairs", name="pairs", splits=splits, tokenizer=tokenizer)


def flip(path: Path) -> None:
    raw = bytearray(path.read_bytes())
    raw[3] ^= 1
    path.write_bytes(raw)


def test_a_run_on_damaged_data_does_not_begin(pairs: Path, tmp_path: Path):
    verify_before_run({"pairs": DataRecipe(path=str(pairs))})
    flip(pairs / "regions.zarr" / "features" / "c" / "0" / "0")
    with pytest.raises(ValueError, match=r"array features, chunk 0.*1 finding\(s\): uniter data verify") as error:
        pretrain(data=[str(pairs)], recipe="quickstart", out=tmp_path / "run", verify=True)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "run").exists()


def test_repack_writes_what_was_asked_for(pairs: Path, tmp_path: Path):
    asked = ["repack", str(pairs), str(tmp_path / "small"), "--layout", "compressed", "--precision", "int8"]
    result = CliRunner().invoke(app, asked)
    assert result.exit_code == 0, result.output
    store = RegionStore(tmp_path / "small" / "regions" / "0.zarr")
    assert (store.format.layout, store.format.precision) == ("compressed", "int8")
    assert "every checksum is right" in CliRunner().invoke(app, ["verify", str(tmp_path / "small")]).output
