"""What the import commands share: their options, and how an import is run and reported."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from uniter_cli.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from uniter_data import Tokenizer
    from uniter_data.examples import ImportOptions

__all__ = [
    "Cased",
    "Out",
    "Regions",
    "SplitFiles",
    "Vocab",
    "import_options",
    "read_tokenizer",
    "run_import",
    "split_files",
]

T = TypeVar("T")

SPLIT_FILE = re.compile(r"(?:([\w+-]+)=)?(.+)")  # SPLIT=FILE, or FILE

Regions = Annotated[
    list[str], typer.Option("--regions", help="A store of regions to look for the pictures in; repeat for several.")
]
Out = Annotated[Path, typer.Option("--out", help="The data set to write.")]
Vocab = Annotated[
    Path | None, typer.Option("--vocab", help="A BERT vocabulary (vocab.txt) or tokenizer.json; else built.")
]
Cased = Annotated[bool, typer.Option("--cased", help="The vocabulary tells upper from lower case.")]
SplitFiles = Annotated[
    list[str], typer.Argument(help="SPLIT=FILE, or FILE whose name ends in its split (dev is val); any number.")
]


def import_options(
    *,
    vocab: Vocab = None,
    cased: Cased = False,
    max_tokens: Annotated[
        int, typer.Option("--max-tokens", min=1, help="Word pieces of a text; the head is kept.")
    ] = 60,
    drop_long: Annotated[
        bool, typer.Option("--drop-long", help="Leave out what has a longer text, as released.")
    ] = False,
    skip_missing: Annotated[
        bool,
        typer.Option("--skip-missing", help="Leave out, and count, what has no regions or lacks something else."),
    ] = False,
    image_name: Annotated[
        str,
        typer.Option(
            "--image-name",
            help="What the stores call a picture, with {stem}, {number:012d}, {collection}, {path}; else what is "
            "usual.",
        ),
    ] = "",
    pictures: Annotated[
        list[str] | None,
        typer.Option("--pictures", help="A folder of the pictures, for previews; repeat for several."),
    ] = None,
) -> "ImportOptions":
    """What the options of a task's import say, the vocabulary read."""
    from uniter_data.examples import ImportOptions

    return ImportOptions(
        tokenizer=read_tokenizer(vocab, cased=cased),
        max_tokens=max_tokens,
        drop_long=drop_long,
        skip_missing=skip_missing,
        image_name=image_name,
        pictures=pictures or (),
    )


def run_import(importer: "Callable[..., T]", /, *places: Any, options: Any, **files: Any) -> "T":
    """Import with a bar, print what came of it, and give it back.

    Args:
        importer: takes the rest, and `progress` among the options.
        places: what is read, and where it is written.
        options: a dataclass.
        files: more that is read.
    """
    from dataclasses import replace

    from uniter_cli.display import progress_bars

    with progress_bars() as progress:
        report = importer(*places, options=replace(options, progress=progress), **files)
    typer.echo(report)
    return report


def split_files(arguments: "Iterable[str] | None") -> dict[str, list[str]]:
    """The files of each split; those without SPLIT= stand under the empty name.

    >>> split_files(["train=a.json", "train=b.json", "dev.json"])
    {'train': ['a.json', 'b.json'], '': ['dev.json']}
    """
    found: dict[str, list[str]] = {}
    for argument in arguments or ():
        match = SPLIT_FILE.fullmatch(argument)
        if match is None:
            raise UsageError(f"expected SPLIT=FILE or FILE, got {argument!r}")
        found.setdefault(match[1] or "", []).append(match[2])
    return found


def read_tokenizer(vocab: Path | None, *, cased: bool) -> "Tokenizer | None":
    """The tokenizer of `--vocab`; None without it: one is built."""
    from uniter_data import Tokenizer

    if vocab is None:
        return None
    if vocab.suffix == ".json":
        return Tokenizer.from_file(vocab)
    return Tokenizer.from_vocabulary_file(vocab, cased=cased)
