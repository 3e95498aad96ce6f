"""Draws blocks of pictures and what the convolution answers to their regions, in several processes, resumably.

A picture is a pure function of (seed, source, split, number). Blocks are files: a finished one is never done again,
whoever does it gives the same bytes, and a killed run goes on where it was. The processes are started by command, since
`multiprocessing` would run the caller's main module a second time.

R regions of a block, M responses.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from uniter_core import key_of
from uniter_data.scenes.drawing import draw_scene
from uniter_data.scenes.features import crops_of, responses_of
from uniter_data.scenes.regions import Regions, find_regions
from uniter_data.scenes.world import COUNTS, Scene, sample_scene

__all__ = ["BLOCK", "Block", "content_of", "image_id", "read_responses", "render", "stream", "work"]

BLOCK = 100  # pictures
COMMAND = "import sys; from uniter_data.scenes.rendering import work; work(*sys.argv[1:])"
PATIENCE = 0.1  # seconds between looks at what the processes have done
QUALITY = 88  # of JPEG: 6 KB and 0.1 ms each; because of the grain PNG takes 34 KB and 5 ms, and WebP 3 KB but 1 ms


@dataclass(frozen=True, kw_only=True)
class Block:
    """Pictures `first` to `stop` (exclusive) of a split of a source."""

    source: str
    split: str
    first: int
    stop: int

    @property
    def name(self) -> str:
        """Of its file, unique among blocks."""
        return f"{self.source}-{self.split}-{self.first:05d}.npy"


def stream(seed: int, source: str, split: str, number: int, what: str) -> np.random.Generator:
    """The generator of one aspect of one picture."""
    return np.random.default_rng(key_of(seed, "scenes", source, split, number, what))


def content_of(seed: int, source: str, split: str, number: int) -> tuple[Scene, Regions]:
    """A picture's scene and its regions."""
    scene = sample_scene(stream(seed, source, split, number, "scene"), counts=COUNTS[source])
    return scene, find_regions(scene, stream(seed, source, split, number, "regions"))


def image_id(source: str, split: str, number: int) -> str:
    """The name of a picture and of its file."""
    return f"{source}-{split}-{number:05d}"


def render(
    blocks: Sequence[Block],
    staging: Path,
    *,
    seed: int,
    processes: int,
    progress: Callable[[int, int], None],
) -> None:
    """Draw every block that is not there yet.

    Args:
        blocks: to draw.
        staging: gets `blocks/NAME` and `scenes/images/SOURCE/pictures/SPLIT/IMAGE.jpg`.
        seed: of the data set.
        processes: to use; one means this process.
        progress: called with (pictures done, pictures in all).

    Raises:
        OSError: the disk is full, or the folder cannot be written.
    """
    (staging / "blocks").mkdir(parents=True, exist_ok=True)
    total = sum(block.stop - block.first for block in blocks)
    missing = [block for block in blocks if not (staging / "blocks" / block.name).exists()]

    def report() -> None:
        done = [block for block in blocks if (staging / "blocks" / block.name).exists()]
        progress(sum(block.stop - block.first for block in done), total)

    report()
    if processes > 1 and len(missing) > 1:
        shares = [missing[start::processes] for start in range(min(processes, len(missing)))]
        _render_in_processes(shares, staging, seed=seed, report=report)
    # also what a process left undone: if that was for a fault, it shows here as it is
    for block in missing:
        if not (staging / "blocks" / block.name).exists():
            _render_block(block, staging, seed=seed)
            report()


def read_responses(block: Block, staging: Path) -> NDArray[np.float16]:
    """(R, M): the convolution's answers to the block's regions, picture after picture."""
    responses: NDArray[np.float16] = np.load(staging / "blocks" / block.name, mmap_mode="r", allow_pickle=False)
    return responses


# ---------------------------------------------------------------------------------------------------------------------


def _render_block(block: Block, staging: Path, *, seed: int) -> None:
    folder = staging / "scenes" / "images" / block.source / "pictures" / block.split
    folder.mkdir(parents=True, exist_ok=True)
    crops = []
    for number in range(block.first, block.stop):
        scene, regions = content_of(seed, block.source, block.split, number)
        picture = draw_scene(scene)
        picture.save(folder / f"{image_id(block.source, block.split, number)}.jpg", quality=QUALITY, subsampling=0)
        crops.append(crops_of(picture, regions.boxes))
    responses = responses_of(np.concatenate(crops), seed=seed)
    with tempfile.NamedTemporaryFile(dir=staging / "blocks", suffix=".part", delete=False) as file:
        np.save(file, responses)
    Path(file.name).replace(staging / "blocks" / block.name)


def _render_in_processes(
    shares: Sequence[Sequence[Block]], staging: Path, *, seed: int, report: Callable[[], None]
) -> None:
    """One process for each share; all of them end when this function does."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    with ExitStack() as stack:
        workers = []
        for number, share in enumerate(shares):
            order = staging / f"process-{number}.json"
            order.write_text(json.dumps({"seed": seed, "blocks": [asdict(block) for block in share]}), encoding="utf-8")
            worker = subprocess.Popen(
                [sys.executable, "-c", COMMAND, str(staging), str(order)],
                stdin=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env=environment,
            )
            stack.callback(_end, worker)
            workers.append(worker)
        while any(worker.poll() is None for worker in workers):
            time.sleep(PATIENCE)
            report()


def _end(worker: "subprocess.Popen[bytes]") -> None:
    worker.kill()
    worker.wait()


def work(staging: str, order: str) -> None:
    """What a process does: the blocks of its order, a JSON file, as long as whoever gave it is alive."""
    task = json.loads(Path(order).read_text(encoding="utf-8"))
    parent = os.getppid()
    for block in task["blocks"]:
        if os.getppid() == parent:
            _render_block(Block(**block), Path(staging), seed=task["seed"])
