"""Bytes flipped and files cut at random in every format: an error that names the file, or nothing but what was there.

npz is checked by its own checksums. The other formats have none: a bit flipped in a number there gives another number,
which nobody can see, but never another shape, another image's numbers, or a crash.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from uniter_data import RegionWriter
from uniter_data.importers.regions import butd, importing, npz_folder, uniter_images, vinvl, volta

CASES = 400  # of each format

Read = dict[str, dict[str, np.ndarray]]


class Format:
    """A format: how tiny files of it are written and read, and which file is damaged."""

    def __init__(
        self, module: ModuleType, name: str, write: Callable[[Path], Path], damaged: str, *, exact: bool
    ) -> None:
        self.module = module
        self.run: Callable[..., Read] = getattr(module, name)
        self.write = write
        self.damaged = damaged
        self.exact = exact


@pytest.fixture
def chosen(formats, request: pytest.FixtureRequest) -> Format:
    known = {
        "compressed LMDB": Format(
            uniter_images,
            "import_uniter_images",
            lambda folder: formats.write_images(folder / "feat_th0.2_max100_min10_compressed", encode=formats.as_npz),
            "*/data.mdb",
            exact=True,
        ),
        "raw LMDB": Format(
            uniter_images,
            "import_uniter_images",
            lambda folder: formats.write_images(folder / "feat_th0.2_max100_min10"),
            "*/data.mdb",
            exact=False,
        ),
        "npz": Format(
            npz_folder, "import_npz", lambda folder: formats.write_npz(folder / "npz"), "*/*_1.npz", exact=True
        ),
        "LXMERT": Format(
            butd, "import_butd", lambda folder: formats.write_lxmert(folder / "a.tsv"), "a.tsv", exact=False
        ),
        "VinVL": Format(vinvl, "import_vinvl", lambda folder: formats.write_vinvl(folder), "features.tsv", exact=False),
        "HDF5": Format(volta, "import_volta", lambda folder: formats.write_volta(folder / "a.h5"), "a.h5", exact=False),
    }
    return known[request.param]


@pytest.fixture
def read_through(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Callable[[Format, Path], Read]]:
    """Read all records as an import does, up to the rows to be stored, without writing a store each time."""
    writers: list[RegionWriter] = []

    def collect(source: Any, out: Any, options: Any) -> Read:
        records = source.records()
        head, first = importing._find_sound(source, records, options)
        if not writers:
            writers.append(importing._open_writer(source, first, tmp_path / "out.zarr", options))
        found: Read = {}
        for record in [*head, *records]:
            read = importing._read(source, writers[0], record, done=False)
            if read.problem or read.rows is None:
                raise read.problem or AssertionError
            if record.image in found:
                raise ValueError(f"{record.where}: twice, which the loop of an import refuses")
            found[record.image] = read.rows | {"size": np.array(read.size)}
        return found

    def read(form: Format, source: Path) -> Read:
        monkeypatch.setattr(form.module, "import_regions", collect)
        return form.run([source] if form.module is butd else source, tmp_path / "out.zarr")

    yield read
    for writer in writers:
        writer.close()


def damage(file: Path, raw: bytes, rng: np.random.Generator) -> str:
    """Flip one bit of a file or cut it somewhere; what was done."""
    place = int(rng.integers(len(raw)))
    if rng.random() < 0.2:
        file.write_bytes(raw[:place])
        return f"cut at {place}"
    bit = int(rng.integers(8))
    file.write_bytes(raw[:place] + bytes([raw[place] ^ 1 << bit]) + raw[place + 1 :])
    return f"bit {bit} of {place} flipped"


@pytest.mark.parametrize("chosen", ["compressed LMDB", "raw LMDB", "npz", "LXMERT", "VinVL", "HDF5"], indirect=True)
def test_damage_is_named_or_harmless(chosen: Format, read_through, tmp_path: Path) -> None:
    (tmp_path / "files").mkdir()
    source = chosen.write(tmp_path / "files")
    (file,) = (tmp_path / "files").glob(chosen.damaged)
    raw, sound = file.read_bytes(), read_through(chosen, source)
    rng = np.random.default_rng(len(raw))
    refused = 0
    for _ in range(CASES):
        done = damage(file, raw, rng)
        try:
            read = read_through(chosen, source)
        except ValueError as error:
            said = str(error)
        else:
            said = ""
        refused += bool(said)
        if said:
            assert file.name in said, done
            continue
        expect_harmless(sound, read, done, exact=chosen.exact)
    assert refused > CASES / 20


def expect_harmless(sound: Read, read: Read, done: str, *, exact: bool) -> None:
    """All records are as they were; where there are no checksums, one of them may have another name or number."""
    if exact:
        assert list(read) == list(sound), done
    # a file without checksums that is cut between two records, or whose name of one was hit, looks like another file
    changed = sum(name not in sound for name in read)
    for name in read.keys() & sound.keys():
        assert {key: rows.shape for key, rows in read[name].items()} == {
            key: rows.shape for key, rows in sound[name].items()
        }, done
        differing = sum((rows != sound[name][key]).sum() for key, rows in read[name].items())
        changed += bool(differing)
        assert not (exact and differing), done
    assert changed <= 1, done
