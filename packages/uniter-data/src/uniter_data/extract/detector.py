"""A torchvision detector with a box head (Faster, Mask or Keypoint R-CNN), by name, with weights of one's choice."""

import re
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import urlparse

import torch
from torch import Tensor, nn

from uniter_data.extract.protocol import choose_device
from uniter_data.extract.weights import HUB_TIMEOUT, digest_of, read_tensors, reason_of

__all__ = ["Detector", "load_detector"]

CLASSES = "roi_heads.box_predictor.cls_score.bias"  # (C,)
COUNTERS = "num_batches_tracked"  # of batch normalisation; files made with frozen ones lack them
NAMED = 3  # so many missing tensors are named in an error
# torchvision runs its published weights of these with frozen batch normalisations whose epsilon is 0
WITHOUT_EPSILON = ("fasterrcnn_resnet50_fpn", "maskrcnn_resnet50_fpn", "keypointrcnn_resnet50_fpn")


@dataclass(frozen=True, kw_only=True, eq=False)
class Detector:
    """A detector, ready to be called on one device.

    Attributes:
        net: torchvision's GeneralizedRCNN.
        class_names: of the C outputs of its box head, the background first.
        device: where it is.
        identity: model, weights and version: what decides the outputs.
    """

    net: Any
    class_names: tuple[str, ...]
    device: torch.device
    identity: dict[str, Any]


def load_detector(
    model: str, *, weights: str = "hub", seed: int = 0, device: str | torch.device | None = None
) -> Detector:
    """A detector of torchvision.

    Args:
        model: its name there, such as "fasterrcnn_resnet50_fpn_v2".
        weights: "hub" for those torchvision publishes (COCO's 90 categories), "random", or a file of them (safetensors,
            or torch's without pickled code), whose number of classes may be another.
        seed: of random weights.
        device: default: the GPU if there is one.

    Raises:
        RuntimeError: torchvision is not installed.
        ValueError: there is no such detector, or the weights cannot be had or do not fit.
    """
    models, version = _require_models()
    published = _published(models, model)
    names = tuple(published.meta["categories"])
    file = None if weights == "random" else _fetch(published.url, model) if weights == "hub" else Path(weights)
    tensors = None if file is None else read_tensors(file)
    if tensors is not None:
        if CLASSES not in tensors:
            raise ValueError(f"{file} has no {CLASSES}: give weights of torchvision's {model}")
        count = len(tensors[CLASSES])
        names = names if count == len(names) else ("background", *(f"class {number}" for number in range(1, count)))
    # the caller's stream of random numbers is left as it was
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = models.get_model(model, weights=None, weights_backbone=None, num_classes=len(names))
    digest = None
    if file is not None and tensors is not None:
        _fill(net, tensors, file, model)
        digest = digest_of(file)
        if model in WITHOUT_EPSILON and digest.startswith(_hash(published.url)):
            _drop_epsilon(net)
    chosen = choose_device(device)
    return Detector(
        net=net.to(chosen).eval().requires_grad_(False),
        class_names=("background", *names[1:]),
        device=chosen,
        identity={
            "model": model,
            "weights": f"sha256:{digest}" if digest else weights,
            "seed": seed if weights == "random" else None,
            "torchvision": version,
        },
    )


# ---------------------------------------------------------------------------------------------------------------------


def _require_models() -> tuple[ModuleType, str]:
    try:
        import torchvision
        from torchvision import models
    except ImportError as error:
        raise RuntimeError(
            f'detecting regions needs torchvision ({error}): pip install "uniter-data[extract]"'
        ) from error
    return models, str(torchvision.__version__)


def _published(models: ModuleType, model: str) -> Any:
    """torchvision's entry of the published weights: their address and categories."""
    known = [name for name in models.list_models(module=models.detection) if "rcnn" in name]
    if model not in known:
        raise ValueError(f"detector: expected one with a box head ({', '.join(known)}), got {model!r}")
    return models.get_model_weights(model).DEFAULT


def _fetch(url: str, model: str) -> Path:
    """The published file in torch's cache, downloaded where it is not there."""
    file = Path(torch.hub.get_dir()) / "checkpoints" / Path(urlparse(url).path).name
    if file.is_file():
        return file
    file.parent.mkdir(parents=True, exist_ok=True)
    try:
        with urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=HUB_TIMEOUT):
            pass
        torch.hub.download_url_to_file(url, str(file), hash_prefix=_hash(url))
    except (OSError, RuntimeError) as error:
        raise ValueError(
            f"{url} cannot be had ({reason_of(error)}), and weights of {model} are not at {file}: connect, put the "
            "file there, give another (--weights FILE), or take random ones (--weights random)"
        ) from error
    return file


def _hash(url: str) -> str:
    """The head of the file's SHA-256, which torchvision puts into its name.

    >>> _hash("https://download.pytorch.org/models/fasterrcnn_resnet50_fpn_coco-258fb6c6.pth")
    '258fb6c6'
    """
    found = re.search(r"-([0-9a-f]{8,})\.pth$", url)
    if found is None:
        raise ValueError(f"{url} names no checksum")
    return found[1]


def _fill(net: nn.Module, tensors: dict[str, Tensor], file: Path, model: str) -> None:
    wanted = net.state_dict()
    missing = [name for name in wanted if name not in tensors and not name.endswith(COUNTERS)]
    reshaped = [name for name in wanted if name in tensors and tensors[name].shape != wanted[name].shape]
    if missing or reshaped:
        some = ", ".join((missing + reshaped)[:NAMED])
        raise ValueError(
            f"{file} lacks {len(missing)} of the {len(wanted)} tensors of {model} and has {len(reshaped)} of another "
            f"shape ({some}, …): give weights of this detector, under torchvision's names"
        )
    net.load_state_dict({name: tensors.get(name, tensor) for name, tensor in wanted.items()})


def _drop_epsilon(net: nn.Module) -> None:
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eps = 0.0
