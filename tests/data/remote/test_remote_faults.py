"""A server that fails: right bytes once it recovers, else one clear error; never a wrong byte, never a hang."""

import time
import traceback
from collections.abc import Callable
from pathlib import Path

import fsspec
import pytest

from uniter_data import PairDataset
from uniter_data.stores import remote, retries
from uniter_data.stores.cache import BlockCache
from uniter_data.stores.sources import open_source

CONTENT = bytes(range(256)) * 20


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "data").write_bytes(CONTENT)
    return tmp_path / "files"


def first(count: int, fault: Callable[..., bool]) -> Callable[..., bool]:
    """A fault of the first so many requests for bytes."""
    left = iter(range(count))

    def decide(handler) -> bool:
        return handler.command == "GET" and next(left, None) is not None and fault(handler)

    return decide


FAULTS = {
    "throttled": lambda handler: handler.fail(429),
    "unavailable": lambda handler: handler.fail(503),
    "broken": lambda handler: handler.fail(500),
    "cut": lambda handler: handler.cut(),
    "dropped": lambda handler: handler.drop(),
    "short": lambda handler: handler.shorten(),
}


@pytest.mark.parametrize("kind", FAULTS)
def test_a_fault_that_passes_leaves_no_trace(kind: str, folder: Path, range_server: type) -> None:
    with range_server(folder, fault=first(3, FAULTS[kind])) as site:
        assert [bytes(raw) for raw in open_source(site.url).read("data", [(0, 5120), (7, 9)])] == [CONTENT, b"\7\10"]


@pytest.mark.parametrize(
    ("kind", "said"),
    [("unavailable", "503"), ("cut", "Payload"), ("dropped", "disconnected"), ("short", "2560 bytes came of 5120")],
)
def test_a_fault_that_stays_is_one_clear_error(kind: str, said: str, folder: Path, range_server: type) -> None:
    with range_server(folder, fault=first(99, FAULTS[kind])) as site:
        with pytest.raises(OSError, match=rf"{site.url}/data cannot be read \(.*{said}.*tried 4 times\)") as error:
            open_source(site.url).read("data", [(0, 100)])
        assert "\n" not in str(error.value)
        assert error.value.__context__ is None  # nothing of the library's own error is printed below ours
        # aiohttp asks twice where a connection that it kept open turns out closed
        assert sum(method == "GET" for method, _, _ in site.requests) in (4, 8)


def test_a_server_that_is_silent_is_left(folder: Path, range_server: type, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retries, "TIMEOUT", 0.1)
    begin = time.monotonic()
    with range_server(folder, latency=1.0) as site, pytest.raises(OSError, match="TimeoutError, tried 4 times"):
        open_source(site.url).size("data")
    assert time.monotonic() - begin < 30


def test_a_server_that_is_gone_is_named(folder: Path, range_server: type) -> None:
    with range_server(folder) as site:
        source = open_source(site.url)
        assert source.size("data") == len(CONTENT)
    with pytest.raises(OSError, match=rf"{site.url}/data cannot be read .*tried 4 times"):
        source.read("data", [(0, 10)])


@pytest.mark.parametrize(
    ("status", "kind"), [(404, FileNotFoundError), (403, PermissionError), (401, PermissionError), (410, OSError)]
)
def test_what_no_second_try_mends_is_not_tried_again(
    status: int, kind: type[OSError], folder: Path, range_server: type
) -> None:
    with range_server(folder, fault=lambda handler: handler.fail(status)) as site:
        with pytest.raises(kind, match=f"{site.url}/data"):
            open_source(site.url).size("data")
        assert len(site.requests) <= 2  # fsspec's HEAD, then its GET


@pytest.mark.usefixtures("small_blocks")
def test_a_server_without_ranges_is_refused(folder: Path, range_server: type) -> None:
    def ignore(handler) -> bool:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(CONTENT)))
        handler.end_headers()
        handler.wfile.write(CONTENT)
        return True

    with (
        range_server(folder, fault=lambda handler: handler.command == "GET" and ignore(handler)) as site,
        pytest.raises(OSError, match=f"{site.url}/data cannot be read .*ranges"),
    ):
        open_source(site.url).read("data", [(0, 10)])


@pytest.mark.usefixtures("small_blocks")
def test_an_object_that_changes_is_noticed(folder: Path, range_server: type) -> None:
    with range_server(folder) as site:
        source = open_source(site.url)
        assert bytes(source.read("data", [(0, 3)])[0]) == CONTENT[:3]
        (folder / "data").write_bytes(CONTENT[::-1])
        with pytest.raises(OSError, match="data changed while it was being read: open the data set anew"):
            source.read("data", [(1000, 1003)])
        assert bytes(source.read("data", [(0, 3)])[0]) == CONTENT[:3]  # what is kept is of the former object
        assert bytes(open_source(site.url).read("data", [(0, 2000)])[0]) == CONTENT[::-1][:2000]


def test_a_data_set_is_opened_through_many_faults(
    small_dataset: Path, range_server: type, small_blocks: BlockCache
) -> None:
    count = iter(range(10_000))

    def every_third(handler) -> bool:
        number = next(count)
        return number % 3 == 0 and list(FAULTS.values())[number % len(FAULTS)](handler)

    here = PairDataset.open(small_dataset, "train").samples(range(24))
    with range_server(small_dataset, fault=every_third) as site:
        there = PairDataset.open(site.url, "train").samples(range(24))
    assert all(one.region_features.equal(other.region_features) for one, other in zip(here, there, strict=True))


@pytest.fixture
def failing_bucket(bucket: str, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The bucket, whose answers have these statuses as long as there are any."""
    from botocore.exceptions import ClientError

    errors: list[int] = []
    made = remote.RemoteSource._request

    async def request(self, name, start, stop):
        if errors:
            from s3fs.errors import translate_boto_error

            status = errors.pop()
            answer = {"Error": {"Code": str(status)}, "ResponseMetadata": {"HTTPStatusCode": status}}
            raise translate_boto_error(ClientError(answer, "GetObject"))
        return await made(self, name, start, stop)

    monkeypatch.setattr(remote.RemoteSource, "_request", request)
    return errors


def test_a_busy_bucket_is_asked_again(failing_bucket: list[int], bucket: str) -> None:
    source = open_source(bucket)
    size = source.size("pairs/dataset.json")
    failing_bucket += [503, 500, 503]
    assert bytes(source.read("pairs/dataset.json", [(0, size)])[0]).startswith(b"{")
    failing_bucket += [403]
    source = open_source(bucket)
    with pytest.raises(PermissionError, match=rf"{bucket}/pairs/tokenizer.json may not be read"):
        source.read("pairs/tokenizer.json", [(0, 1)])
    assert not failing_bucket


def test_no_credentials_are_an_error_at_once(bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setattr(retries, "DELAYS", (60.0,))
    fsspec.get_filesystem_class("s3").clear_instance_cache()
    with pytest.raises(PermissionError, match="credentials"):
        open_source(bucket).size("pairs/dataset.json")
    fsspec.get_filesystem_class("s3").clear_instance_cache()


def test_a_signed_address_is_never_shown(folder: Path, range_server: type) -> None:
    def redirect(handler) -> bool:
        if "Signature" in handler.path:
            return handler.fail(503)
        handler.send_response(302)
        handler.send_header("Location", f"{site.url}/there?X-Amz-Signature=0123abc&X-Amz-Credential=AKIA")
        handler.send_header("Content-Length", "0")
        handler.end_headers()
        return True

    with range_server(folder, fault=redirect) as site, pytest.raises(OSError, match="503") as error:
        open_source(site.url).size("data")
    said = "".join(traceback.format_exception(error.value))
    assert "0123abc" not in said
    assert "AKIA" not in said


def test_bytes_that_differ_from_their_checksum_are_named_and_not_kept(small_dataset: Path, range_server: type) -> None:
    wrong = [True]

    def garble(handler) -> bool:
        if not (wrong[0] and handler.command == "GET" and "features/c" in handler.path):
            return False
        raw = bytearray((small_dataset / handler.path.lstrip("/")).read_bytes())
        raw[5] ^= 1
        handler.send_response(206)
        handler.send_header("Content-Length", str(len(raw)))
        handler.end_headers()
        handler.wfile.write(raw)
        return True

    with range_server(small_dataset, fault=garble) as site:
        data = PairDataset.open(site.url, "train")
        with pytest.raises(ValueError, match=f"{site.url}/regions.zarr/features/c/0/0, chunk 0 is damaged"):
            data.samples(range(24))
        wrong[0] = False
        here = PairDataset.open(small_dataset, "train").samples(range(24))
        assert all(
            a.region_features.equal(b.region_features) for a, b in zip(here, data.samples(range(24)), strict=True)
        )
