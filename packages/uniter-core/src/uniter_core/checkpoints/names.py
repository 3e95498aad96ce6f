"""Names of parameters in official UNITER checkpoints and here: ordered rules that work both ways."""

import re

__all__ = ["TIED", "official_name", "our_name"]

# (official, ours) in the order in which they are tried; {} stands for a layer's number. What follows a prefix, such as
# `weight`, is the same on both sides.
RULES: tuple[tuple[str, str], ...] = (
    ("uniter.embeddings.word_embeddings.", "encoder.text_embedding.words."),
    ("uniter.embeddings.position_embeddings.", "encoder.text_embedding.positions."),
    ("uniter.embeddings.token_type_embeddings.", "encoder.text_embedding.types."),
    ("uniter.embeddings.LayerNorm.", "encoder.text_embedding.norm."),
    ("uniter.img_embeddings.img_linear.", "encoder.region_embedding.feature."),
    ("uniter.img_embeddings.img_layer_norm.", "encoder.region_embedding.feature_norm."),
    ("uniter.img_embeddings.pos_linear.", "encoder.region_embedding.box."),
    ("uniter.img_embeddings.pos_layer_norm.", "encoder.region_embedding.box_norm."),
    ("uniter.img_embeddings.mask_embedding.", "encoder.region_embedding.mask."),
    ("uniter.img_embeddings.LayerNorm.", "encoder.region_embedding.norm."),
    ("uniter.encoder.layer.{}.attention.self.query.", "encoder.layers.{}.attention.query."),
    ("uniter.encoder.layer.{}.attention.self.key.", "encoder.layers.{}.attention.key."),
    ("uniter.encoder.layer.{}.attention.self.value.", "encoder.layers.{}.attention.value."),
    ("uniter.encoder.layer.{}.attention.output.dense.", "encoder.layers.{}.attention.output."),
    ("uniter.encoder.layer.{}.attention.output.LayerNorm.", "encoder.layers.{}.attention_norm."),
    ("uniter.encoder.layer.{}.intermediate.dense.", "encoder.layers.{}.feed_forward.expand."),
    ("uniter.encoder.layer.{}.output.dense.", "encoder.layers.{}.feed_forward.reduce."),
    ("uniter.encoder.layer.{}.output.LayerNorm.", "encoder.layers.{}.feed_forward_norm."),
    ("uniter.pooler.dense.", "encoder.pooler."),
    ("cls.predictions.transform.dense.", "heads.mlm.transform.dense."),
    ("cls.predictions.transform.LayerNorm.", "heads.mlm.transform.norm."),
    ("cls.predictions.", "heads.mlm."),
    ("feat_regress.net.0.", "heads.mrfr.transform.dense."),
    ("feat_regress.net.2.", "heads.mrfr.transform.norm."),
    ("feat_regress.", "heads.mrfr."),
    ("region_classifier.net.0.", "heads.mrc.transform.dense."),
    ("region_classifier.net.2.", "heads.mrc.transform.norm."),
    ("region_classifier.net.3.", "heads.mrc.classifier."),
    ("itm_output.", "heads.itm."),
    ("rank_output.", "heads.rank."),
    ("vqa_output.", "heads.vqa."),
    ("vcr_output.", "heads.vcr."),
    ("re_output.", "heads.refexp."),
    ("nlvr2_output.", "heads.nlvr2.output."),
    ("attn1.", "heads.nlvr2.left."),
    ("attn2.", "heads.nlvr2.right."),
    ("fc.0.", "heads.nlvr2.fusion."),
    ("attn_pool.fc.0.", "heads.nlvr2.pool."),
)

# Official name of a second entry -> official name of the parameter it is tied to. Ours keep such a tensor once.
TIED = {
    "cls.predictions.decoder.weight": "uniter.embeddings.word_embeddings.weight",
    "feat_regress.weight": "uniter.img_embeddings.img_linear.weight",
}


def official_name(name: str) -> str:
    """The official name of our parameter.

    Raises:
        ValueError: the name has no official counterpart.

    >>> official_name("encoder.layers.3.attention_norm.weight")
    'uniter.encoder.layer.3.attention.output.LayerNorm.weight'
    """
    return _rename(name, _TO_OFFICIAL, "no official UNITER model has a counterpart of the parameter")


def our_name(official: str) -> str:
    """Our name of an official parameter.

    Raises:
        ValueError: the name is not known.

    >>> our_name("cls.predictions.bias")
    'heads.mlm.bias'
    """
    return _rename(official, _TO_OURS, "no rule for the official parameter")


# ---------------------------------------------------------------------------------------------------------------------


def _compiled(pairs: list[tuple[str, str]]) -> list[tuple[re.Pattern[str], str]]:
    """(pattern, replacement): a layer's number is carried over, and so is the rest of the name."""
    return [
        (re.compile(re.escape(old).replace(r"\{\}", r"(\d+)") + r"(?=\w)"), new.replace("{}", r"\1"))
        for old, new in pairs
    ]


_TO_OURS = _compiled(list(RULES))
_TO_OFFICIAL = _compiled([(ours, official) for official, ours in RULES])


def _rename(name: str, rules: list[tuple[re.Pattern[str], str]], complaint: str) -> str:
    for pattern, replacement in rules:
        if pattern.match(name):
            return pattern.sub(replacement, name, count=1)
    raise ValueError(f"{complaint} {name!r}")
