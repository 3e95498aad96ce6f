"""From pictures to region stores: a data set's, or one of a folder."""

from collections.abc import Callable
from pathlib import Path

from uniter_data.extract.making import make_store, refuse_another
from uniter_data.extract.pictures import refuse_bombs
from uniter_data.extract.protocol import RegionExtractor, check_extractor
from uniter_data.extract.report import ExtractionReport
from uniter_data.extract.standardisation import take_up_standardised
from uniter_data.extract.waiting import WaitingStore, waiting_folder, waiting_stores
from uniter_data.stores.locations import is_remote

__all__ = ["extract_regions"]

Progress = Callable[[str, int, int], None]


def extract_regions(
    source: str | Path,
    *,
    extractor: RegionExtractor,
    out: str | Path | None = None,
    given_boxes: bool = False,
    standardise: bool = False,
    seed: int = 0,
    ids: str = "stem",
    batch: int = 8,
    workers: int = 2,
    progress: Progress | None = None,
) -> ExtractionReport:
    """Make the region stores of a data set, or one of a folder of pictures; what was interrupted goes on.

    Args:
        source: a data set that waits for regions, or a folder (or URL) of pictures.
        extractor: `backbone_extractor`, `detector_extractor`, or one of your own: see `RegionExtractor`.
        out: the store to write; for a folder only, a data set says where its own lie.
        given_boxes: describe the regions of the data set's box files instead of letting the extractor find its own.
        standardise: fit mean and deviation of each feature once and apply them; for backbones, whose levels differ in
            scale. The statistics lie in extraction.json in the stores' folder, and are used by all stores there.
        seed: of the sample that they are fitted to.
        ids: of a folder's images: "stem" of the file, or its "path" below the folder without suffix.
        batch: pictures at once; few are fast on a CPU (their maps stay in its cache), a GPU wants more.
        workers: threads that read and decode pictures.
        progress: called with what is done, how much of it, and of how much.

    Returns:
        What was done. Pictures that cannot be read, or that have no region, are skipped and listed in it and in a file
        beside the store; texts of the data set that show them are left out.

    Raises:
        RuntimeError: a library is not installed.
        ValueError: there is nothing to extract, a name is taken twice, or an extraction was begun in another way.
        OSError: the disk is full, or a remote folder out of reach; run again to go on.
    """
    for name, number in (("batch", batch), ("workers", workers)):
        if number < 1:
            raise ValueError(f"{name}: expected at least 1, got {number}")
    check_extractor(extractor)
    tell = progress or (lambda what, done, total: None)
    stores = _stores(str(source), out, ids)
    lacking = next((store.path for store in stores if given_boxes and not store.given), None)
    if lacking:
        raise ValueError(f"{lacking} has no box file: let the extractor find its own regions, or give a grid")
    with refuse_bombs():
        if standardise:
            extractor = take_up_standardised(
                stores[0].directory or stores[0].path.parent,
                extractor,
                stores,
                given=given_boxes,
                seed=seed,
                workers=workers,
                tell=tell,
            )
        for store in stores:
            refuse_another(store, extractor)
        made = {
            store.path.name: make_store(store, extractor, given=given_boxes, batch=batch, workers=workers, tell=tell)
            for store in stores
        }
    return ExtractionReport(
        source=str(source),
        extractor=extractor.name,
        region_dim=extractor.region_dim,
        stores=made,
    )


# ---------------------------------------------------------------------------------------------------------------------


def _stores(source: str, out: str | Path | None, ids: str) -> list[WaitingStore]:
    if not is_remote(source) and (Path(source) / "dataset.json").is_file():
        if out is not None:
            raise ValueError(f"out: {source} is a data set, which says where its stores lie: leave it out")
        return waiting_stores(Path(source))
    if out is None:
        raise ValueError(f"out: {source} is no data set: say where the store of a folder of pictures shall lie")
    return [waiting_folder(source, Path(out), ids)]
