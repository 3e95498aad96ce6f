"""What fewer bytes cost: ``python benchmarks/compact.py``.

The same short pre-training on generated scenes over stores in four formats: features in float16 or int8, soft labels
with all classes or with the likeliest three and the mass of the others. What was learnt is measured on the same full
validation data each time. One seed: differences of a percent are noise.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from timing import machine

from uniter_data import RegionStore, repack
from uniter_data.scenes import ensure_scenes

FORMATS = [(precision, top) for precision in ("float16", "int8") for top in (0, 3)]
METRICS = ("mrc-kl/loss", "mrc-kl/accuracy", "mrc/accuracy", "mrfr/loss", "itm/accuracy", "mlm/accuracy")
# As tests/integration/test_learning.py trains: short sentences, alignment that weighs enough to be seen.
ARGUMENTS = ["--tasks", "mlm,itm,mrc,mrc-kl,mrfr,wra", "--set", "tasks.itm=6", "--set", "masking.wra_weight=1"]


def main() -> None:
    """Print a line a format."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    print(
        f"{machine()}\n{options.steps} steps on scenes:snaps, seed {options.seed}; after them, on its validation split"
    )
    print(
        f"  {'features':<8} {'classes':>7} {'bytes a region':>14}" + "".join(f"{name:>17}" for name in METRICS),
        flush=True,
    )
    full = ensure_scenes() / "snaps"
    with tempfile.TemporaryDirectory() as name:
        for precision, top in FORMATS:
            folder = Path(name) / f"{precision}-{top}" / "snaps"
            repack(full, folder, precision=precision, top_labels=top)
            _measure_on(full, folder)
            run = folder.parent / "run"
            command = [
                sys.executable,
                "-m",
                "uniter_cli",
                "pretrain",
                "--data",
                str(folder),
                "--out",
                str(run),
                *ARGUMENTS,
            ]
            command += ["--steps", str(options.steps), "--seed", str(options.seed)]
            subprocess.run(command, check=True, capture_output=True)
            after = json.loads((run / "results.json").read_text())["after"]
            figures = "".join(f"{after[metric]:17.4f}" for metric in METRICS)
            print(f"  {precision:<8} {top or 'all':>7} {_bytes(folder):14,}{figures}", flush=True)


def _measure_on(full: Path, folder: Path) -> None:
    """Have a repacked data set validate on the regions of the full one."""
    manifest = json.loads((folder / "dataset.json").read_text())
    original = json.loads((full / "dataset.json").read_text())
    manifest["splits"]["val"]["regions"] = str((full / original["splits"]["val"]["regions"]).resolve())
    (folder / "dataset.json").write_text(json.dumps(manifest))


def _bytes(folder: Path) -> int:
    """Of features and labels, a training region."""
    store = folder / json.loads((folder / "dataset.json").read_text())["splits"]["train"]["regions"]
    arrays = RegionStore(store).format.arrays
    return sum(layout.row_bytes for name, layout in arrays.items() if name.startswith(("feature", "label")))


if __name__ == "__main__":
    main()
