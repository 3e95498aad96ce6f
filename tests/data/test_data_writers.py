"""Writers that are killed, fail, or meet each other: they go on where they stood, and publish all or nothing."""

import errno
import os
import signal
import subprocess
import sys
import time
from io import FileIO
from pathlib import Path

import numpy as np
import pytest

from uniter_data import RegionStore, RegionWriter, TextStore, TextWriter, Tokenizer

TOKENIZER = Tokenizer.build(["a red ball", "the blue box"])
IMAGES = 40

WRITE = """
import sys, time
import numpy as np
import uniter_data.stores.region_writer as region_writer
import uniter_data.stores.text_writer as text_writer
from uniter_data import RegionWriter, TextWriter, Tokenizer

region_writer.BLOCK_IMAGES = 3
text_writer.BLOCK = 3
folder, pause = sys.argv[1], float(sys.argv[2])
with (
    RegionWriter(folder + "/regions.zarr", region_dim=300, class_names=["a", "b"]) as regions,
    TextWriter(folder + "/texts.zarr", tokenizer=Tokenizer.build(["a red ball"]), max_tokens=4) as texts,
):
    print("done", len(regions.done), len(texts.done), flush=True)
    for number in range(40):
        rng = np.random.default_rng(number)
        count = 20 + number % 7
        if f"image-{number}" not in regions.done:
            regions.append(
                f"image-{number}", rng.random((count, 300)), rng.random((count, 6)), labels=rng.random((count, 2)),
                confidence=rng.random(count), size=(number, number),
            )
        if f"text-{number}" not in texts.done:
            times = 1 + number % 2  # every second text is too long
            texts.append(f"text-{number}", "a red ball " * times, f"image-{number}", kinds=[0, 2, 1] * times)
        print(number, flush=True)
        time.sleep(pause)
    regions.publish()
    texts.publish()
"""


def write(folder: Path, *, pause: float = 0.0) -> subprocess.Popen:
    folder.mkdir(exist_ok=True)
    return subprocess.Popen([sys.executable, "-c", WRITE, str(folder), str(pause)], stdout=subprocess.PIPE, text=True)


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_killed_process_goes_on_and_ends_in_the_same_store(tmp_path: Path):
    write(tmp_path / "left alone").communicate()
    for last in (13, 31):
        with write(tmp_path / "killed", pause=0.01) as process:
            assert process.stdout
            while process.stdout.readline().strip() != str(last):
                assert process.poll() is None
            process.send_signal(signal.SIGKILL)
        assert process.returncode == -signal.SIGKILL
        assert {path.name for path in (tmp_path / "killed").iterdir()} == {"regions.zarr.partial", "texts.zarr.partial"}
    process = write(tmp_path / "killed")
    said = process.communicate()[0].splitlines()[0].split()
    assert process.returncode == 0
    assert said[0] == "done"
    assert all(27 <= int(count) < IMAGES for count in said[1:])  # at most a block of three and one image are lost
    assert files(tmp_path / "killed") == files(tmp_path / "left alone")


def append_images(writer: RegionWriter, numbers: range) -> None:
    for number in numbers:
        rng = np.random.default_rng(number)
        if f"image-{number}" not in writer.done:
            writer.append(f"image-{number}", rng.random((5, 400)), rng.random((5, 6)))


def append_texts(writer: TextWriter, numbers: range) -> None:
    for number in numbers:
        if f"text-{number}" not in writer.done:
            writer.append(f"text-{number}", "a red ball", f"image-{number}")


def write_images(writer: RegionWriter) -> None:
    append_images(writer, range(50))
    writer.publish()


def write_texts(writer: TextWriter) -> None:
    append_texts(writer, range(50))
    writer.publish()


class FullDisk:
    """A disk on which so many bytes are left."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, left: int) -> None:
        self.left = left

        class Limited(FileIO):
            def write(file, data) -> int:  # `self` is the disk
                if not self.left:
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                written = super().write(memoryview(data)[: self.left])
                self.left -= written
                return written

        for module in ("journal", "shards"):
            monkeypatch.setattr(f"uniter_data.stores.{module}.FileIO", Limited)


@pytest.mark.parametrize("left", [0, 100, 3_000, 50_000, 200_500])
def test_a_full_disk_leaves_nothing_half_published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, left: int):
    monkeypatch.setattr("uniter_data.stores.region_writer.BLOCK_IMAGES", 4)
    with RegionWriter(tmp_path / "expected.zarr", region_dim=400) as writer:
        append_images(writer, range(50))
        writer.publish()
    with monkeypatch.context() as patch:
        FullDisk(patch, left)
        with (
            pytest.raises(OSError, match="the disk is full, nothing was published: free some space") as caught,
            RegionWriter(tmp_path / "regions.zarr", region_dim=400) as writer,
        ):
            write_images(writer)
        assert "\n" not in str(caught.value)
        assert caught.value.errno == errno.ENOSPC
        assert not (tmp_path / "regions.zarr").exists()
    with RegionWriter(tmp_path / "regions.zarr", region_dim=400) as writer:
        append_images(writer, range(50))
        writer.publish()
    assert files(tmp_path / "regions.zarr") == files(tmp_path / "expected.zarr")
    assert not (tmp_path / "regions.zarr.partial").exists()


@pytest.mark.parametrize("left", [0, 500, 1_000])
def test_a_full_disk_stops_a_text_writer_likewise(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, left: int):
    monkeypatch.setattr("uniter_data.stores.text_writer.BLOCK", 4)
    with monkeypatch.context() as patch:
        FullDisk(patch, left)
        with (
            pytest.raises(OSError, match="the disk is full"),
            TextWriter(tmp_path / "texts.zarr", tokenizer=TOKENIZER) as writer,
        ):
            write_texts(writer)
        assert not (tmp_path / "texts.zarr").exists()
    with TextWriter(tmp_path / "texts.zarr", tokenizer=TOKENIZER) as writer:
        append_texts(writer, range(50))
        writer.publish()
    assert TextStore(tmp_path / "texts.zarr").text_ids.tolist() == [f"text-{number}" for number in range(50)]


def test_a_writer_that_failed_writes_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with RegionWriter(tmp_path / "regions.zarr", region_dim=400) as writer:
        append_images(writer, range(3))
        with monkeypatch.context() as patch:
            FullDisk(patch, 100)
            with pytest.raises(OSError, match="the disk is full"):
                writer.flush()
        for go_on in (lambda: append_images(writer, range(3, 6)), writer.publish):
            with pytest.raises(ValueError, match="writing failed before; open a new writer"):
                go_on()


def test_an_exception_of_the_caller_s_loses_nothing(tmp_path: Path):
    with pytest.raises(KeyError), RegionWriter(tmp_path / "regions.zarr", region_dim=400) as regions:  # noqa: PT012
        append_images(regions, range(3))
        raise KeyError
    with RegionWriter(tmp_path / "regions.zarr", region_dim=400) as regions:
        assert len(regions.done) == 3
        regions.publish()
    assert RegionStore(tmp_path / "regions.zarr").num_images == 3


def test_dropped_texts_count_once_over_two_writers(tmp_path: Path):
    for _ in range(2):
        with TextWriter(tmp_path / "texts.zarr", tokenizer=TOKENIZER, max_tokens=2) as writer:
            append_texts(writer, range(4))
            assert (writer.dropped, writer.truncated) == (4, 0)


def test_other_settings_do_not_go_on(tmp_path: Path):
    with RegionWriter(tmp_path / "regions.zarr", region_dim=400):
        pass
    with pytest.raises(ValueError, match=r"regions\.zarr\.partial was begun with region_dim = 400, now it is 500"):
        RegionWriter(tmp_path / "regions.zarr", region_dim=500)
    with TextWriter(tmp_path / "texts.zarr", tokenizer=TOKENIZER):
        pass
    with pytest.raises(ValueError, match="was begun with vocabulary"):
        TextWriter(tmp_path / "texts.zarr", tokenizer=Tokenizer.build(["other words"]))


def test_a_published_store_is_never_overwritten(tmp_path: Path):
    with TextWriter(tmp_path / "texts.zarr", tokenizer=TOKENIZER) as writer:
        writer.publish()
    with pytest.raises(ValueError, match=r"texts\.zarr exists already: remove it"):
        TextWriter(tmp_path / "texts.zarr", tokenizer=TOKENIZER)


def test_two_processes_do_not_write_the_same_store(tmp_path: Path):
    process = write(tmp_path / "shared", pause=5)
    try:
        assert process.stdout
        process.stdout.readline()
        with pytest.raises(ValueError, match=r"regions\.zarr is being written by another process"):
            RegionWriter(tmp_path / "shared" / "regions.zarr", region_dim=300, class_names=["a", "b"])
    finally:
        process.kill()
        process.communicate()
    for _ in range(50):  # the lock goes with the process
        try:
            RegionWriter(tmp_path / "shared" / "regions.zarr", region_dim=300, class_names=["a", "b"]).close()
            break
        except ValueError:
            time.sleep(0.1)
    else:
        pytest.fail("the lock outlived its process")


def test_a_partial_store_without_its_rows_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with RegionWriter(tmp_path / "regions.zarr", region_dim=400) as writer:
        append_images(writer, range(3))
    tail = tmp_path / "regions.zarr.partial" / "store" / "features" / "tail"
    tail.write_bytes(tail.read_bytes()[:-1])
    with pytest.raises(ValueError, match="shorter than the journal beside it says"):
        RegionWriter(tmp_path / "regions.zarr", region_dim=400)
