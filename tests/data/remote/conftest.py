"""Two data sets, one of pairs and one of examples, behind a URL: in memory, on a server of files, in a bucket."""

import importlib.util
import json
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import fsspec
import pytest

from uniter_data.examples import import_nlvr2
from uniter_data.stores import cache, retries

BENCHMARKS = Path(__file__).parents[3] / "benchmarks"
BUCKET = "uniter-test"


def _load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, BENCHMARKS / f"{name}.py")
    assert spec
    assert spec.loader
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def range_server() -> type:
    """A server of a folder: `with range_server(folder, …) as site: site.url`."""
    server: type = _load("range_server").RangeServer
    return server


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder of the test's own, and faults that are over in a moment."""
    monkeypatch.setenv("UNITER_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("UNITER_CACHE_SIZE", raising=False)
    monkeypatch.setattr(retries, "DELAYS", (0.01, 0.02, 0.04))
    monkeypatch.setattr(retries, "TIMEOUT", 5.0)
    return tmp_path / "cache" / "blocks"


@pytest.fixture
def small_blocks(own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> cache.BlockCache:
    """The cache with blocks of 512 bytes, so that small files have several."""
    small = cache.BlockCache(own_cache, 1 << 20, block_bytes=512)
    monkeypatch.setattr(cache, "_block_cache", lambda folder, size: small)
    return small


@pytest.fixture(scope="session")
def shared_root(small_dataset: Path, make_store: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the data sets `pairs` and `examples`. For reading only."""
    root = tmp_path_factory.mktemp("root")
    shutil.copytree(small_dataset, root / "pairs")
    images = {f"nlvr2_train-{pair}-0-img{side}.npz": 2 + pair for pair in range(3) for side in range(2)}
    store = make_store(root / "nlvr2.zarr", images)
    lines = [
        {"identifier": f"train-{pair}-0-{sentence}", "sentence": f"Two dogs {sentence}", "label": "True"}
        for pair in range(3)
        for sentence in range(2)
    ]
    source = root / "train.json"
    source.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    import_nlvr2(root / "examples", files={"": [source]}, regions=[store])
    return root


@pytest.fixture(scope="session")
def bucket(shared_root: Path) -> Iterator[str]:
    """The folder in a bucket behind a real S3 interface on this machine."""
    server = pytest.importorskip("moto.server").ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {
            "AWS_ENDPOINT_URL": f"http://{host}:{port}",
            "AWS_ACCESS_KEY_ID": "a-key",
            "AWS_SECRET_ACCESS_KEY": "a-secret-key",
            "AWS_DEFAULT_REGION": "us-east-1",
        }.items():
            patch.setenv(name, value)
        filesystem = fsspec.filesystem("s3")
        filesystem.mkdir(BUCKET)
        filesystem.put(f"{shared_root}/", f"{BUCKET}/", recursive=True)
        yield f"s3://{BUCKET}"
    server.stop()


@pytest.fixture(params=["memory", "http", "s3"])
def root_url(request: pytest.FixtureRequest, shared_root: Path, range_server: type) -> Iterator[str]:
    """The folder behind a URL of each kind."""
    if request.param == "s3":
        yield request.getfixturevalue("bucket")
    elif request.param == "http":
        with range_server(shared_root) as site:
            yield site.url
    else:
        filesystem = fsspec.filesystem("memory")
        filesystem.put(f"{shared_root}/", "/uniter-remote/", recursive=True)
        yield "memory://uniter-remote"
        filesystem.rm("/uniter-remote", recursive=True)
