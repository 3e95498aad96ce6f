"""The UNITER encoder on padding-free packed batches, with official and BERT checkpoints."""

__version__ = "0.1.0"
