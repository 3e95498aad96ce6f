"""What all importers of region features do: go on after a stop, list what is damaged, say where data come from."""

import filecmp
import hashlib
import os
import signal
import subprocess
import sys
import tracemalloc
from pathlib import Path

import google_crc32c
import numpy as np
import pytest

from uniter_data import RegionStore, verify
from uniter_data.extract.skipped import read_skipped
from uniter_data.importers.regions import RegionImport, import_butd, import_npz, import_uniter_images, importing
from uniter_data.stores import region_writer


def assert_same(one: Path, other: Path) -> None:
    """Two stores are the same byte for byte."""
    names = sorted(path.relative_to(one) for path in one.rglob("*") if path.is_file())
    assert names == sorted(path.relative_to(other) for path in other.rglob("*") if path.is_file())
    differing = [name for name in names if not filecmp.cmp(one / name, other / name, shallow=False)]
    assert not differing


class Stop(Exception):
    pass


@pytest.mark.parametrize("after", [0, 1, 7, 29])
def test_stopped_import_goes_on(formats, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: int) -> None:
    monkeypatch.setattr(region_writer, "BLOCK_IMAGES", 3)
    monkeypatch.setattr(importing, "REPORT_EVERY", 1)
    source = formats.write_lxmert(tmp_path / "a.tsv", 30)
    told = []

    def stop(what: str, done: int, total: int) -> None:
        told.append((what, done, total))
        if len(told) > after:
            raise Stop

    import_butd([source], tmp_path / "whole.zarr")
    with pytest.raises(Stop):
        import_butd([source], tmp_path / "out.zarr", options=RegionImport(progress=stop, threads=2))
    assert not (tmp_path / "out.zarr").exists()
    report = import_butd([source], tmp_path / "out.zarr", options=RegionImport(threads=3))
    assert report.images == 30
    assert_same(tmp_path / "whole.zarr", tmp_path / "out.zarr")
    assert told[-1][0] == "importing a.tsv"
    assert 0 < told[-1][1] <= told[-1][2] == source.stat().st_size
    assert list(verify(tmp_path / "out.zarr")) == []


def test_published_store_is_not_overwritten(formats, tmp_path: Path) -> None:
    source = formats.write_lxmert(tmp_path / "a.tsv")
    import_butd([source], tmp_path / "out.zarr")
    with pytest.raises(ValueError, match="exists already"):
        import_butd([source], tmp_path / "out.zarr")


KILLED = """
import sys
from uniter_data.importers.regions import RegionImport, import_butd, importing
from uniter_data.stores import region_writer
region_writer.BLOCK_IMAGES, importing.REPORT_EVERY = 5, 1
print("begun", flush=True)
progress = lambda what, done, total: print(done, flush=True)
import_butd([sys.argv[1]], sys.argv[2], options=RegionImport(progress=progress))
print("done", flush=True)
"""


def test_killed_import_goes_on(formats, tmp_path: Path) -> None:
    source, out = formats.write_lxmert(tmp_path / "a.tsv", 2000), tmp_path / "out.zarr"

    def start() -> subprocess.Popen[str]:
        return subprocess.Popen([sys.executable, "-c", KILLED, source, out], stdout=subprocess.PIPE, text=True)

    with start() as process:
        assert process.stdout is not None
        for _ in range(200):
            process.stdout.readline()
        os.kill(process.pid, signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    assert not out.exists()
    journal = (tmp_path / "out.zarr.partial" / "journal.jsonl").read_text().splitlines()
    assert 100 < len(journal) < 2000
    with start() as process:
        assert process.stdout is not None
        assert process.stdout.read().endswith("done\n")
    import_butd([source], tmp_path / "whole.zarr")
    assert_same(tmp_path / "whole.zarr", out)


def test_damaged_records_are_skipped_counted_and_listed(formats, tmp_path: Path) -> None:
    lines = [formats.lxmert_line(number) for number in range(8)]
    lines[0] = "broken\n"
    lines[3] = lines[3].replace("\t480\t", "\t48\t")
    lines[5] = lines[4]  # the same image again
    (tmp_path / "a.tsv").write_text("".join(lines))
    with pytest.raises(ValueError, match=r"a\.tsv:1: expected columns.*--skip-damaged"):
        import_butd([tmp_path / "a.tsv"], tmp_path / "out.zarr")
    report = import_butd([tmp_path / "a.tsv"], tmp_path / "out.zarr", options=RegionImport(skip_damaged=True))
    assert (report.images, len(report.skipped)) == (5, 3)
    assert read_skipped(tmp_path / "out.zarr") == report.skipped
    assert [record.image for record in report.skipped] == ["", "COCO_3", "COCO_4"]
    said = str(report)
    assert "3 damaged records skipped, listed in" in said
    assert "a.tsv:4 (COCO_3): image 'COCO_3': boxes must lie in the unit square" in said
    assert "an image of its own" in said


def test_nothing_sound(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_text("broken\nbroken\n")
    with pytest.raises(ValueError, match="expected a record that can be decoded, got none of 2"):
        import_butd([tmp_path / "a.tsv"], tmp_path / "out.zarr", options=RegionImport(skip_damaged=True))


def digest_of(records: dict[str, bytes]) -> str:
    lines = (f"{name}\n{len(data)} {google_crc32c.value(data):08x}\n" for name, data in records.items())
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def test_digests_of_the_sources(formats, tmp_path: Path) -> None:
    files = [formats.write_lxmert(tmp_path / "a.tsv", 4), tmp_path / "b.tsv"]
    files[1].write_text("x" + formats.lxmert_line(7))
    import_butd(files, tmp_path / "tsv.zarr")
    sources = RegionStore(tmp_path / "tsv.zarr").attributes["attributes"]["source"]
    for file, source in zip(files, sources, strict=True):
        lines = file.read_bytes().splitlines(keepends=True)
        assert source == {
            "name": file.name,
            "records": len(lines),
            "bytes": file.stat().st_size,
            "sha256": digest_of({line.partition(b"\t")[0].decode(): line for line in lines}),
            "of": "name, lengths and CRC-32C of each record",
        }
    folder = formats.write_npz(tmp_path / "npz")
    import_npz(folder, tmp_path / "npz.zarr")
    (source,) = RegionStore(tmp_path / "npz.zarr").attributes["attributes"]["source"]
    assert source["sha256"] == digest_of({path.stem: path.read_bytes() for path in sorted(folder.iterdir())})


def test_formats_of_stores(formats, tmp_path: Path) -> None:
    folder = formats.write_images(tmp_path / "all")
    options = RegionImport(layout="compressed", precision="int8", top_labels=2)
    import_uniter_images(folder, tmp_path / "small.zarr", options=options)
    import_uniter_images(folder, tmp_path / "full.zarr")
    small, full = RegionStore(tmp_path / "small.zarr"), RegionStore(tmp_path / "full.zarr")
    assert (small.format.layout, small.format.precision, small.format.top_labels) == ("compressed", "int8", 2)
    for one, other in zip(small.read(range(6)), full.read(range(6)), strict=True):
        np.testing.assert_allclose(one.features, other.features, atol=8 / 127)
        np.testing.assert_array_equal(one.boxes, other.boxes)


def test_memory_stays_flat(formats, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(region_writer, "BLOCK_BYTES", 1 << 20)
    monkeypatch.setattr(importing, "KEPT_BYTES", 0)
    columns = formats.lxmert_line(0).rstrip("\n").split("\t")
    columns[-1] = formats.b64(np.ones((2, 1 << 15)))
    with (tmp_path / "a.tsv").open("w") as file:
        for number in range(100):
            file.write("\t".join([str(number), *columns[1:]]) + "\n")
    tracemalloc.start()
    import_butd([tmp_path / "a.tsv"], tmp_path / "out.zarr", options=RegionImport(threads=1))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < (tmp_path / "a.tsv").stat().st_size / 2
