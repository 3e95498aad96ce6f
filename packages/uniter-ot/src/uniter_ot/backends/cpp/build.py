"""Compiles the kernel on first use, keeps the library in a cache directory, and loads it.

The file's name holds a hash of everything that decides its content (sources, flags, compiler, processor) and a hash of
the content itself, so that a damaged file is noticed before it is loaded. It is written beside its place and moved
there at once: several processes may start together. A library is trusted after it has solved a problem of known answer.
"""

import ctypes
import functools
import hashlib
import logging
import math
import os
import platform
import shlex
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

__all__ = ["Request", "library", "why_not"]

COMPILERS = ("c++", "g++", "clang++")
FLAGS = ("-std=c++17", "-O3", "-fPIC", "-pthread", "-Wno-psabi")
LONGEST_RUN = 120  # seconds of the compiler

logger = logging.getLogger("uniter_ot")
_lock = threading.Lock()


class Request(ctypes.Structure):
    """The kernel's one argument, `Request` in problem.h."""

    _fields_ = (
        *((name, ctypes.c_void_p) for name in ("cost", "word_weights", "region_weights")),
        *((name, ctypes.c_int64) for name in ("pairs", "words", "regions")),
        ("beta", ctypes.c_double),
        ("counts", ctypes.c_void_p),
        ("powers", ctypes.c_void_p),
        ("stages", ctypes.c_int64),
        ("inner", ctypes.c_int64),
        ("relaxation", ctypes.c_double),
        ("threads", ctypes.c_int64),
        *((name, ctypes.c_void_p) for name in ("plan", "distance", "word_error", "region_error")),
        *((name, ctypes.c_void_p) for name in ("word_potential", "region_potential")),
    )


class _Unavailable(RuntimeError):
    """Why there is no kernel on this machine."""


def library() -> ctypes.CDLL | None:
    """The loaded kernel, compiled if need be; None, after one line in the log, where that is not possible."""
    return _outcome()[0]


def why_not() -> str | None:
    """Why `library` gives None; None where it gives a library."""
    return _outcome()[1]


def _outcome() -> tuple[ctypes.CDLL | None, str | None]:
    with _lock:
        return _first_outcome()


@functools.cache
def _first_outcome() -> tuple[ctypes.CDLL | None, str | None]:
    try:
        return _cached_or_compiled(), None
    except (OSError, RuntimeError) as error:
        reason = str(error) or type(error).__name__
        logger.warning("No compiled kernel for optimal transport, torch does its work: %s", reason)
        return None, reason


def _cached_or_compiled() -> ctypes.CDLL:
    if platform.system() == "Windows":
        raise _Unavailable("it is not built on Windows")
    compiler = _compiler()
    directory = _cache_directory()
    name = f"ipot-{_fingerprint(compiler)}"
    for path in directory.glob(f"{name}-*.so"):
        if path.stem == f"{name}-{_digest(path.read_bytes())}":
            return _load(path)
        logger.debug("%s is damaged", path)
        path.unlink(missing_ok=True)
    return _load(_compile(compiler, directory, name))


def _compiler() -> list[str]:
    for command in (shlex.split(os.environ.get("CXX", "")), *([name] for name in COMPILERS)):
        if command and (found := shutil.which(command[0])):
            return [found, *command[1:]]
    raise _Unavailable(f"no C++ compiler found (looked for $CXX, {', '.join(COMPILERS)})")


def _cache_directory() -> Path:
    root = os.environ.get("UNITER_CACHE")
    directory = (Path(root) if root else Path.home() / ".cache" / "uniter") / "ot"
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    if directory.stat().st_uid not in (0, os.getuid()):
        raise _Unavailable(f"{directory} belongs to another user; $UNITER_CACHE names another place")
    return directory


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:24]


def _fingerprint(compiler: list[str]) -> str:
    parts = [f"{source.name}\n{source.read_text(encoding='utf-8')}" for source in _sources()]
    parts += [repr((compiler, _flags(compiler), platform.machine())), _run([*compiler, "--version"]), _processor()]
    return _digest("\0".join(parts).encode())


def _flags(compiler: list[str]) -> tuple[str, ...]:
    """With OpenMP where the runtime that torch has loaded is the one that this compiler's code calls: GNU's.

    Nothing is linked against, so that the kernel runs on torch's threads and no second set of them is made.
    """
    gnu = "clang" not in _run([*compiler, "--version"])
    return (*FLAGS, "-fopenmp") if gnu and hasattr(ctypes.CDLL(None), "GOMP_parallel") else FLAGS


def _sources() -> list[Path]:
    return sorted(path for path in Path(__file__).parent.iterdir() if path.suffix in (".cpp", ".h"))


def _processor() -> str:
    """What -march=native looks at: the model and the instruction sets of the first processor."""
    try:
        first, *_ = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").split("\n\n")
    except OSError:
        return platform.processor()
    told = ("vendor_id", "cpu family", "model", "flags", "Features", "CPU")
    return "\n".join(line for line in first.splitlines() if line.startswith(told))


def _compile(compiler: list[str], directory: Path, name: str) -> Path:
    main = next(str(source) for source in _sources() if source.suffix == ".cpp")
    with tempfile.TemporaryDirectory(dir=directory, prefix=".build-") as scratch:
        code, output = Path(scratch) / "ipot.o", Path(scratch) / "ipot.so"
        try:
            _run([*compiler, *_flags(compiler), "-march=native", "-c", main, "-o", str(code)])
        except _Unavailable:
            _run([*compiler, *_flags(compiler), "-c", main, "-o", str(code)])
        _run([*compiler, "-shared", "-pthread", str(code), "-o", str(output)])
        return output.replace(directory / f"{name}-{_digest(output.read_bytes())}.so")


def _run(command: list[str]) -> str:
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=LONGEST_RUN, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise _Unavailable(str(error)) from error
    if done.returncode:
        raise _Unavailable(f"{command[0]} failed: {(done.stderr or done.stdout).strip()[:500]}")
    return done.stdout


def _load(path: Path) -> ctypes.CDLL:
    loaded = ctypes.CDLL(str(path))
    for number, function in ((ctypes.c_float, loaded.uniter_ipot_float), (ctypes.c_double, loaded.uniter_ipot_double)):
        function.argtypes, function.restype = [ctypes.POINTER(Request)], ctypes.c_int
        for beta in (0.5, 0.04):  # either loop of the kernel
            if not _answers_right(function, number, beta):
                raise _Unavailable(f"{path} does not give the known answer to a small problem")
    return loaded


def _answers_right(
    function: Callable[..., int], number: type[ctypes.c_float] | type[ctypes.c_double], beta: float
) -> bool:
    """Two words, two regions, costs 0 and 1: the mass off the diagonal is e / (1 + e) with e = exp(-steps / beta)."""
    steps = 2
    problem = {"cost": (0, 1, 1, 0), "word_weights": (0.5, 0.5), "region_weights": (0.5, 0.5)}
    answer = {"plan": 4, "distance": 1, "word_error": 1, "region_error": 1, "word_potential": 2, "region_potential": 2}
    arrays = {name: (number * len(values))(*values) for name, values in problem.items()}
    arrays |= {name: (number * size)() for name, size in answer.items()}
    stages = (ctypes.c_int64 * 2)(steps, 1)
    counts = ctypes.addressof(stages)
    request = Request(pairs=1, words=2, regions=2, beta=beta, counts=counts, powers=counts + 8, stages=1)
    request.inner, request.relaxation, request.threads = 1, 1, 1
    for name, array in arrays.items():
        setattr(request, name, ctypes.addressof(array))
    if function(ctypes.byref(request)):
        return False
    off = math.exp(-steps / beta) / (1 + math.exp(-steps / beta))
    wanted = [*((1 - off) / 2, off / 2, off / 2, (1 - off) / 2), off]
    return all(map(functools.partial(math.isclose, rel_tol=1e-5), wanted, [*arrays["plan"], *arrays["distance"]]))
