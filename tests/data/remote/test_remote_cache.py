"""The block cache: it spares fetches, keeps to its size, notices damage, and never mixes two contents."""

import multiprocessing
import os
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from uniter_data.stores import cache
from uniter_data.stores.cache import BlockCache, block_cache, use_cache
from uniter_data.stores.readings import BlockReading, Version
from uniter_data.stores.sources import open_source

BLOCK = 512
CONTENT = os.urandom(5 * BLOCK + 100)


@pytest.fixture
def site(tmp_path: Path, range_server: type, small_blocks: BlockCache) -> Iterator:
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "data").write_bytes(CONTENT)
    with range_server(tmp_path / "files") as served:
        yield served


def gets(site) -> list[str]:
    """What was asked for since this was last called."""
    found = [wanted for method, _, wanted in site.requests if method == "GET"]
    site.requests.clear()
    return found


def blocks(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def test_what_is_kept_is_not_fetched_again(site) -> None:
    source = open_source(site.url)
    source.read("data", [(BLOCK + 1, BLOCK + 2), (2 * BLOCK, 2 * BLOCK + 1), (5 * BLOCK, 5 * BLOCK + 1)])
    assert sorted(gets(site)) == ["bytes=2560-2659", "bytes=512-1535"]  # neighbours in one request
    (whole,) = pickle.loads(pickle.dumps(source)).read("data", [(0, len(CONTENT))])  # noqa: S301
    assert bytes(whole) == CONTENT
    assert sorted(gets(site)) == ["bytes=0-511", "bytes=1536-2559"]
    assert bytes(open_source(site.url).read("data", [(100, 2000)])[0]) == CONTENT[100:2000]
    assert gets(site) == []


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "flipped": lambda raw: raw[:10] + bytes([raw[10] ^ 1]) + raw[11:],
    "checksum": lambda raw: bytes([raw[0] ^ 1]) + raw[1:],
    "cut": lambda raw: raw[:-1],
    "emptied": lambda raw: b"",
    "longer": lambda raw: raw + b"x",
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_block_is_fetched_again(kind: str, site, small_blocks: BlockCache) -> None:
    open_source(site.url).read("data", [(0, BLOCK)])
    (path,) = blocks(small_blocks.folder)
    whole = path.read_bytes()
    path.write_bytes(DAMAGE[kind](whole))
    gets(site)
    assert bytes(open_source(site.url).read("data", [(0, BLOCK)])[0]) == CONTENT[:BLOCK]
    assert gets(site) == ["bytes=0-511"]
    assert path.read_bytes() == whole


def test_an_object_without_a_stamp_is_not_kept(site, small_blocks: BlockCache) -> None:
    site.stamps = False
    source = open_source(site.url)
    for _ in range(2):
        assert bytes(source.read("data", [(3, 9)])[0]) == CONTENT[3:9]
        assert gets(site) == ["bytes=3-8"]
    assert not blocks(small_blocks.folder)


def test_the_cache_keeps_to_its_size_and_to_what_was_used_last(tmp_path: Path) -> None:
    size = 64 * 16 * (BLOCK + 4)
    kept = BlockCache(tmp_path, size, block_bytes=BLOCK)
    for number in range(3000):
        kept.put("object", number, CONTENT[:BLOCK])
        if number % 50 == 0:
            assert kept.get("object", 0, BLOCK)
            os.utime(kept._path("object", 0), (2e9 + number, 2e9 + number))  # clocks are coarse
    assert sum(path.stat().st_size for path in blocks(tmp_path)) <= size
    assert kept.get("object", 0, BLOCK)
    found = [number for number in range(3000) if kept.get("object", number, BLOCK)]
    assert len(found) > 0.8 * 64 * 16  # the hash spreads the blocks
    assert sum(found) / len(found) > 2000  # the older ones went


def test_a_full_or_forbidden_disk_costs_only_the_cache(site, small_blocks: BlockCache, caplog) -> None:
    small_blocks.folder.parent.mkdir(parents=True)
    small_blocks.folder.write_text("a file stands where the folder should be")
    source = open_source(site.url)
    assert bytes(source.read("data", [(0, 600)])[0]) == CONTENT[:600]
    assert bytes(source.read("data", [(0, 600)])[0]) == CONTENT[:600]
    assert len(caplog.records) == 1
    assert str(small_blocks.folder) in caplog.text


def _hammer(folder: str, seed: int) -> None:
    kept = BlockCache(Path(folder), 64 * 8 * 70, block_bytes=64)
    for step in range(1500):
        number = (step * 7919 + seed * 31) % 900
        found = kept.get("object", number, 64)
        if found is not None and bytes(found) != number.to_bytes(2, "little") * 32:
            raise SystemExit(3)
        kept.put("object", number, number.to_bytes(2, "little") * 32)


def test_several_processes_share_a_cache(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=_hammer, args=(str(tmp_path), seed)) for seed in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert all(len(path.name) == 32 for path in blocks(tmp_path))  # nothing half written is left
    assert sum(path.stat().st_size for path in blocks(tmp_path)) <= 64 * 8 * 70


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(
    ranges=st.lists(st.tuples(st.integers(0, 300), st.integers(0, 300)).map(sorted).map(tuple), max_size=6),
    stale=st.booleans(),
)
def test_any_ranges_are_cut_right(tmp_path: Path, ranges: list[tuple[int, int]], stale: bool) -> None:
    whole = CONTENT[:300]
    kept = BlockCache(tmp_path, 1 << 20, block_bytes=32)
    version = Version(url="http://host/a", size=300, stamp="1")
    if stale:  # of the same size, with another stamp
        old = BlockReading(Version(url="http://host/a", size=300, stamp="0"), [(0, 300)], kept)
        for span in old.lacking:
            old.add(span, bytes(span[1] - span[0]))
    reading = BlockReading(version, ranges, kept)
    for start, stop in reading.lacking:
        reading.add((start, stop), whole[start:stop])
    assert [bytes(raw) for raw in reading.cut()] == [whole[start:stop] for start, stop in ranges]


def test_size_and_folder_are_set_by_environment_or_call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def now() -> tuple[Path, int] | None:
        found = block_cache()
        return (found.folder, found.size) if found else None

    assert now() == (tmp_path / "cache" / "blocks", 16 << 30)
    monkeypatch.setenv("UNITER_CACHE_SIZE", "1.5T")
    monkeypatch.setenv("UNITER_CACHE", str(tmp_path / "other"))
    assert now() == (tmp_path / "other" / "blocks", 3 << 39)
    use_cache(folder=tmp_path / "third", size=1 << 30)
    assert now() == (tmp_path / "third" / "blocks", 1 << 30)
    assert os.environ["UNITER_CACHE_SIZE"] == str(1 << 30)  # which processes that are started inherit
    use_cache(size=0)
    assert now() is None
    for wrong in ("much", "-1", "12X"):
        with pytest.raises(ValueError, match=rf"UNITER_CACHE_SIZE: expected .* got .{wrong}"):
            use_cache(size=wrong)
    with pytest.raises(ValueError, match="expected 0 or at least 513M, got 1048576 bytes"):
        use_cache(size="1M")
    assert cache.cache_folder() == tmp_path / "third"
