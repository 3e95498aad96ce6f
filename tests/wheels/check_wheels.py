"""Build every wheel, install each alone over an environment of torch alone, prove what it pulls in, smoke-test it.

Torch's environment is made once by the Makefile; each package gets a fresh virtual environment layered over it.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from layer import layer, site_packages

ROOT = Path(__file__).resolve().parents[2]
# The direct requirements each wheel may declare outside its extras: DESIGN's table, held by this check.
DEPENDENCIES = {
    "uniter-ot": {"torch"},
    "uniter-core": {"torch", "einops", "safetensors", "huggingface-hub"},
    "uniter-data": {"uniter-core", "numpy", "pillow", "zarr", "numcodecs", "google-crc32c", "fsspec", "tokenizers"},
    "uniter-tasks": {"uniter-core", "uniter-ot", "einops", "numpy"},
    "uniter-cli": {
        "uniter-core", "uniter-ot", "uniter-data", "uniter-tasks",
        "typer", "rich", "accelerate", "matplotlib", "tensorboard", "tomli-w", "zarr", "safetensors",
    },
}  # fmt: skip


def run(*command: str | Path, cwd: Path | None = None, env: dict[str, str] | None = None) -> str:
    """Run a command; its output, or an exit with what it said."""
    done = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, check=False, cwd=cwd, env=env
    )
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}")
    return done.stdout


def canonical(name: str) -> str:
    """A distribution's name as PEP 503 normalises it."""
    return name.lower().replace("_", "-").replace(".", "-")


def planned(python: Path, wheels: Path, package: str, report: Path) -> list[dict[str, object]]:
    """What pip would install for `package` over torch's environment: the metadata of each distribution."""
    run(python, "-m", "pip", "install", "--quiet", "--dry-run", "--find-links", wheels, "--report", report, package)
    return [item["metadata"] for item in json.loads(report.read_text())["install"]]


def check(package: str, wheels: Path, torch_env: Path, scratch: Path) -> str:
    """Install one wheel alone and smoke-test it; a line that says what was proved."""
    environment = scratch / package
    run(sys.executable, "-m", "venv", environment)
    layer(environment, torch_env)
    python = environment / "bin" / "python"
    metadata = planned(python, wheels, package, scratch / "report.json")
    (own,) = (item for item in metadata if canonical(str(item["name"])) == package)
    requires = own.get("requires_dist", [])
    declared = {
        canonical(str(line).split(";")[0].split("[")[0].split(">")[0].split("<")[0].split("=")[0].strip())
        for line in (requires if isinstance(requires, list) else [])
        if "extra ==" not in str(line)
    }
    if declared != DEPENDENCIES[package]:
        sys.exit(f"{package} requires {sorted(declared)}, expected {sorted(DEPENDENCIES[package])}")
    installed = {canonical(str(item["name"])) for item in metadata}
    with_torch = {canonical(p.name.split("-")[0]) for p in site_packages(torch_env).glob("*.dist-info")}
    if package == "uniter-ot" and installed - with_torch != {package}:
        sys.exit(f"uniter-ot pulls in more than torch and its needs: {sorted(installed - with_torch)}")
    run(python, "-m", "pip", "install", "--quiet", "--find-links", wheels, package)
    smoke = ROOT / "tests" / "wheels" / f"smoke_{package.removeprefix('uniter-')}.py"
    said = run(python, "-W", "error::DeprecationWarning:uniter_", smoke).strip()
    if package == "uniter-ot":
        said += f"; its own tests: {own_tests(python, scratch)}"
    return f"{package}: over torch {', '.join(sorted(installed)) or 'nothing'} ({said})"


def own_tests(python: Path, scratch: Path) -> str:
    """Run uniter-ot's tests and its README's examples against the installed wheel; pytest's last line.

    They run from a copy that has no source beside it. What needs more than torch and the test tools (the exact oracle,
    plots) skips there and has run in `make pytest`.
    """
    run(python, "-m", "pip", "install", "--quiet", "pytest", "hypothesis")
    copy = scratch / "copy"
    shutil.copytree(ROOT / "tests" / "ot", copy / "tests" / "ot")
    (copy / "packages" / "uniter-ot").mkdir(parents=True)
    for name in ("tests/conftest.py", "packages/uniter-ot/README.md", "pyproject.toml"):
        shutil.copy(ROOT / name, copy / name)
    reference = {
        "UNITER_GOLDEN": ROOT.parent / "shared" / "golden",
        "UNITER_REAL_DATA": ROOT.parent / "shared" / "data",
    }
    environment = {name: str(folder) for name, folder in reference.items()} | os.environ
    command = [python, "-m", "pytest", "-q", "-m", "not soak", "tests/ot"]
    return run(*command, cwd=copy, env=environment).strip().splitlines()[-1]


def main() -> None:
    """Check all five packages."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--torch-env", type=Path, required=True, help="a virtual environment with torch alone")
    torch_env = parser.parse_args().torch_env
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        for package in DEPENDENCIES:
            source = ROOT / "packages" / package
            run(sys.executable, "-m", "build", "--wheel", "--outdir", scratch / "wheels", source)
        for package in DEPENDENCIES:
            print(check(package, scratch / "wheels", torch_env, scratch), flush=True)
    print(f"{len(DEPENDENCIES)} wheels install alone and pass their smoke tests")


if __name__ == "__main__":
    main()
