"""What perceptual hashes find and what they take for the same: two tables in Markdown, and how long a search takes.

    python benchmarks/picture_hashes.py nlvr=../shared/data/nlvr/dev/images scenes=$CACHE/pictures photos=FOLDER

For up to some hundred pictures of each folder. The first table distorts each picture as those of the web are, and shows
how many bits of the hash change; the second compares each picture with each other. The search looks for 100,000 random
hashes among 3 million.
"""

import argparse
import time
from collections.abc import Callable, Iterator, Mapping
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from timing import machine

from uniter_data.extract.pictures import decode_picture
from uniter_data.pictures import SUFFIXES
from uniter_data.splits import DISTANCE
from uniter_data.splits.near_hashes import HashIndex
from uniter_data.splits.picture_hash import picture_hash

Distortion = Callable[[Image.Image], Image.Image]
LIMITS = (0, 2, 4, 6, 8, 10)  # bits; two hashes always differ in an even number


def encoded(picture: Image.Image, quality: int) -> Image.Image:
    """Through JPEG."""
    raw = BytesIO()
    picture.save(raw, "JPEG", quality=quality)
    return Image.open(raw)


def resized(picture: Image.Image, width: float, height: float) -> Image.Image:
    """By shares of its width and height."""
    return picture.resize((max(1, round(picture.width * width)), max(1, round(picture.height * height))))


def cropped(picture: Image.Image, share: float) -> Image.Image:
    """Without so much of each side."""
    left, top = round(picture.width * share), round(picture.height * share)
    return picture.crop((left, top, picture.width - left, picture.height - top))


DISTORTIONS: Mapping[str, Distortion] = {
    "JPEG, quality 75": lambda picture: encoded(picture, 75),
    "JPEG, quality 30": lambda picture: encoded(picture, 30),
    "half as wide and high": lambda picture: resized(picture, 0.5, 0.5),
    "squeezed to 4:3 of its shape": lambda picture: resized(picture, 1.0, 0.75),
    "grey": lambda picture: picture.convert("L"),
    "grey, 0.7 of the size, JPEG 40": lambda picture: encoded(resized(picture, 0.7, 0.7).convert("L"), 40),
    "2 % of each side cut off": lambda picture: cropped(picture, 0.02),
    "10 % of each side cut off": lambda picture: cropped(picture, 0.1),
    "mirrored": lambda picture: picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
}


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", metavar="NAME=FOLDER")
    parser.add_argument("--pictures", type=int, default=1000, help="of a folder, drawn at random")
    arguments = parser.parse_args()
    drawn = {}
    for argument in arguments.folders:
        name, _, folder = argument.partition("=")
        drawn[name] = draw(Path(folder), arguments.pictures)
    print_distortions(drawn)
    print_others(drawn)
    print_search()
    print(f"\n{machine()}")


def draw(folder: Path, count: int) -> list[Image.Image]:
    """Some pictures of a folder, the same every time."""
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    chosen = np.sort(np.random.default_rng(0).permutation(len(paths))[:count])
    read = (decode_picture(paths[place].read_bytes()) for place in chosen.tolist())
    return [picture for picture in read if not isinstance(picture, str)]


def print_distortions(drawn: Mapping[str, list[Image.Image]]) -> None:
    """How many bits change, and how many copies are found."""
    print("| pictures | distortion | bits that change: median, 99 %, most | found |\n|---|---|---|---|")
    for name, pictures in drawn.items():
        hashed = [(picture, hash) for picture in pictures if (hash := picture_hash(picture)) is not None]
        for what, distort in DISTORTIONS.items():
            copies = [(hash, picture_hash(distort(picture))) for picture, hash in hashed]
            bits = np.array([(one ^ other).bit_count() for one, other in copies if other is not None])
            found = (bits <= DISTANCE).sum() / len(copies)
            quantiles = ", ".join(f"{value:.0f}" for value in np.percentile(bits, [50, 99, 100]))
            print(f"| {name} | {what} | {quantiles} | {found:.1%} |")


def print_others(drawn: Mapping[str, list[Image.Image]]) -> None:
    """How near pictures are that are not the same."""
    head = " | ".join(f"≤ {limit}" for limit in LIMITS)
    print(f"\n| pairs of | pictures | too plain | {head} | pictures with another ≤ {DISTANCE} |")
    print("|---" * (len(LIMITS) + 4) + "|")
    for name, pictures in drawn.items():
        hashes = [hash for picture in pictures if (hash := picture_hash(picture)) is not None]
        bits = distances(np.array(hashes, np.uint64))
        of_pairs = bits[np.triu_indices(len(hashes), 1)]
        np.fill_diagonal(bits, 64)
        shares = " | ".join(f"{(of_pairs <= limit).mean():.4%}" for limit in LIMITS)
        near = (bits.min(axis=1) <= DISTANCE).mean()
        print(f"| {name} | {len(pictures):,} | {len(pictures) - len(hashes):,} | {shares} | {near:.1%} |")


def distances(hashes: NDArray[np.uint64]) -> NDArray[np.uint8]:
    """(N, N) bits that differ."""
    return np.bitwise_count(hashes[:, None] ^ hashes[None, :])


def print_search(hashes: int = 3_000_000, wanted: int = 100_000) -> None:
    """The time of a search."""
    rng = np.random.default_rng(0)
    known, sought = (rng.integers(0, 1 << 64, count, np.uint64) for count in (hashes, wanted))
    start = time.perf_counter()
    index = HashIndex(known)
    built = time.perf_counter()
    pairs = len(set(found_pairs(index, sought)))
    end = time.perf_counter()
    print(
        f"\n{wanted:,} among {hashes:,} random hashes: index {built - start:.1f} s, search {end - built:.1f} s; "
        f"by chance {pairs} pairs differ in at most {DISTANCE} bits"
    )


def found_pairs(index: HashIndex, sought: NDArray[np.uint64]) -> Iterator[tuple[int, int]]:
    """Rows of what was sought and found."""
    for ones, others, _ in index.near(sought, DISTANCE):
        yield from zip(ones.tolist(), others.tolist(), strict=True)


if __name__ == "__main__":
    main()
