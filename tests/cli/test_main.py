"""The command itself: help without heavy imports, usage errors in one line, the listing of recipes."""

import subprocess
import sys

import pytest

from uniter_cli.recipe_files import shipped_recipes

HEAVY = ("torch", "numpy", "accelerate", "matplotlib", "zarr", "tokenizers", "rich.progress")


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        *([name, "--help"] for name in ("pretrain", "evaluate", "predict", "ensemble")),
        ["data", "import", "nlvr", "--help"],
    ],
)
def test_help_imports_nothing_heavy(arguments):
    code = (
        "import sys\nfrom uniter_cli.main import app\n"
        f"try:\n    app({arguments!r})\nexcept SystemExit as end:\n    assert end.code == 0\n"
        f"print('LOADED', [name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "Usage" in done.stdout
    assert "LOADED []" in done.stdout


def test_version(uniter):
    assert uniter("--version").stdout.startswith("uniter 0.")


def test_recipes_are_listed_and_shown(uniter):
    listed = uniter("recipes", "list").stdout
    assert all(name in listed for name in shipped_recipes())
    assert "lr = 0.0015" in uniter("recipes", "show", "quickstart").stdout


USAGE = {
    "unknown task": (["--tasks", "mlm,itn"], "itn"),
    "wra without itm": (["--tasks", "mlm,wra"], "itm"),
    "unknown key": (["--set", "optimizer.learning_rate=1"], "learning_rate"),
    "no value": (["--set", "steps"], "expected KEY=VALUE"),
    "unknown recipe": (["--recipe", "quikstart"], "did you mean 'quickstart'"),
    "bad weight": (["--data", "x,weight=-1"], "weight must be a positive number"),
    "bad option": (["--data", "x,wieght=1"], "wieght=1"),
    "unknown preset": (["--set", "model.preset=huge"], "tiny, base, large"),
    "unknown model field": (["--set", "model.config.layers=3"], "layers"),
    "resume with more": (["--resume", "x", "--steps", "3"], "give no other option"),
}


@pytest.mark.parametrize("case", USAGE, ids=lambda case: case.replace(" ", "-"))
def test_usage_errors_are_one_line(case, uniter, tiny_scenes, tmp_path):
    arguments, message = USAGE[case]
    data = [] if any(a in ("--data", "--resume") for a in arguments) else ["--data", tiny_scenes / "captions"]
    out = [] if "--resume" in arguments else ["--out", tmp_path / "run"]
    done = uniter("pretrain", *arguments, *data, *out, check=False)
    assert done.returncode == 2, done.stderr
    assert message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "run").exists()
