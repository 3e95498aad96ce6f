"""A task's data set as pairs, for the second stage of pre-training: the labelled examples, one text and image each."""

# T labelled examples, U images of the split, B pairs of a batch

from dataclasses import replace
from typing import Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from uniter_cli.errors import UsageError
from uniter_core import Sample
from uniter_data.examples import ExampleDataset
from uniter_tasks.downstream import TASKS, SecondStage, task

__all__ = ["ExamplePairs"]


class ExamplePairs:
    """The examples of a split whose labels are known, in the form that `SecondStage` gives them.

    Attributes:
        dataset: the split.
        type_sources: for every row of the type table that the pairs use, the row of a pre-trained one to start from.
        rows: (T,) the labelled examples.
        text_lengths: (T,) tokens of each text, [CLS] and each [SEP] counted.
        image_rows: (T,) row of each text's image among those of the split.
        region_lengths: (U,) regions of each image.
        groups: (T,) the rows of the images again: texts about one image share it, and none has it as mismatched.
        has_gold: whether words are linked to regions; they are not.
    """

    has_gold = False

    def __init__(self, dataset: ExampleDataset, stage: SecondStage, type_sources: tuple[int, ...]) -> None:
        self.dataset = dataset
        self.type_sources = type_sources
        self._stage = stage
        lengths = stage.lengths(torch.from_numpy(dataset.text_lengths), dataset.annotations()).numpy()
        self.rows: NDArray[np.int64] = np.flatnonzero(lengths)
        self.text_lengths: NDArray[np.int64] = lengths[self.rows]
        self.image_rows: NDArray[np.int64] = dataset.store.images[self.rows, 0]
        self.region_lengths = dataset.image_lengths
        self.groups = self.image_rows
        self.name, self.split, self.vocabulary = dataset.name, dataset.split, dataset.vocabulary
        self.region_dim, self.num_classes = dataset.region_dim, dataset.num_classes
        self.hard_labels = dataset.hard_labels
        self.regions = dataset.layers[0]

    @classmethod
    def open(cls, directory: str, split: str) -> Self:
        """Open a split of a task's data set.

        Raises:
            UsageError: the task has no second stage of pre-training.
            ValueError: something is missing, foreign, damaged or does not fit together; the message names the file.
        """
        dataset = ExampleDataset.open(directory, split)
        stage = task(dataset.task).second_stage
        if stage is None:
            able = ", ".join(each.name for each in TASKS.values() if each.second_stage)
            raise UsageError(
                f"{directory} holds examples of {dataset.task}: uniter pretrain takes data sets of pairs, or examples "
                f"of {able}"
            )
        return cls(dataset, stage, task(dataset.task).type_sources)

    def __len__(self) -> int:
        return len(self.rows)

    def samples(
        self,
        indices: ArrayLike,
        *,
        image_rows: ArrayLike | None = None,
        matched: ArrayLike | None = None,
        keys: ArrayLike | None = None,
    ) -> list[Sample]:
        """Pairs, their texts and regions fetched together; see `PairDataset.samples`."""
        texts = np.asarray(indices, dtype=np.int64)
        own = self.image_rows[texts]
        shown = own if image_rows is None else np.asarray(image_rows, dtype=np.int64)
        belongs = (own == shown) if matched is None else np.asarray(matched, dtype=bool)
        examples = self.dataset.examples(self.rows[texts], keys=keys, images=shown[:, None])
        return [
            replace(self._stage.sample(example, self.vocabulary), matched=fits)
            for example, fits in zip(examples, belongs.tolist(), strict=True)
        ]
