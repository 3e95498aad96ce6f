"""`uniter data import` of region features: from files to a store, and what it says of damaged ones."""

import base64
from pathlib import Path

import numpy as np

from uniter_data import RegionStore


def lxmert_line(image: str) -> str:
    def b64(array: np.ndarray) -> str:
        return base64.b64encode(array.tobytes()).decode()

    ids, sure = b64(np.array([0, 7])), b64(np.array([0.9, 0.2], np.float32))
    boxes = b64(np.array([[0, 0, 320, 240], [10, 20, 640, 480]], np.float32))
    columns = [image, "480", "640", ids, sure, ids, sure, "2", boxes, b64(np.ones((2, 4), np.float32))]
    return "\t".join(columns) + "\n"


def test_import(uniter_session, tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_text(lxmert_line("COCO_val2014_000000000042"))
    (tmp_path / "b.tsv").write_text(lxmert_line("1") + "broken\n")
    names = tmp_path / "vocab.txt"
    names.write_text("".join(f"thing {number}\n" for number in range(8)))
    (tmp_path / "c.npz").write_bytes(b"PK")
    (tmp_path / "all").mkdir()
    good, refused, skipping, *others = uniter_session(
        [
            ("data", "import", "butd", tmp_path / "a.tsv", "--out", tmp_path / "a.zarr", "--class-names", names),
            ("data", "import", "butd", tmp_path / "b.tsv", "--out", tmp_path / "b.zarr"),
            ("data", "import", "butd", tmp_path / "b.tsv", "--out", tmp_path / "b.zarr", "--skip-damaged"),
            ("data", "import", "npz", tmp_path, "--out", tmp_path / "c.zarr"),
            ("data", "import", "volta", tmp_path / "none.h5", "--out", tmp_path / "c.zarr"),
            ("data", "import", "vinvl", tmp_path / "none.tsv", "--out", tmp_path / "c.zarr"),
            ("data", "import", "uniter-images", tmp_path / "all", "--out", tmp_path / "c.zarr"),
        ]
    )
    assert good.stdout.startswith(f"{tmp_path / 'a.zarr'}: 1 images, 2 regions 4 wide, one of 9 classes each")
    store = RegionStore(tmp_path / "a.zarr")
    assert (store.class_names[8], store.image_ids.tolist()) == ("thing 7", ["COCO_val2014_000000000042"])
    assert refused.status == 1
    assert "b.tsv:2: expected columns behind tabs" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert "1 damaged records skipped, listed in" in skipping.stdout
    reasons = ("c.npz: no whole .npz", "no readable HDF5 file", "none.tsv is no file", "data.mdb cannot be read")
    for said, reason in zip(others, reasons, strict=True):
        assert (said.status, reason in said.stderr) == (1, True), said.stderr
