"""A process that scores a synthetic grid, to be killed, repeated and started as several; run by the tests.

`python grid_process.py MATRIX LOG TEXTS IMAGES HEIGHT WIDTH`: fills the matrix, notes every block that it scores in
LOG, and says its peak memory in MiB.
"""

import resource
import sys
from pathlib import Path

import numpy as np
import torch

from uniter_cli.engine import build_accelerator
from uniter_cli.retrieval_evaluation import fill
from uniter_cli.score_matrix import ScoreMatrix
from uniter_core import Sample, UniterConfig, Vocabulary
from uniter_tasks import ObjectiveSettings, PretrainingModel

WORDS, WIDTH = 40, 16


class Synthetic:
    """Texts and images made from their numbers alone, when they are asked for."""

    def __init__(self, texts: int, images: int) -> None:
        self.text_ids = [f"text-{number}" for number in range(texts)]
        self.image_ids = [f"image-{number}" for number in range(images)]

    def texts(self, rows: slice) -> list[Sample]:
        nothing = torch.empty(0, WIDTH), torch.empty(0, 7)
        return [
            Sample(
                token_ids=torch.from_numpy(np.random.default_rng(row).integers(5, WORDS, 3 + row % 3)),
                region_features=nothing[0],
                region_boxes=nothing[1],
            )
            for row in range(len(self.text_ids))[rows]
        ]

    def images(self, columns: slice) -> list[Sample]:
        found = []
        for column in range(len(self.image_ids))[columns]:
            values = np.random.default_rng([1, column]).random((2 + column % 3, WIDTH + 7), dtype=np.float32)
            regions = torch.from_numpy(values)
            found.append(
                Sample(
                    token_ids=torch.empty(0, dtype=torch.int64),
                    region_features=regions[:, :WIDTH],
                    region_boxes=regions[:, WIDTH:],
                )
            )
        return found


def tiny_model() -> PretrainingModel:
    """One layer, 16 wide."""
    vocabulary = Vocabulary(size=WORDS, pad_id=0, unk_id=1, cls_id=2, sep_id=3, mask_id=4, random_range=(5, WORDS))
    config = UniterConfig.tiny(
        vocab_size=WORDS, region_dim=WIDTH, num_classes=2, hidden_size=16, num_layers=1, num_heads=2,
        intermediate_size=32, max_positions=16, initializer_range=0.3,
    )  # fmt: skip
    return PretrainingModel(config, ObjectiveSettings(vocabulary=vocabulary), seed=1)


def open_matrix(path: Path, gallery: Synthetic, *, height: int, width: int) -> ScoreMatrix:
    return ScoreMatrix.begin(
        path,
        text_ids=gallery.text_ids,
        image_ids=gallery.image_ids,
        origin={"model": "tiny"},
        height=height,
        width=width,
    )


class Noted(ScoreMatrix):
    """Notes each block in a log before it is kept."""

    log: Path

    def write(self, block, scores) -> None:
        with self.log.open("a") as file:
            file.write(f"{block.row} {block.column}\n")
        super().write(block, scores)


def main() -> None:
    path, log, *sizes = sys.argv[1:]
    texts, images, height, width = map(int, sizes)
    accelerator = build_accelerator()
    gallery, model = Synthetic(texts, images), tiny_model()
    Noted.log = Path(log)
    with accelerator.main_process_first():
        matrix = Noted.begin(
            Path(path), text_ids=gallery.text_ids, image_ids=gallery.image_ids, origin={"model": "tiny"},
            height=height, width=width,
        )  # fmt: skip
    fill(matrix, model, gallery, accelerator, units=4096, hidden=True)
    if accelerator.is_main_process:
        matrix.publish()
        sys.stdout.write(f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f}\n")
    accelerator.end_training()


if __name__ == "__main__":
    main()
