"""Fixtures shared by all tests: where reference data lie, tiny scenes, the command, hypothesis without a clock."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import settings

ROOT = Path(__file__).resolve().parent.parent

# Scripts that run inside other environments: `make wheels`.
collect_ignore = ["wheels"]

# Shared 2-core machines stall now and then; a deadline would fail a sound property.
settings.register_profile("uniter", deadline=None, print_blob=True)
settings.load_profile("uniter")


def _folder(variable: str, default: str) -> Path:
    folder = Path(os.environ.get(variable, ROOT / ".." / "shared" / default)).resolve()
    if not folder.is_dir():
        pytest.skip(f"{folder} is absent: set {variable} to a folder of the layout its README describes")
    return folder


@pytest.fixture(scope="session")
def golden_dir() -> Path:
    """Outputs of the official implementation."""
    return _folder("UNITER_GOLDEN", "golden")


@pytest.fixture(scope="session")
def real_data_dir() -> Path:
    """Real annotations, features and pictures."""
    return _folder("UNITER_REAL_DATA", "data")


@pytest.fixture(scope="session")
def tiny_scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The smallest scenes: a root that holds the data sets captions, phrases and snaps."""
    from uniter_data.scenes import TINY, generate_scenes

    return generate_scenes(tmp_path_factory.mktemp("scenes") / "tiny", sizes=TINY)


@pytest.fixture(scope="session")
def tiny_annotations(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Official files of every task about the pictures of `tiny_scenes`, a folder each."""
    from uniter_data.scenes import TINY
    from uniter_data.scenes.annotations import generate_annotations

    return generate_annotations(tmp_path_factory.mktemp("annotations") / "tiny", sizes=TINY)


@pytest.fixture(scope="session")
def tiny_tasks(tiny_scenes: Path, tiny_annotations: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data sets imported from them, a folder each, named as the tasks."""
    from uniter_data.scenes.annotations import import_task_data

    folder = tmp_path_factory.mktemp("tasks")
    for task in ("vqa", "vcr", "nlvr2", "snli-ve", "refexp"):
        import_task_data(task, folder / task, scenes=tiny_scenes, annotations=tiny_annotations)
    return folder


@pytest.fixture(scope="session")
def uniter(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run the command in a process of its own, as a person would: `uniter("pretrain", "--steps", "3", cwd=…)`."""
    home = tmp_path_factory.mktemp("home")

    def run(
        *arguments: str | Path, processes: int = 1, cwd: Path = home, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "uniter_cli", *map(str, arguments)]
        if processes > 1:
            launcher = ["torch.distributed.run", "--nproc-per-node", str(processes), "--master-port", _free_port()]
            command[1:2] = ["-m", *launcher, "-m"]
        done = subprocess.run(command, cwd=cwd, env=command_environment(), capture_output=True, text=True, check=False)
        if check and done.returncode:
            said = f"{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
            pytest.fail(f"{' '.join(command)} ended with {done.returncode}\n{said}")
        return done

    return run


@dataclass(frozen=True)
class Said:
    """What a command of a session did: its exit status and what it wrote."""

    status: int
    stdout: str
    stderr: str


@pytest.fixture(scope="session")
def uniter_session() -> Callable[[Iterable[Iterable[str | Path]]], list[Said]]:
    """Run one command after another in one process of their own, which starts once: a start costs seconds."""

    def run(commands: Iterable[Iterable[str | Path]]) -> list[Said]:
        lines = json.dumps([[str(argument) for argument in command] for command in commands])
        done = subprocess.run(
            [sys.executable, "-c", SESSION], input=lines, env=command_environment(), capture_output=True, text=True
        )
        if done.returncode:
            pytest.fail(f"the session ended with {done.returncode}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}")
        return [Said(*each) for each in json.loads(done.stdout)]

    return run


SESSION = """
import contextlib, io, json, sys
from uniter_cli.main import run
said = []
for arguments in json.load(sys.stdin):
    out, err, sys.argv, status = io.StringIO(), io.StringIO(), ["uniter", *arguments], 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            run()
        except SystemExit as end:
            status = end.code or 0
    said.append((status, out.getvalue(), err.getvalue()))
json.dump(said, sys.stdout)
"""


def command_environment() -> dict[str, str]:
    """One thread a process, so that sums are added in the same order on every machine; no colour, wide lines."""
    return os.environ | {"OMP_NUM_THREADS": "1", "COLUMNS": "200", "NO_COLOR": "1", "TERM": "dumb"}


def _free_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])
