"""The UNITER encoder: a packed batch in, one hidden vector a unit out.

Axes: B samples, W words, R regions, N = W + R units, H hidden, D feature width.
"""

from collections.abc import Iterator
from os import PathLike
from typing import Self, cast

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from uniter_core.attention import attention_backend
from uniter_core.blocks import TransformerLayer
from uniter_core.config import UniterConfig
from uniter_core.embeddings import RegionEmbedding, TextEmbedding
from uniter_core.initialisation import initialise
from uniter_core.packed import PackedBatch
from uniter_core.segments import Segments
from uniter_core.vocabulary import Vocabulary

__all__ = ["UniterEncoder"]


class UniterEncoder(nn.Module):
    """Words and regions in one transformer (Chen et al. 2020, section 3.1).

    Args:
        config: its sizes.
        attention: `auto`, `varlen`, `sdpa` or `eager`; see `uniter_core.attention`.
        seed: of the initial parameters, which depend on nothing else; None draws one from torch's generator.

    Attributes:
        recompute: whether the backward pass computes each layer's activations anew instead of keeping them (Chen et
            al. 2016, sublinear memory): about a quarter more work, for memory of one layer instead of all.

    Raises:
        ValueError: there is no such attention.

    >>> from uniter_core import Sample, pack
    >>> words, features, boxes = torch.tensor([1, 7, 2]), torch.rand(2, 8), torch.rand(2, 7)
    >>> sample = Sample(token_ids=words, region_features=features, region_boxes=boxes)
    >>> batch = pack([sample, sample])
    >>> encoder = UniterEncoder(UniterConfig.tiny(vocab_size=10, region_dim=8), seed=1)
    >>> units = encoder(batch)
    >>> units.shape, encoder.pool(units, batch).shape
    (torch.Size([10, 128]), torch.Size([2, 128]))
    """

    def __init__(self, config: UniterConfig, *, attention: str = "auto", seed: int | None = None) -> None:
        super().__init__()
        attend = attention_backend(attention)
        self.config = config
        self.recompute = False
        self.text_embedding = TextEmbedding(config)
        self.region_embedding = RegionEmbedding(config)
        self.layers = nn.ModuleList(TransformerLayer(config, attend) for _ in range(config.num_layers))
        self.pooler = nn.Linear(config.hidden_size, config.hidden_size)
        chosen = int(torch.randint(2**62, (), device="cpu")) if seed is None else seed
        initialise(self, deviation=config.initializer_range, seed=chosen)

    @property
    def word_table(self) -> nn.Parameter:
        """(V, H), one row a word piece; masked language modelling predicts through it as well."""
        return cast(nn.Parameter, self.text_embedding.words.weight)

    @property
    def region_projection(self) -> nn.Parameter:
        """(H, D), from features to hidden; feature regression predicts through its transpose."""
        return cast(nn.Parameter, self.region_embedding.feature.weight)

    def forward(self, batch: PackedBatch) -> Tensor:
        """The last layer's vectors, (N, H), in the batch's order of units.

        Raises:
            ValueError: features of another width; on a CPU also ids, positions or types outside their tables.
        """
        units = self.embed(batch).index_select(0, batch.gather[batch.segments.arrange])
        return self.transform(units, batch.segments).index_select(0, batch.segments.restore)

    def embed(self, batch: PackedBatch) -> Tensor:
        """What enters the first layer, (W + R, H): the words' vectors, then the regions', as `batch.gather` counts."""
        _check(batch, self.config)
        words = self.text_embedding(batch)
        regions = self.region_embedding(batch, self.text_embedding.types(batch.region_types))
        return torch.cat([words, regions])

    def transform(self, units: Tensor, segments: Segments) -> Tensor:
        """The last layer's vectors (N, H) of embedded units (N, H), both in the order of the segments."""
        for layer in self.layers:
            if self.recompute and torch.is_grad_enabled():
                units = checkpoint(layer, units, segments, use_reentrant=False)
            else:
                units = layer(units, segments)
        return units

    def compile_layers(self, *, backend: str = "inductor") -> None:
        """Compile what the layers do to each unit by itself, for any number of units; attention has kernels of its own.

        Args:
            backend: of `torch.compile`.
        """
        for layer in self.layers:
            cast(TransformerLayer, layer).compile_unitwise(backend=backend)

    def transform_first(self, units: Tensor, segments: Segments) -> Tensor:
        """The last layer's vectors of the samples' [CLS] alone, (B, H) in the order of the segments.

        With embeddings that several samples share, and the last layer done for [CLS] only, scoring many pairs costs
        less than `forward` for each.
        """
        *layers, last = self.layers
        for layer in layers:
            units = layer(units, segments)
        first: Tensor = last.first(units, segments)  # type: ignore[operator]
        return first

    def hidden_states(self, batch: PackedBatch) -> list[Tensor]:
        """The embeddings and every layer's vectors: `num_layers` + 1 times (N, H)."""
        return [state.index_select(0, batch.segments.restore) for state in self._states(batch)]

    def attention_maps(self, batch: PackedBatch) -> list[list[Tensor]]:
        """Attention weights by layer and sample: (heads, L, L), a row for each unit that looks; rows add up to 1."""
        maps = []
        for layer, state in zip(self.layers, self._states(batch), strict=False):
            found = layer.attention.maps(state, batch.segments)  # type: ignore[union-attr, operator]
            by_sample = dict(zip(batch.segments.samples, found, strict=True))
            maps.append([by_sample[sample] for sample in range(batch.num_samples)])
        return maps

    def pool(self, units: Tensor, batch: PackedBatch) -> Tensor:
        """One vector a sample, (B, H): tanh(W u + b) of its [CLS], u from the (N, H) that `forward` gave."""
        return self.pool_first(units.index_select(0, batch.cls_units))

    def pool_first(self, first: Tensor) -> Tensor:
        """The same of the samples' [CLS] vectors (B, H) themselves."""
        return torch.tanh(self.pooler(first))

    @classmethod
    def from_pretrained(cls, source: str | PathLike[str], *, attention: str = "auto") -> Self:
        """The encoder of a model folder, or of an id of the hub; heads that lie with it are left aside.

        Raises:
            ValueError: there is no such model, or its tensors do not fit its configuration.
        """
        from uniter_core.checkpoints import load_folder, load_tensors  # they build encoders themselves

        folder = load_folder(source)
        model = nn.ModuleDict({"encoder": cls(folder.config, attention=attention, seed=0)})
        own = {name: tensor for name, tensor in folder.tensors.items() if name.startswith("encoder.")}
        load_tensors(model, own, origin=str(source))
        return cast(Self, model["encoder"])

    def save_pretrained(self, folder: str | PathLike[str], *, vocabulary: Vocabulary | None = None) -> None:
        """Write config.json and model.safetensors, replacing a model that is there.

        Raises:
            ValueError: `folder` holds other things than a model.
        """
        from uniter_core.checkpoints import save_folder

        save_folder(folder, nn.ModuleDict({"encoder": self}), self.config, vocabulary=vocabulary)

    def _states(self, batch: PackedBatch) -> Iterator[Tensor]:
        """The embeddings, then each layer's output, in the order of the batch's segments."""
        units = self.embed(batch).index_select(0, batch.gather[batch.segments.arrange])
        yield units
        for layer in self.layers:
            units = layer(units, batch.segments)
            yield units


def _check(batch: PackedBatch, config: UniterConfig) -> None:
    width = batch.region_features.shape[1]
    if width != config.region_dim:
        raise ValueError(f"region_features must be {config.region_dim} wide (config.region_dim), got {width}")
    if batch.token_ids.device.type != "cpu":
        return  # looking at the values would wait for the device; there, tables check their rows themselves
    for name, rows, advice in (
        ("token_ids", config.vocab_size, "the texts were tokenised with another vocabulary (config.vocab_size)"),
        ("token_positions", config.max_positions, "shorten the text, or build the encoder with larger max_positions"),
        ("token_types", config.num_types, "build the encoder with larger num_types"),
        ("region_types", config.num_types, "build the encoder with larger num_types"),
    ):
        values = getattr(batch, name)
        if len(values) and not 0 <= int(values.min()) <= int(values.max()) < rows:
            raise ValueError(f"{name} must be in [0, {rows}), got {int(values.min())} to {int(values.max())}: {advice}")
