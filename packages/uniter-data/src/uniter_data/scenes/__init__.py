"""The generated default data set: pictures of simple objects, sentences made by rule, gold word-region links."""

from uniter_data.scenes.generate import PAIR_DATA, SEED, SIZES, TINY, VERSION, Sizes, ensure_scenes, generate_scenes
from uniter_data.scenes.world import CLASS_NAMES

__all__ = ["CLASS_NAMES", "PAIR_DATA", "SEED", "SIZES", "TINY", "VERSION", "Sizes", "ensure_scenes", "generate_scenes"]
