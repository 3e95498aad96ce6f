"""torchvision's detectors: the parts recomputed by hand, the released rule, and one picture's regions in any batch."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from uniter_data import RegionStore
from uniter_data.extract import BoxFile, DetectorExtractor, detector_extractor, extract_regions
from uniter_data.extract import detector as detector_module
from uniter_data.extract.detector import Detector, load_detector
from uniter_data.importers.nlvr import import_nlvr

torchvision = pytest.importorskip("torchvision", reason="detectors need the extra uniter-data[extract]")

CLASSES = ("background", "cat", "dog", "owl", "pen")
SMALL = "fasterrcnn_mobilenet_v3_large_320_fpn"


def tiny_detector() -> Any:
    """A Faster R-CNN of torchvision's parts, for sides of 64 to 96 pixels, whose class scores differ."""
    from torchvision.models.detection import FasterRCNN
    from torchvision.models.detection.anchor_utils import AnchorGenerator
    from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
    from torchvision.ops import MultiScaleRoIAlign

    torch.manual_seed(3)
    layers = (nn.Conv2d(3, 8, 3, stride=4, padding=1), nn.ReLU(), nn.Conv2d(8, 16, 3, stride=2, padding=1), nn.ReLU())
    backbone = nn.Sequential(*layers)
    backbone.out_channels = 16  # type: ignore[assignment]
    net = FasterRCNN(
        backbone,
        min_size=64,
        max_size=96,
        rpn_anchor_generator=AnchorGenerator(sizes=((8, 16, 32),), aspect_ratios=((0.5, 1.0, 2.0),)),
        box_roi_pool=MultiScaleRoIAlign(["0"], 3, 2),
        box_head=TwoMLPHead(16 * 9, 32),
        box_predictor=FastRCNNPredictor(32, len(CLASSES)),
        rpn_post_nms_top_n_test=60,
    )
    for layer in (*layers[::2], net.roi_heads.box_head.fc6, net.roi_heads.box_head.fc7):
        layer.weight.data *= 3
    net.roi_heads.box_predictor.bbox_pred.weight.data *= 8
    net.eval().requires_grad_(False)
    # scores of a random network hardly differ: centre and spread them
    noise = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    features, _, _ = by_hand(net, Image.fromarray(noise))
    score = net.roi_heads.box_predictor.cls_score
    values = torch.from_numpy(features) @ score.weight.T
    score.weight.data *= 1.5 / values.std(dim=0)[:, None]
    score.bias.data = -1.5 * values.mean(dim=0) / values.std(dim=0)
    return net


def extractor_of(net: Any, **rule: Any) -> DetectorExtractor:
    detector = Detector(
        net=net,
        class_names=CLASSES,
        device=torch.device("cpu"),
        identity={"model": "tiny", "weights": "random", "seed": 3},
    )
    return DetectorExtractor(detector=detector, **({"threshold": 0.2, "min_boxes": 4, "max_boxes": 20} | rule))


@pytest.fixture(scope="module")
def net() -> Any:
    return tiny_detector()


def scaled(picture: Image.Image) -> torch.Tensor:
    return torch.from_numpy(np.array(picture)).movedim(-1, 0).float() / 255


def by_hand(net: Any, picture: Image.Image) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features (N, D), distributions (N, C) and boxes (N, C, 4) in the picture's pixels, from torchvision's parts."""
    images, _ = net.transform([scaled(picture)])
    maps = {"0": net.backbone(images.tensors)}
    (proposals,), _ = net.rpn(images, maps)
    (height, width), ratio = images.image_sizes[0], images.image_sizes[0][1] / picture.width
    features = net.roi_heads.box_head(net.roi_heads.box_roi_pool(maps, [proposals], [(height, width)]))
    logits, deltas = net.roi_heads.box_predictor(features)
    # Girshick et al. 2014, appendix C: a box's regression
    x1, y1, x2, y2 = proposals.T[..., None]
    dx, dy, dw, dh = deltas.reshape(len(deltas), -1, 4).movedim(-1, 0)
    middle = (x1 + x2) / 2 + dx / 10 * (x2 - x1), (y1 + y2) / 2 + dy / 10 * (y2 - y1)
    sides = (
        (x2 - x1) * (dw / 5).clamp(max=np.log(1000 / 16)).exp(),
        (y2 - y1) * (dh / 5).clamp(max=np.log(1000 / 16)).exp(),
    )
    corners = [(middle[axis] + sign * sides[axis] / 2) for sign in (-1, 1) for axis in (0, 1)]
    limits = (width, height, width, height)
    boxes = torch.stack([corner.clamp(0, limit) for corner, limit in zip(corners, limits, strict=True)], dim=-1)
    return features.numpy(), logits.softmax(-1).numpy(), boxes.numpy() / ratio


def overlap(one: np.ndarray, other: np.ndarray) -> float:
    sides = np.minimum(one[2:], other[2:]) - np.maximum(one[:2], other[:2])
    common = sides.clip(0).prod()
    return float(common / ((one[2:] - one[:2]).prod() + (other[2:] - other[:2]).prod() - common))


def choose(labels: np.ndarray, boxes: np.ndarray, *, threshold: float, least: int, most: int) -> list[int]:
    """The rule in words: likeliest class, suppression among regions of one class, 10 to 100 over 0.2."""
    best = labels[:, 1:].argmax(axis=1) + 1
    confidence = labels[np.arange(len(labels)), best]
    kept: list[int] = []
    for row in np.argsort(-confidence, kind="stable"):
        rivals = [other for other in kept if best[other] == best[row]]
        mine = boxes[row, best[row]]
        if (mine[2:] - mine[:2]).min() > 0 and all(overlap(mine, boxes[other, best[other]]) <= 0.5 for other in rivals):
            kept.append(int(row))
    return kept[: min(most, max(least, int((confidence[kept] > threshold).sum())))]


# ------------------------------------------------------------------------------------------------------------ the parts


@pytest.mark.parametrize(("threshold", "least", "most"), [(0.2, 4, 20), (0.9, 3, 20), (0.0, 1, 5), (0.5, 2, 60)])
def test_regions_are_those_of_the_parts(
    net: Any, open_pictures: list[Image.Image], threshold: float, least: int, most: int
) -> None:
    extractor = extractor_of(net, threshold=threshold, min_boxes=least, max_boxes=most)
    for picture in open_pictures[:4]:
        features, labels, boxes = by_hand(net, picture)
        rows = choose(labels, boxes, threshold=threshold, least=least, most=most)
        (found,) = extractor([picture])
        best = labels[rows, 1:].argmax(axis=1) + 1
        np.testing.assert_allclose(found.features, features[rows], rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(found.labels, labels[rows], rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(found.boxes, boxes[rows, best], rtol=1e-4, atol=1e-3)
        np.testing.assert_allclose(found.confidence, labels[rows, best], rtol=1e-4)
        assert 1 <= len(rows) <= most


def test_the_most_confident_region_is_the_detectors_own(net: Any, open_pictures: list[Image.Image]) -> None:
    for picture in open_pictures:
        (own,) = net([scaled(picture)])
        (found,) = extractor_of(net)([picture])
        np.testing.assert_allclose(found.confidence[0], own["scores"][0], rtol=1e-5)
        np.testing.assert_allclose(found.boxes[0], own["boxes"][0], rtol=1e-4, atol=1e-3)
        assert int(found.labels[0, 1:].argmax()) + 1 == int(own["labels"][0])


def test_distributions_are_whole_and_sorted_by_confidence(net: Any, open_pictures: list[Image.Image]) -> None:
    for found in extractor_of(net)(open_pictures):
        labels, confidence = found.labels.numpy(), found.confidence.numpy()
        np.testing.assert_allclose(labels.sum(axis=1), 1, rtol=1e-5)
        np.testing.assert_array_equal(confidence, labels[:, 1:].max(axis=1))
        assert (np.diff(confidence) <= 0).all()
        assert labels.shape[1] == len(CLASSES)


def test_given_boxes_are_described_and_left_as_they_are(net: Any, open_pictures: list[Image.Image]) -> None:
    boxes = [np.array([[1, 2, 30, 20], [5, 5, 39, 39]], dtype=np.float32) for _ in open_pictures]
    for picture, mine, found in zip(open_pictures, boxes, extractor_of(net).pool(open_pictures, boxes), strict=True):
        images, _ = net.transform([scaled(picture)])
        (height, width), maps = images.image_sizes[0], {"0": net.backbone(images.tensors)}
        proposals = torch.from_numpy(mine) * torch.tensor([width / picture.width, height / picture.height] * 2)
        features = net.roi_heads.box_head(net.roi_heads.box_roi_pool(maps, [proposals], [(height, width)]))
        np.testing.assert_allclose(found.features, features, rtol=1e-4, atol=1e-5)
        np.testing.assert_array_equal(found.boxes, mine)
        np.testing.assert_allclose(found.confidence, found.labels[:, 1:].amax(1))


def test_given_boxes_of_a_data_set_get_the_detectors_labels(
    net: Any, nlvr_source: Path, tmp_path: Path, quarters: Any
) -> None:
    directory = import_nlvr(nlvr_source, tmp_path / "nlvr").directory
    with pytest.raises(ValueError, match="quarters takes no boxes"):
        extract_regions(directory, extractor=quarters, given_boxes=True)
    shutil.rmtree(directory)
    import_nlvr(nlvr_source, directory)
    extract_regions(directory, extractor=extractor_of(net), given_boxes=True)
    store, rows = RegionStore(directory / "regions-test.zarr"), list(BoxFile(directory / "regions-test.boxes.jsonl"))
    assert store.class_names == CLASSES
    for row, record in zip(rows, store.read(range(len(rows))), strict=True):
        np.testing.assert_allclose(record.boxes[:, :4], row.boxes, atol=1e-6)
        np.testing.assert_allclose(record.labels.sum(axis=1), 1, atol=2e-3)


def test_a_picture_has_the_same_regions_in_any_batch(net: Any, open_pictures: list[Image.Image]) -> None:
    extractor = extractor_of(net)
    alone = [extractor([picture])[0] for picture in open_pictures]
    for batch in (open_pictures, open_pictures[::-1], open_pictures[2:5]):
        for picture, found in zip(batch, extractor(batch), strict=True):
            expected = alone[open_pictures.index(picture)]
            # kernels may sum in another order for another batch: far below what half precision keeps
            np.testing.assert_allclose(found.features, expected.features, rtol=1e-4, atol=1e-5)
            np.testing.assert_allclose(found.boxes, expected.boxes, rtol=1e-4, atol=1e-3)
            np.testing.assert_allclose(found.labels, expected.labels, rtol=1e-3, atol=1e-5)


def test_a_picture_that_would_vanish_has_no_regions(net: Any) -> None:
    (found,) = extractor_of(net)([Image.new("RGB", (2_000, 1))])
    assert found.features.shape == (0, 32)
    assert found.boxes.shape == (0, 4)
    assert found.labels.shape == (0, len(CLASSES))


# --------------------------------------------------------------------------------------------------- models and weights


def test_random_weights_follow_their_seed_and_a_file_gives_them_again(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    first = load_detector(SMALL, weights="random", seed=1, device="cpu")
    assert torch.equal(torch.rand(1), expected)
    assert (len(first.class_names), first.class_names[:2]) == (91, ("background", "person"))
    # what torchvision publishes has frozen batch normalisations, without counters
    tensors = {name: tensor for name, tensor in first.net.state_dict().items() if "num_batches" not in name}
    save_file(tensors, tmp_path / "weights.safetensors")
    again = detector_extractor(SMALL, weights=str(tmp_path / "weights.safetensors"), device="cpu")
    assert all(torch.equal(tensor, again.detector.net.state_dict()[name]) for name, tensor in tensors.items())
    assert (again.region_dim, again.class_names) == (1024, first.class_names)
    assert f"torchvision {SMALL} (weights sha256:" in again.name
    assert again.attributes["nms"] == 0.5
    missing = {name: tensor for name, tensor in tensors.items() if "fc6" not in name}
    save_file(missing, tmp_path / "missing.safetensors")
    with pytest.raises(ValueError, match=rf"lacks 2 of the \d+ tensors of {SMALL}"):
        load_detector(SMALL, weights=str(tmp_path / "missing.safetensors"))


def test_published_weights_come_from_torchs_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file lies where torch.hub would put it; torchvision's epsilon of 0 holds for that file alone."""
    model = "fasterrcnn_resnet50_fpn"
    cached = tmp_path / "checkpoints" / "fasterrcnn_resnet50_fpn_coco-258fb6c6.pth"
    cached.parent.mkdir()
    cached.touch()
    layers = nn.Sequential(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3))
    tensors = {**layers.state_dict(), detector_module.CLASSES: torch.zeros(91)}
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(torchvision.models, "get_model", lambda *_, **__: layers)
    monkeypatch.setattr(detector_module, "read_tensors", lambda path: tensors if path == cached else {})
    for digest, epsilon in (("0" * 64, 1e-5), ("258fb6c6" + "0" * 56, 0.0)):
        monkeypatch.setattr(detector_module, "digest_of", lambda path, found=digest: found)
        assert load_detector(model, device="cpu").net[1].eps == epsilon


def test_weights_out_of_reach_are_told_with_the_ways_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise OSError("no route")

    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr("urllib.request.urlopen", refuse)
    with pytest.raises(ValueError, match=r"cannot be had \(no route\).*--weights FILE.*--weights random\)$"):
        load_detector(SMALL)


@pytest.mark.parametrize(
    ("model", "settings", "said"),
    [
        ("retinanet_resnet50_fpn", {}, "with a box head"),
        ("nonsense", {}, "fasterrcnn_resnet50_fpn_v2"),
        (SMALL, {"threshold": 2}, "threshold: expected a probability"),
        (SMALL, {"min_boxes": 9, "max_boxes": 3}, "expected 1 <= min <= max"),
        (SMALL, {"weights": "random", "device": "nonsense"}, "device: nonsense cannot be used"),
    ],
)
def test_wrong_settings_are_named(model: str, settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        detector_extractor(model, **settings)
