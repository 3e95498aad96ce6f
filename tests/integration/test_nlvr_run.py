"""Real pictures and sentences from the published files to a measured run, by the commands of the README."""

import json

import pytest

pytest.importorskip("timm", reason="needs uniter-data[extract]")


@pytest.mark.real_data
@pytest.mark.soak
def test_import_extract_and_pretrain(real_data_dir, uniter, tmp_path):
    uniter("data", "import", "nlvr", real_data_dir / "nlvr", "nlvr", cwd=tmp_path)
    uniter("data", "extract", "nlvr", "--weights", "random", cwd=tmp_path)
    assert "every checksum is right" in uniter("data", "verify", "nlvr", cwd=tmp_path).stdout
    uniter("data", "preview", "nlvr", "--split", "dev", cwd=tmp_path)
    for seed in (1, 2, 3):
        run = tmp_path / f"run-{seed}"
        uniter("pretrain", "--recipe", "nlvr", "--data", "nlvr", "--seed", seed, "--out", run, cwd=tmp_path)
        results = json.loads((run / "results.json").read_text())
        after, constant = results["after"], results["baselines"]
        print(seed, {name: round(after[name], 3) for name in ("mlm/accuracy", "itm/accuracy", "mrc-kl/accuracy")})
        assert after["mlm/accuracy"] >= constant["mlm/accuracy"] + 0.3
        assert after["itm/accuracy"] >= 0.55
