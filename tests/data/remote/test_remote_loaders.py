"""Loaders of two workers read local and remote stores however they are started; none waits for ever."""

import multiprocessing
import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("read_in_workers.py")
LIMIT = 240  # seconds, many times what it takes: a deadlock ends the test, a slow machine does not


@pytest.mark.parametrize("method", ["fork", "forkserver", "spawn"])
def test_workers_read_local_and_remote_stores(method: str, shared_root: Path, range_server: type) -> None:
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"this system cannot start processes by {method}")
    with range_server(shared_root) as site:
        done = subprocess.run(
            [sys.executable, SCRIPT, method, shared_root / "pairs", f"{site.url}/pairs"],
            env=os.environ | {"OMP_NUM_THREADS": "1", "UNITER_CACHE_SIZE": "0"},  # so that the workers must fetch
            capture_output=True,
            text=True,
            timeout=LIMIT,
        )
    assert done.returncode == 0, done.stderr[-3000:]
