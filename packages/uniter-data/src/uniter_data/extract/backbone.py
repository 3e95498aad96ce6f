"""A timm backbone as an extractor sees it: pictures in, feature maps of some levels out."""

# B pictures, C channels of a level, h and w of its map

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from uniter_data.extract.protocol import choose_device
from uniter_data.extract.weights import HUB_TIMEOUT, digest_of, read_tensors, reason_of

__all__ = ["Backbone", "load_backbone", "require_extra"]

NAMED = 3  # so many missing tensors, or models of a similar name, are named in an error


@dataclass(frozen=True, kw_only=True)
class Backbone:
    """A backbone, ready to be called on one device.

    Attributes:
        net: called with (B, 3, H, W), gives the chosen levels' maps.
        channels: C of each level.
        strides: pixels of the picture to a cell of each level's map.
        channels_last: whether the maps come as (B, h, w, C).
        picture_size: (width, height) to which pictures are resized; None where the model takes any.
        mean, std: (3,) of the colours the model expects.
        device: where it is.
        identity: model, weights, levels and version: what decides the maps.
    """

    net: nn.Module
    channels: tuple[int, ...]
    strides: tuple[int, ...]
    channels_last: bool
    picture_size: tuple[int, int] | None
    mean: Tensor
    std: Tensor
    device: torch.device
    identity: dict[str, Any]

    def maps(self, pictures: Tensor) -> list[Tensor]:
        """Feature maps of pictures of one size.

        Args:
            pictures: (B, 3, H, W) uint8.

        Returns:
            (B, C, h, w) float32 a level.
        """
        scaled = pictures.to(self.device).float() / 255
        levels = self.net((scaled - self.mean[:, None, None]) / self.std[:, None, None])
        return [level.movedim(-1, 1) if self.channels_last else level for level in levels]


def require_extra() -> tuple[ModuleType, ModuleType]:
    """The modules timm and torchvision.ops.

    Raises:
        RuntimeError: they are not installed; says how to install them.
    """
    try:
        import timm
        from torchvision import ops
    except ImportError as error:
        raise RuntimeError(
            f'extracting regions needs timm and torchvision ({error}): pip install "uniter-data[extract]"'
        ) from error
    return timm, ops


def load_backbone(
    model: str, *, weights: str, seed: int, levels: Sequence[int], device: str | torch.device | None
) -> Backbone:
    """A timm model, cut after the last level that is asked for.

    Args:
        model: any name timm knows that gives feature maps.
        weights: "hub" for timm's pretrained ones, "random", or a file of them (safetensors, or torch's without pickled
            code).
        seed: of random weights.
        levels: numbers of timm's feature levels, 0 the finest, -1 the coarsest.
        device: default: the GPU if there is one.

    Raises:
        RuntimeError: timm is not installed.
        ValueError: there is no such model or level, or the weights cannot be had or do not fit.
    """
    timm, _ = require_extra()
    # the caller's stream of random numbers is left as it was
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net: Any = _create(timm, model, levels, pretrained=weights == "hub")
    if weights not in ("hub", "random"):
        load_weights(net, Path(weights), model)
    chosen = choose_device(device)
    config = timm.models.get_pretrained_cfg(model)
    fixed = config is not None and config.fixed_input_size
    mean, std = (config.mean, config.std) if config else ((0.5,) * 3, (0.5,) * 3)
    return Backbone(
        net=net.to(chosen).eval().requires_grad_(False),
        channels=tuple(net.feature_info.channels()),
        strides=tuple(net.feature_info.reduction()),
        channels_last=str(getattr(net, "output_fmt", "NCHW")).endswith("NHWC"),
        picture_size=(config.input_size[2], config.input_size[1]) if fixed else None,
        mean=torch.tensor(mean, device=chosen),
        std=torch.tensor(std, device=chosen),
        device=chosen,
        identity={
            "model": model,
            "weights": _identify(weights, config),
            "seed": seed if weights == "random" else None,
            "levels": list(levels),
            "timm": timm.__version__,
        },
    )


def load_weights(net: nn.Module, path: Path, model: str) -> None:
    """Fill a backbone from a file with the names that timm's whole model has; what lies behind the last level is left.

    Raises:
        ValueError: the file cannot be read without running code in it, lacks a tensor, or has one of another shape.
    """
    tensors = {_flat(name): tensor for name, tensor in read_tensors(path).items()}
    wanted = net.state_dict()
    missing = [name for name in wanted if _flat(name) not in tensors]
    if missing:
        raise ValueError(
            f"{path} lacks {len(missing)} of the {len(wanted)} tensors of {model} ({', '.join(missing[:NAMED])}, …): "
            "give weights of this timm model, under timm's names"
        )
    for name, tensor in wanted.items():
        found = tensors[_flat(name)]
        if found.shape != tensor.shape:
            raise ValueError(
                f"{path}: {name} has shape {tuple(found.shape)}, {model} expects {tuple(tensor.shape)}: "
                "give weights of this timm model"
            )
    net.load_state_dict({name: tensors[_flat(name)] for name in wanted})


# ---------------------------------------------------------------------------------------------------------------------


def _create(timm: ModuleType, model: str, levels: Sequence[int], *, pretrained: bool) -> nn.Module:
    if not timm.is_model(model):
        close = timm.list_models(f"*{model.split('_')[0]}*")[:NAMED]
        raise ValueError(
            f"model: timm knows no {model!r}"
            + (f": did you mean {', '.join(close)}?" if close else ": see timm.list_models()")
        )
    if not levels or len(set(levels)) < len(levels):
        raise ValueError(f"levels: expected different numbers, got {list(levels)}")
    if pretrained:
        _reach_hub(timm, model)
    try:
        net: nn.Module = timm.create_model(model, features_only=True, out_indices=tuple(levels), pretrained=pretrained)
    # what timm raises depends on the family of models
    except Exception as error:
        raise ValueError(
            f"timm's {model} cannot be made with feature levels {list(levels)} ({reason_of(error)}): choose others"
        ) from error
    return net


def _reach_hub(timm: ModuleType, model: str) -> None:
    """Fail at once where timm would try for a minute."""
    import huggingface_hub

    config = timm.models.get_pretrained_cfg(model)
    repository = config.hf_hub_id if config else None
    if not repository:
        raise ValueError(f"the hub has no weights of {model}: give weights as a file, or take random ones")
    files = ("model.safetensors", "pytorch_model.bin")
    if any(isinstance(huggingface_hub.try_to_load_from_cache(repository, file), str) for file in files):
        return
    try:
        url = huggingface_hub.hf_hub_url(repository, "config.json")
        huggingface_hub.utils.get_session().head(url, timeout=HUB_TIMEOUT).raise_for_status()
    # the errors of whichever HTTP client the hub's library uses
    except Exception as error:
        raise ValueError(
            f"the hub is out of reach ({reason_of(error)}), and weights of {model} are not in its cache: connect, give "
            "a file of weights (--weights FILE), or take random ones (--weights random)"
        ) from error


def _flat(name: str) -> str:
    """A tensor's name as neither of timm's ways to wrap a model for its features changes it.

    >>> _flat("stem_0.weight") == _flat("stem.0.weight"), _flat("model.norm.bias") == _flat("norm.bias")
    (True, True)
    """
    return re.sub(r"[._]", "_", name.removeprefix("model."))


def _identify(weights: str, config: Any) -> str:
    if weights == "random":
        return weights
    if weights == "hub":
        return f"hub:{config.hf_hub_id}"
    return f"sha256:{digest_of(Path(weights))}"
