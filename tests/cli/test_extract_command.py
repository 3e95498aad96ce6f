"""`uniter data extract`: what a person types reaches the extractors; the example of the docs works as it stands."""

import re
import sys
from pathlib import Path
from time import gmtime, strftime
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from rich.console import Console
from typer.testing import CliRunner

from uniter_cli import rates
from uniter_cli.errors import UsageError
from uniter_cli.main import app
from uniter_data import RegionStore

DOCS = Path(__file__).parents[2] / "docs" / "data" / "extract.md"
BOTTOM_UP = """
import torch

def load_detector(device):
    def detect(picture):
        width, height = picture.size
        boxes = torch.tensor([[0, 0, width, height], [0, 0, width / 2, height]], device=device)
        return torch.ones(2, 2048, device=device), boxes, torch.full((2, 1601), 1 / 1601, device=device)
    return detect
"""


def invoke(*arguments: str | Path) -> str:
    done = CliRunner().invoke(app, ["data", "extract", *map(str, arguments)], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number in range(3):
        noise = np.random.default_rng(number).integers(0, 256, (48, 64, 3), dtype=np.uint8)
        Image.fromarray(noise).save(folder / f"{number}.png")
    return folder


def test_the_example_of_the_docs_is_plugged_in(pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    example = re.search(r"```python\n(# my_port\.py\n.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)
    assert example
    (tmp_path / "my_port.py").write_text(example[1], encoding="utf-8")
    (tmp_path / "bottom_up.py").write_text(BOTTOM_UP, encoding="utf-8")
    (tmp_path / "objects_vocab.txt").write_text("\n".join(f"object {number}" for number in range(1600)))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    said = invoke(pictures, "--out", "regions.zarr", "--extractor", "my_port:BottomUp", "--device", "cpu")
    assert "features 2048 wide from bottom-up-attention" in said
    store = RegionStore(tmp_path / "regions.zarr")
    assert (store.num_images, store.region_dim, store.num_classes, store.offsets[-1]) == (3, 2048, 1601, 6)


def test_a_grid_is_extracted_from_a_folder(pictures: Path, tmp_path: Path) -> None:
    pytest.importorskip("timm", reason="needs uniter-data[extract]")
    (pictures / "empty.jpg").touch()
    out = tmp_path / "grid.zarr"
    options = ("--weights", "random", "--grid", "3x2", "--levels", "0,1", "--device", "cpu")
    assert "empty: the file is empty" in invoke(pictures, "--out", out, *options)
    store = RegionStore(out)
    assert (store.num_images, store.region_dim, store.region_lengths.tolist()) == (3, 128, [6, 6, 6])
    assert "levels 0+1 on 1 x 1 cells, a grid of 3 x 2 regions, standardised" in store.attributes["extractor"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--detector", "a", "--extractor", "b:c"), "give one of them"),
        (("--boxes", "detected"), "grid goes with --model"),
        (("--boxes", "grid", "--detector", "a"), "grid goes with --model"),
        (("--boxes", "some"), "expected given, grid, detected"),
        (("--grid", "7"), "grid: expected columns and rows"),
        (("--grid", "7xa"), "expected whole numbers with 'x' between them"),
        (("--levels", "first"), "expected whole numbers with ',' between them"),
    ],
)
def test_wrong_options_are_named(pictures: Path, options: tuple[str, ...], said: str) -> None:
    with pytest.raises(ValueError, match=said) as error:
        invoke(pictures, "--out", "never.zarr", "--weights", "random", *options)
    assert isinstance(error.value, UsageError) or "--grid" in options


def test_progress_without_a_terminal_is_a_line_now_and_then(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = iter([0.0, 10.0, 20.0, 50.0, 60.0])
    monkeypatch.setattr(rates, "console", Console(width=200))
    monkeypatch.setattr(rates, "time", SimpleNamespace(monotonic=lambda: next(clock), strftime=strftime, gmtime=gmtime))
    with rates.rated_progress("pictures") as progress:
        for done in (100, 150, 300, 320):  # 100 were done by an earlier run
            progress("extracting regions", done, 1_300)
    said = capsys.readouterr().out.splitlines()
    assert said == ["extracting regions  300/1,300  5.0 pictures/s  00:03:20 left"]
