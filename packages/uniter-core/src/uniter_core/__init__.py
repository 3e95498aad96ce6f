"""The UNITER encoder on padding-free packed batches, with official and BERT checkpoints."""

from uniter_core.config import PRESETS, UniterConfig
from uniter_core.dropout import Dropout
from uniter_core.encoder import UniterEncoder
from uniter_core.flops import training_flops
from uniter_core.initialisation import initialise
from uniter_core.packed import PackedBatch, pack
from uniter_core.randomness import key_of, permutation, uniforms, unit_keys
from uniter_core.sample import Example, ImageRegions, Sample
from uniter_core.vocabulary import Vocabulary

__all__ = [
    "PRESETS",
    "Dropout",
    "Example",
    "ImageRegions",
    "PackedBatch",
    "Sample",
    "UniterConfig",
    "UniterEncoder",
    "Vocabulary",
    "initialise",
    "key_of",
    "pack",
    "permutation",
    "training_flops",
    "uniforms",
    "unit_keys",
]

__version__ = "0.1.0"
