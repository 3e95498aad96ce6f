"""BERT's weights as UNITER's initialisation: the text side and the word head from BERT, the region side fresh."""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from uniter_core.checkpoints.files import find_folder, read_tensors
from uniter_core.checkpoints.folder import write_folder
from uniter_core.checkpoints.loading import CheckpointError, LoadReport, load_tensors
from uniter_core.checkpoints.names import TIED, our_name
from uniter_core.checkpoints.official import read_config
from uniter_core.config import UniterConfig
from uniter_core.encoder import UniterEncoder
from uniter_core.initialisation import initialise
from uniter_core.vocabulary import Vocabulary

__all__ = ["convert_bert"]

WEIGHTS = ("model.safetensors", "pytorch_model.bin")
# The files of 2018 call a layer normalisation's parameters so.
OLD_ENDINGS = {".gamma": ".weight", ".beta": ".bias"}


def convert_bert(source: str, out: Path, *, region_dim: int = 2048, num_classes: int = 1601, seed: int = 1) -> str:
    """Write a model folder for pre-training that starts from BERT.

    What BERT does not have (regions, the heads for regions and for matching) is initialised as a function of `seed`;
    what only BERT has (next-sentence prediction) is left out. A `vocab.txt` beside the weights becomes the folder's
    vocabulary.

    Args:
        source: a folder with config.json and model.safetensors or pytorch_model.bin, or an id of the hub, for
            example `google-bert/bert-base-cased`. Old (gamma, beta) and new names are understood.
        out: model folder to write.
        region_dim: width of the region features.
        num_classes: classes of the soft labels, background included.
        seed: of the fresh parts.

    Returns:
        What came from BERT, what is fresh and what was left out, for people.

    Raises:
        CheckpointError: there is no such BERT, a file is damaged, or its weights do not fit its config.json.
    """
    folder = find_folder(source, files=("config.json", "vocab.txt", *WEIGHTS))
    weights = next((folder / name for name in WEIGHTS if (folder / name).is_file()), None)
    if weights is None:
        raise CheckpointError(f"{source} holds none of {', '.join(WEIGHTS)}")
    try:
        described = read_config(folder / "config.json")
        config = UniterConfig(**(described | {"region_dim": region_dim, "num_classes": num_classes}))
    except (TypeError, ValueError) as error:
        raise CheckpointError(f"{folder / 'config.json'}: {error}") from error
    taken, left_out = _from_bert(read_tensors(weights))
    model = _fresh_model(config, seed=seed)
    report = load_tensors(model, taken, origin=str(weights), allow_missing=("encoder.", "heads."))
    if not any(name.startswith("encoder.layers.") for name in taken):
        raise CheckpointError(f"{weights} has no layer of a BERT: its first name is {next(iter(taken), 'absent')!r}")
    vocabulary = _vocabulary(folder / "vocab.txt", config)
    write_folder(out, model.state_dict(), config, vocabulary=vocabulary)
    return _told(source, out, taken, report, left_out)


# ---------------------------------------------------------------------------------------------------------------------


def _from_bert(state: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], list[str]]:
    """Tensors under our names, and the names that have no place here."""
    taken, left_out = {}, []
    for name, tensor in state.items():
        new = name
        for old, ending in OLD_ENDINGS.items():
            if new.endswith(old):
                new = new.removesuffix(old) + ending
        inner = new.removeprefix("bert.").removeprefix("uniter.")
        official = inner if inner.startswith("cls.") else f"uniter.{inner}"
        try:
            if official in TIED or official == "cls.predictions.decoder.bias":  # second entries of the same tensor
                continue
            taken[our_name(official)] = tensor
        except ValueError:
            left_out.append(name)
    return taken, left_out


def _fresh_model(config: UniterConfig, *, seed: int) -> nn.Module:
    """Every parameter of a model in pre-training, initialised; no more than names and shapes."""
    hidden = config.hidden_size

    def head(output: str, module: nn.Module | nn.Parameter) -> nn.Module:
        transform = nn.ModuleDict({"dense": nn.Linear(hidden, hidden), "norm": nn.LayerNorm(hidden)})
        made = nn.ModuleDict({"transform": transform})
        setattr(made, output, module)
        return made

    heads = {
        "mlm": head("bias", nn.Parameter(torch.zeros(config.vocab_size))),
        "mrfr": head("bias", nn.Parameter(torch.zeros(config.region_dim))),
        "mrc": head("classifier", nn.Linear(hidden, config.num_classes)),
        "itm": nn.Linear(hidden, 2),
    }
    model = nn.ModuleDict({"encoder": UniterEncoder(config, seed=seed), "heads": nn.ModuleDict(heads)})
    initialise(model["heads"], deviation=config.initializer_range, seed=seed)
    return model


def _vocabulary(file: Path, config: UniterConfig) -> Vocabulary | None:
    if not file.is_file():
        return None
    try:
        lines = file.read_text(encoding="utf-8").removesuffix("\n").split("\n")  # pieces hold other separators
        vocabulary = Vocabulary.from_tokens(lines)
    except ValueError as error:
        raise CheckpointError(f"{file}: {error}") from error
    if vocabulary.size != config.vocab_size:
        raise CheckpointError(f"{file} has {vocabulary.size} lines, config.json says vocab_size {config.vocab_size}")
    return vocabulary


def _told(source: str, out: Path, taken: Mapping[str, Tensor], report: LoadReport, left_out: list[str]) -> str:
    fresh = sorted({".".join(name.split(".")[:2]) for name in report.missing})
    lines = [f"{source} -> {out}: {len(taken)} tensors from BERT", f"fresh: {', '.join(fresh)}"]
    if left_out:
        lines.append(f"left out: {', '.join(left_out)}")
    return "\n".join(lines)
