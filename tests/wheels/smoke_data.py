"""uniter-data alone: the smallest scenes are generated, opened and read."""

import tempfile
from pathlib import Path

from uniter_data import PairDataset
from uniter_data.scenes import TINY, generate_scenes

if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        root = generate_scenes(Path(folder) / "scenes", sizes=TINY)
        dataset = PairDataset.open(root / "captions", "train")
        print(f"scenes: {len(dataset)} pairs, first of {len(dataset.sample(0).token_ids)} tokens")
