"""The C++ kernel's life before its first use: compiling, caching, and what happens where that is not possible."""

import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from uniter_ot.backends.cpp import build, solve
from uniter_ot.backends.solution import Steps

pytestmark = pytest.mark.skipif(build.library() is None, reason=f"no C++ kernel: {build.why_not()}")

STEPS = Steps(beta=0.5, stages=((2, 1),))


@pytest.fixture(autouse=True)
def _forgetful():
    """The outcome is kept for the whole process: forget it before and after."""
    build._first_outcome.cache_clear()
    yield
    build._first_outcome.cache_clear()


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache with the kernel in it."""
    root = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("UNITER_CACHE", str(root))
        build._first_outcome.cache_clear()
        assert build.library() is not None
    return root


def kernels(root: Path) -> list[Path]:
    return sorted((root / "ot").glob("*.so"))


def refused(caplog: pytest.LogCaptureFixture, reason: str) -> None:
    """There is no library, for that reason, told in one line however often it is asked for."""
    with caplog.at_level(logging.INFO, logger="uniter_ot"):
        assert build.library() is None
        assert build.library() is None
    assert reason in (build.why_not() or "")
    assert len(caplog.records) == 1
    assert reason in caplog.records[0].getMessage()
    with pytest.raises(RuntimeError, match="cpp backend is not available"):
        solve(torch.rand(1, 2, 2), torch.full((1, 2), 0.5), torch.full((1, 2), 0.5), STEPS)


def test_the_cache_is_private_and_holds_one_file(compiled):
    assert (compiled / "ot").stat().st_mode & 0o777 == 0o700
    assert [path.name for path in (compiled / "ot").iterdir()] == [path.name for path in kernels(compiled)]
    assert len(kernels(compiled)) == 1


def test_a_cached_kernel_is_not_compiled_again(compiled, monkeypatch):
    monkeypatch.setenv("UNITER_CACHE", str(compiled))
    monkeypatch.setattr(build, "_compile", lambda *_: pytest.fail("compiled again"))
    assert build.library() is not None
    assert build.why_not() is None


def test_another_processor_or_compiler_gets_its_own_kernel(compiled, monkeypatch):
    compiler = build._compiler()
    here = build._fingerprint(compiler)
    assert kernels(compiled)[0].name.startswith(f"ipot-{here}-")
    assert build._fingerprint([*compiler, "-O1"]) != here
    monkeypatch.setattr(build, "_processor", lambda: "another processor")
    assert build._fingerprint(compiler) != here


@pytest.mark.parametrize("damage", [lambda content: content[: len(content) // 2], lambda content: content[:-1] + b"?"])
def test_a_damaged_file_is_built_anew(compiled, monkeypatch, tmp_path, damage):
    monkeypatch.setenv("UNITER_CACHE", str(tmp_path))
    good = kernels(compiled)[0]
    (tmp_path / "ot").mkdir()
    (tmp_path / "ot" / good.name).write_bytes(damage(good.read_bytes()))
    asked = []

    def put_the_good_one_back(compiler: list[str], directory: Path, name: str) -> Path:
        asked.append(name)
        (directory / good.name).write_bytes(good.read_bytes())
        return directory / good.name

    monkeypatch.setattr(build, "_compile", put_the_good_one_back)
    assert build.library() is not None
    assert len(asked) == 1


def test_a_library_that_answers_wrongly_is_refused(compiled, monkeypatch, caplog):
    monkeypatch.setenv("UNITER_CACHE", str(compiled))
    monkeypatch.setattr(build.math, "exp", lambda _: 0.25)
    refused(caplog, "known answer")


def test_no_compiler(monkeypatch, caplog, tmp_path):
    monkeypatch.setenv("UNITER_CACHE", str(tmp_path))
    monkeypatch.setenv("CXX", "no-such-compiler")
    monkeypatch.setenv("PATH", str(tmp_path))
    refused(caplog, "no C++ compiler")


def test_a_compile_error(monkeypatch, caplog, tmp_path):
    source = tmp_path / "broken.cpp"
    source.write_text("int main( {")
    monkeypatch.setenv("UNITER_CACHE", str(tmp_path))
    monkeypatch.setattr(build, "_sources", lambda: [source])
    refused(caplog, "broken.cpp")
    assert not list((tmp_path / "ot").iterdir())


def test_flags_of_the_compiler_count(monkeypatch, caplog, tmp_path):
    monkeypatch.setenv("UNITER_CACHE", str(tmp_path))
    monkeypatch.setenv("CXX", f"{build._compiler()[0]} --no-such-flag")
    refused(caplog, "no-such-flag")


def test_a_processor_the_compiler_does_not_know(monkeypatch, tmp_path):
    """Without -march=native it still compiles."""
    calls = []

    def run(command: list[str]) -> str:
        if "--version" in command:
            return "a compiler"
        calls.append(command)
        if "-march=native" in command:
            raise build._Unavailable("unknown processor")
        Path(command[-1]).write_bytes(b"library")
        return ""

    monkeypatch.setattr(build, "_run", run)
    path = build._compile(["c++"], tmp_path, "ipot-x")
    assert ["-march=native" in command for command in calls] == [True, False, False]  # once more, and the linker
    assert path.read_bytes() == b"library"


def test_the_compiler_hangs(monkeypatch, caplog, tmp_path):
    slow = tmp_path / "slow-compiler"
    slow.write_text("#!/bin/sh\nexec sleep 60\n")
    slow.chmod(0o755)
    monkeypatch.setenv("UNITER_CACHE", str(tmp_path))
    monkeypatch.setenv("CXX", str(slow))
    monkeypatch.setattr(build, "LONGEST_RUN", 0.1)
    refused(caplog, "timed out")


def test_a_cache_that_cannot_be_made(monkeypatch, caplog, tmp_path):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("UNITER_CACHE", str(tmp_path / "file"))
    refused(caplog, "file")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_cache_that_cannot_be_written(monkeypatch, caplog, tmp_path):
    (tmp_path / "ot").mkdir(mode=0o500)
    monkeypatch.setenv("UNITER_CACHE", str(tmp_path))
    refused(caplog, "Permission denied")


def test_a_full_disk(monkeypatch, caplog, tmp_path):
    def fails(**_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setenv("UNITER_CACHE", str(tmp_path))
    monkeypatch.setattr(build.tempfile, "TemporaryDirectory", fails)
    refused(caplog, "No space left")


def test_a_cache_of_another_user(monkeypatch, caplog, tmp_path):
    monkeypatch.setenv("UNITER_CACHE", str(tmp_path))
    (tmp_path / "ot").mkdir()
    owner = (tmp_path / "ot").stat().st_uid
    monkeypatch.setattr(build.os, "getuid", lambda: owner + 1)
    if owner == 0:
        os.chown(tmp_path / "ot", 12345, -1)
    refused(caplog, "another user")


def test_windows(monkeypatch, caplog):
    monkeypatch.setattr(build.platform, "system", lambda: "Windows")
    refused(caplog, "Windows")


def test_several_processes_start_at_once(tmp_path):
    program = (  # the module alone: it needs no torch
        "import importlib.util as load, sys; spec = load.spec_from_file_location('build', sys.argv[1]);"
        "build = load.module_from_spec(spec); spec.loader.exec_module(build);"
        "sys.exit(build.why_not())"
    )
    hasty = tmp_path / "hasty-compiler"
    hasty.write_text(f'#!/bin/sh\nexec {build._compiler()[0]} "$@" -O0\n')
    hasty.chmod(0o755)
    command = [sys.executable, "-c", program, build.__file__]
    environment = os.environ | {"UNITER_CACHE": str(tmp_path / "cache"), "CXX": str(hasty)}
    processes = [subprocess.Popen(command, env=environment) for _ in range(3)]
    assert [process.wait(timeout=120) for process in processes] == [0, 0, 0]
    assert kernels(tmp_path / "cache") == sorted((tmp_path / "cache" / "ot").iterdir())


def test_importing_compiles_nothing(tmp_path):
    environment = os.environ | {"UNITER_CACHE": str(tmp_path)}
    subprocess.run([sys.executable, "-c", "import uniter_ot.backends.cpp"], env=environment, check=True)
    assert not list(tmp_path.iterdir())
