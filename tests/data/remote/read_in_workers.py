"""Run by a test in a process of its own: loaders of two workers, started in each way, after the parent has read.

Usage: read_in_workers.py METHOD LOCATION…
"""

import multiprocessing
import sys
import warnings

import torch
from torch.utils.data import DataLoader, Dataset

from uniter_data import PairDataset


class Pairs(Dataset):
    """Batches of four pairs, one data set after another."""

    def __init__(self, datasets: list[PairDataset]) -> None:
        self.datasets = datasets

    def __len__(self) -> int:
        return sum(len(dataset) // 4 for dataset in self.datasets)

    def __getitem__(self, index: int) -> list[torch.Tensor]:
        index, which = divmod(index, len(self.datasets))
        samples = self.datasets[which].samples(range(4 * index, 4 * index + 4))
        return [sample.region_features for sample in samples]


def main(method: str, *locations: str) -> None:
    datasets = [PairDataset.open(location, "train") for location in locations]
    pairs = Pairs(datasets)
    expected = [pairs[index] for index in range(len(pairs))]  # the parent's loops, threads and connections are running
    with warnings.catch_warnings():
        # newer Pythons warn of a fork beside threads: that is what is tested
        warnings.simplefilter("ignore", DeprecationWarning)
        if method == "forkserver":
            multiprocessing.set_forkserver_preload(["uniter_data"])  # or each worker takes seconds to import it
        loader = DataLoader(pairs, batch_size=None, num_workers=2, multiprocessing_context=method)
        assert all(all(map(torch.equal, one, other)) for one, other in zip(loader, expected, strict=True))
    assert all(map(torch.equal, pairs[0], expected[0]))  # the parent's connections still serve the parent


if __name__ == "__main__":
    main(*sys.argv[1:])
