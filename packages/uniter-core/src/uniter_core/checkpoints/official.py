"""Official UNITER checkpoints (the 2020 code's state dicts) into model folders and back, tensor for tensor."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from uniter_core.checkpoints.files import read_tensors
from uniter_core.checkpoints.folder import load_folder, write_folder
from uniter_core.checkpoints.loading import CheckpointError, compare
from uniter_core.checkpoints.names import TIED, official_name, our_name
from uniter_core.config import UniterConfig
from uniter_core.encoder import UniterEncoder

__all__ = ["config_of", "convert_official", "export_official", "from_official", "to_official"]

# A configuration file's key in the 2020 code (and in BERT's) -> our field.
OFFICIAL_FIELDS = {
    "attention_probs_dropout_prob": "attention_dropout",
    "hidden_dropout_prob": "hidden_dropout",
    "hidden_size": "hidden_size",
    "initializer_range": "initializer_range",
    "intermediate_size": "intermediate_size",
    "max_position_embeddings": "max_positions",
    "num_attention_heads": "num_heads",
    "num_hidden_layers": "num_layers",
    "type_vocab_size": "num_types",
    "vocab_size": "vocab_size",
}
HEAD_SIZE = 64  # of every published model; a state dict does not tell


def convert_official(checkpoint: Path, config: Path | None, out: Path) -> str:
    """Write an official checkpoint as a model folder.

    Sizes come from the tensors, as fine-tuned models have grown tables. Only dropouts, initial deviation and the number
    of heads need the configuration file; without it they are the published ones, with heads of 64.

    Args:
        checkpoint: `.pt` or `.safetensors`.
        config: the JSON file that the 2020 code was started with, e.g. `uniter-base.json`.
        out: model folder to write.

    Returns:
        What was converted, for people.

    Raises:
        CheckpointError: a file is damaged, a name has no rule, the encoder is incomplete, or tied tensors differ.
    """
    tensors = from_official(read_tensors(checkpoint), origin=str(checkpoint))
    sizes = config_of(tensors, read_config(config) if config else {}, origin=str(checkpoint))
    write_folder(out, tensors, sizes)
    heads = sorted({name.split(".")[1] for name in tensors if name.startswith("heads.")})
    assumed = "" if config else f"; no --config: {sizes.num_heads} heads assumed"
    return (
        f"{checkpoint} -> {out}: {len(tensors)} tensors, {sizes.num_layers} layers of {sizes.hidden_size}, "
        f"vocabulary {sizes.vocab_size}, features {sizes.region_dim} wide; heads: {', '.join(heads) or 'none'}{assumed}"
    )


def export_official(folder: Path, out: Path) -> str:
    """Write a model folder as a state dict of the 2020 code, with its configuration beside it (`.json`).

    Args:
        folder: model folder.
        out: `.pt` or `.safetensors` to write.

    Returns:
        What was written, for people.

    Raises:
        CheckpointError: the folder is none, or a parameter has no official counterpart.
    """
    model = load_folder(folder)
    state = to_official(model.tensors)
    out.parent.mkdir(parents=True, exist_ok=True)
    beside = out.with_name(f".{out.name}.partial")
    try:
        if out.suffix == ".safetensors":
            save_file({name: tensor.clone() for name, tensor in state.items()}, beside)  # it refuses shared memory
        else:
            torch.save(state, beside)
        beside.replace(out)
    finally:
        beside.unlink(missing_ok=True)
    described = model.config.to_dict()
    official = {theirs: described[ours] for theirs, ours in OFFICIAL_FIELDS.items()} | {"hidden_act": "gelu"}
    out.with_suffix(".json").write_text(json.dumps(official, indent=2) + "\n")
    return f"{folder} -> {out}: {len(state)} tensors, configuration in {out.with_suffix('.json').name}"


def from_official(state: Mapping[str, Tensor], *, origin: str) -> dict[str, Tensor]:
    """Tensors under our names; the second entries of tied tensors are checked and left out.

    Raises:
        CheckpointError: names without a rule, or tied entries that differ.
    """
    ours, unknown = {}, []
    for name, tensor in state.items():
        if name in TIED:
            if TIED[name] not in state or not torch.equal(tensor, state[TIED[name]]):
                raise CheckpointError(f"{origin}: {name} must equal {TIED[name]}, to which the official model ties it")
            continue
        try:
            ours[our_name(name)] = tensor
        except ValueError:
            unknown.append(name)
    if unknown:
        raise CheckpointError(f"{origin} has names that no official UNITER model has: {', '.join(unknown[:8])}")
    return ours


def to_official(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors under their official names; tied ones under both, sharing memory.

    Raises:
        CheckpointError: a name has no official counterpart.
    """
    try:
        state = {official_name(name): tensor for name, tensor in tensors.items()}
    except ValueError as error:
        raise CheckpointError(str(error)) from error
    for second, first in TIED.items():
        if second.removesuffix("decoder.weight").removesuffix("weight") + "bias" in state:  # the head is there
            state[second] = state[first]
    return state


def read_config(file: Path) -> dict[str, Any]:
    """Our fields from a configuration file of the 2020 code or of BERT; what neither needs is left out.

    Raises:
        CheckpointError: the file is damaged, or asks for another activation than GELU.
    """
    try:
        official = json.loads(file.read_text())
        found = {ours: official[theirs] for theirs, ours in OFFICIAL_FIELDS.items() if theirs in official}
        activation = official.get("hidden_act", "gelu")
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise CheckpointError(f"{file} is not a configuration file: {error}") from error
    if activation != "gelu":
        raise CheckpointError(f"{file}: hidden_act must be 'gelu', got {activation!r}")
    return found


def config_of(tensors: Mapping[str, Tensor], described: Mapping[str, Any], *, origin: str) -> UniterConfig:
    """The configuration that fits tensors under our names: sizes from them, the rest as `described`.

    Raises:
        CheckpointError: the encoder's tensors are incomplete or do not fit each other.
    """
    prefix = "encoder.text_embedding."
    try:
        vocab_size, hidden_size = tensors[prefix + "words.weight"].shape
        sizes = {
            "vocab_size": vocab_size,
            "hidden_size": hidden_size,
            "max_positions": len(tensors[prefix + "positions.weight"]),
            "num_types": len(tensors[prefix + "types.weight"]),
            "region_dim": tensors["encoder.region_embedding.feature.weight"].shape[1],
            "intermediate_size": len(tensors["encoder.layers.0.feed_forward.expand.weight"]),
            "num_layers": 1 + max(int(found[1]) for name in tensors if (found := _LAYER.match(name))),
        }
        if "heads.mrc.classifier.weight" in tensors:
            sizes["num_classes"] = len(tensors["heads.mrc.classifier.weight"])
        defaults = {"num_heads": max(1, hidden_size // HEAD_SIZE)}
        config = UniterConfig(**(defaults | dict(described) | sizes))
    except KeyError as error:
        raise CheckpointError(f"{origin} is not a whole encoder: {error.args[0]} is missing") from error
    except ValueError as error:
        raise CheckpointError(f"{origin}: {error}") from error
    with torch.device("meta"):
        expected = nn.ModuleDict({"encoder": UniterEncoder(config)}).state_dict()
    report = compare(expected, {name: tensor for name, tensor in tensors.items() if name.startswith("encoder.")})
    if report.missing or report.unexpected or report.reshaped:
        raise CheckpointError(f"{origin} is not a whole encoder\n{report}")
    return config


_LAYER = re.compile(r"encoder\.layers\.(\d+)\.")
