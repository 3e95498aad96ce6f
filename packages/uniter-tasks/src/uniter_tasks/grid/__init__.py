"""The grid of image-text retrieval: the score of every text with every image, block by block, or of some cells."""

from uniter_tasks.grid.blocks import Block, grid_blocks, share
from uniter_tasks.grid.gallery import Gallery, score_blocks
from uniter_tasks.grid.scoring import Embedded, MatchScorer, match_scorer, score_block, score_grid, score_pairs

__all__ = [
    "Block",
    "Embedded",
    "Gallery",
    "MatchScorer",
    "grid_blocks",
    "match_scorer",
    "score_block",
    "score_blocks",
    "score_grid",
    "score_pairs",
    "share",
]
