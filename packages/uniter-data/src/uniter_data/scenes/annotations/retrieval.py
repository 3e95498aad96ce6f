"""The captions of all pictures with their splits, in the one JSON file that Karpathy's splits of COCO come in."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from uniter_data.scenes.annotations.pictures import SOURCE, Picture
from uniter_data.scenes.annotations.records import Record, write_json
from uniter_data.scenes.captions import captions
from uniter_data.scenes.rendering import stream
from uniter_data.scenes.speaker import text_of

__all__ = ["FILE", "captions_of", "write_retrieval"]

FILE = "dataset_scenes.json"


def write_retrieval(folder: Path, pictures: Mapping[str, Sequence[Picture]], *, seed: int) -> None:
    """Write the file; its captions are those of the data set `captions`."""
    images: list[Record] = []
    sentences = 0
    for number, picture in enumerate(picture for of in pictures.values() for picture in of):
        said = captions_of(picture, seed=seed)
        sentids = list(range(sentences, sentences := sentences + len(said)))
        images.append(
            {
                "imgid": number,
                "cocoid": picture.unique_number,
                "filepath": picture.split,
                "filename": f"{picture.image_id}.jpg",
                "split": picture.split,
                "sentids": sentids,
                "sentences": [
                    {"imgid": number, "sentid": sentid, "raw": text, "tokens": text.replace(",", "").split()}
                    for sentid, text in zip(sentids, said, strict=True)
                ],
            }
        )
    write_json(folder / FILE, {"dataset": "scenes", "images": images})


def captions_of(picture: Picture, *, seed: int) -> list[str]:
    """The picture's five captions."""
    rng = stream(seed, SOURCE, picture.split, picture.number, "captions")
    return [text_of(sentence) for sentence in captions(picture.scene, rng)]
