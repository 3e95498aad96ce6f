"""Features: linear probes read shape, colour and texture off them; the soft labels name most regions.

R regions. `docs`' full-size figures are higher; here a tenth of the pictures is fitted.
"""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch.nn import functional

from uniter_data.scenes.drawing import draw_scene
from uniter_data.scenes.features import FEATURE_DIM, FittedFeatures, crops_of, fit_features, responses_of
from uniter_data.scenes.rendering import content_of
from uniter_data.scenes.world import CLASS_NAMES, COLOURS, SHAPES, TEXTURES

TRAINING = 320
PICTURES = 400


class Regions:
    """Responses, classes and attributes of every region of some pictures, and which of them are for training."""

    def __init__(self) -> None:
        responses, classes, attributes, training = [], [], [], []
        for number in range(PICTURES):
            scene, regions = content_of(7, "in-domain", "train", number)
            responses.append(responses_of(crops_of(draw_scene(scene), regions.boxes), seed=7))
            classes.append(regions.classes)
            for thing in regions.things:
                known = scene.objects[thing] if 0 <= thing < len(scene.objects) else None
                attributes.append((known.shape, known.colour, known.texture) if known else ("", "", ""))
                training.append(number < TRAINING)
        self.responses = np.concatenate(responses)
        self.classes = np.concatenate(classes)
        self.attributes = np.array(attributes)
        self.training = np.array(training)


@pytest.fixture(scope="module")
def regions() -> Regions:
    return Regions()


@pytest.fixture(scope="module")
def fitted(regions: Regions) -> FittedFeatures:
    return fit_features(regions.responses[regions.training], regions.classes[regions.training])


def probe(features: NDArray[np.float16], answers: NDArray[np.int64], training: NDArray[np.bool_]) -> float:
    """Accuracy of logistic regression beyond its training regions."""
    inputs, targets = torch.from_numpy(features.astype(np.float32)), torch.from_numpy(answers)
    inputs = inputs / inputs[training].std(dim=0)
    weight = torch.zeros(inputs.shape[1], int(targets.max()) + 1, requires_grad=True)
    optimizer = torch.optim.LBFGS([weight], max_iter=50)

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = functional.cross_entropy(inputs[training] @ weight, targets[training]) + 1e-3 * weight.square().sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    right = (inputs @ weight).argmax(dim=1) == targets
    return float(right[~training].float().mean())


@pytest.mark.parametrize(
    ("column", "names", "bar"), [(0, SHAPES, 0.95), (1, tuple(COLOURS), 0.96), (2, TEXTURES, 0.88)]
)
def test_linear_probes(
    regions: Regions, fitted: FittedFeatures, column: int, names: tuple[str, ...], bar: float
) -> None:
    objects = regions.attributes[:, column] != ""
    features, _ = fitted(regions.responses[objects])
    answers = np.array([names.index(name) for name in regions.attributes[objects, column]])
    assert probe(features, answers, regions.training[objects]) > bar


def test_soft_labels_name_most_regions_and_stay_soft(regions: Regions, fitted: FittedFeatures) -> None:
    _, labels = fitted(regions.responses[~regions.training])
    assert labels.shape[1] == len(CLASS_NAMES)
    assert labels.astype(np.float64).sum(axis=1) == pytest.approx(1, abs=2e-3)
    assert (labels.argmax(axis=1) == regions.classes[~regions.training]).mean() > 0.84
    assert 0.7 < labels.max(axis=1).mean() < 0.97


def test_features_are_scaled_and_ordered(regions: Regions, fitted: FittedFeatures) -> None:
    features = fitted(regions.responses[regions.training])[0].astype(np.float64)
    assert features.shape[1] == FEATURE_DIM
    assert np.square(features).mean() == pytest.approx(1, abs=0.01)
    deviations = features.std(axis=0)
    assert (np.diff(deviations) <= 1e-3).all()
    correlation = np.corrcoef(features[:, :20].T) - np.eye(20)
    assert np.abs(correlation).max() < 0.01


def test_few_regions_leave_later_features_zero(regions: Regions) -> None:
    few = fit_features(regions.responses[:50], regions.classes[:50])
    features, labels = few(regions.responses[:80])
    assert np.isfinite(features).all()
    assert np.isfinite(labels).all()
    assert not features[:, 50:].any()


def test_the_convolution_depends_on_its_seed_alone(regions: Regions) -> None:
    crops = np.random.default_rng(0).integers(0, 256, size=(3, 32, 32, 3), dtype=np.uint8)
    assert np.array_equal(responses_of(crops, seed=1), responses_of(crops, seed=1))
    assert not np.array_equal(responses_of(crops, seed=1), responses_of(crops, seed=2))
    assert responses_of(crops, seed=1).shape == (3, regions.responses.shape[1])


def test_threads_are_left_as_they_were() -> None:
    before = torch.get_num_threads()
    responses_of(np.zeros((1, 32, 32, 3), np.uint8), seed=1)
    assert torch.get_num_threads() == before
