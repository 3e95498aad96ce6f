"""Recipes: what a run does, as one frozen value; `recipe_files` reads and writes them."""

from dataclasses import dataclass, field
from typing import Any

from uniter_cli.errors import UsageError
from uniter_cli.nearest import nearest

__all__ = [
    "BatchRecipe",
    "DataRecipe",
    "MaskingRecipe",
    "ModelRecipe",
    "NegativesRecipe",
    "OptimizerRecipe",
    "Recipe",
    "SaveRecipe",
    "StageRecipe",
    "TaskRecipe",
    "ValidationRecipe",
]


@dataclass(frozen=True, kw_only=True)
class ModelRecipe:
    """The encoder: a preset, fields of `UniterConfig` that differ from it, and a checkpoint to start from."""

    preset: str = "tiny"
    init: str = ""  # a model folder or hub id; empty = fresh weights
    attention: str = "auto"
    recompute: bool = False  # activations, in the backward pass: memory of one layer, a quarter more work
    compile: bool = False  # what layers do to each unit by itself, with torch.compile: a minute at first; for GPUs
    config: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class DataRecipe:
    """One data set: a directory or URL, or `scenes:NAME` for a generated one."""

    path: str
    weight: float = 1.0
    tasks: dict[str, float] = field(
        default_factory=dict
    )  # weights that differ from the recipe's here; 0 = not on this set
    train: str = "train"
    val: str = "val"
    test: str = "test"


@dataclass(frozen=True, kw_only=True)
class StageRecipe:
    """From the previous stage's end to `until` (a fraction of all steps) train on these data sets, by weight."""

    until: float = 1.0
    data: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class BatchRecipe:
    """Batches in real input units (words + regions): paper A.2 counts padded ones."""

    units: int = 1024  # of one optimiser step, over all processes and accumulated parts
    accumulation: int = 1  # parts a process runs one after another in a step
    parallel: str = "ddp"  # of several processes: each has a copy of the model ("ddp") or a share of it ("fsdp")
    workers: int = 0  # loader processes of each process; the numbers of the run do not depend on it
    shuffle_block: int = -1  # images of a block, in pre-training; 0 = shuffle all with all; -1 = 256 if remote, else 0


@dataclass(frozen=True, kw_only=True)
class OptimizerRecipe:
    """AdamW with linear warm-up and linear decay to zero."""

    lr: float = 5e-5
    betas: tuple[float, float] = (0.9, 0.98)
    eps: float = 1e-6
    weight_decay: float = 0.01
    decayed: str = "matrices"  # "matrices": Linear and Embedding weights; "released": by name, as in 2020
    warmup: float = 0.1  # a fraction of the steps
    clip: float = 5.0  # global gradient norm; 0 = no clipping
    head_multiplier: float = 1.0  # of the learning rate, for the parameters of the heads
    not_finite: str = "stop"  # where loss or gradient is not finite: "stop" the run, or "skip" the step and count it


@dataclass(frozen=True, kw_only=True)
class TaskRecipe:
    """The downstream task of a fine-tuning run; without a name, the run is a pre-training."""

    name: str = ""  # vqa, vcr, nlvr2, snli-ve, retrieval or refexp
    setting: str = ""  # one of the task's own; empty = its first
    answers: str = ""  # of vqa: a file with one answer a line; empty = built from the training annotations
    least_answers: int = 9  # of vqa, when they are built: questions whose most frequent answer it is at least
    examples: int = 0  # of the training split, drawn by the run's seed; 0 = all
    options: dict[str, Any] = field(default_factory=dict)  # fields of TaskSettings that differ from the released ones


@dataclass(frozen=True, kw_only=True)
class MaskingRecipe:
    """How units are corrupted, and how pairs are mismatched (paper, section 3.2)."""

    masking: str = "conditional"
    word_probability: float = 0.15
    region_probability: float = 0.15
    mismatch_probability: float = 0.5
    wra_weight: float = 0.1


@dataclass(frozen=True, kw_only=True)
class NegativesRecipe:
    """What retrieval ranks below each true pair (paper, A.2); hard negatives as in the released runs, when they are on.

    On every `every`-th step, each true pair is scored with `pool` random images and `pool` random texts, and trained
    with the `keep` hardest of either; on the other steps, with `images` and `texts` random ones.

    Or, as in the paper: before every `mine_every`-th step, beginning with the first, each text of the training set is
    scored with `mine_images` random images, and the `mine_keep` hardest images of each text and texts of each image
    are kept; every step shows `hard` of either beside the random ones.
    """

    images: int = 1  # other images for a text: negative_size of the released run without hard negatives
    texts: int = 1  # other texts for an image
    every: int = 0  # steps; 0 = never, 1 = on every step as the released runs do
    pool: int = 399  # negative_size of the released runs with hard negatives; drawn anew for each step
    keep: int = 31  # hard_neg_size of the released runs
    mine_every: int = 0  # steps; 0 = never; N of A.2: 4,000 for COCO, 2,500 for Flickr30k
    mine_images: int = 128  # A.2
    mine_keep: int = 20  # A.2
    hard: int = 1  # A.2: two hard negatives for a pair, one of either side


@dataclass(frozen=True, kw_only=True)
class ValidationRecipe:
    """How often the validation split is measured, and on how much of it."""

    every: int = 1000  # steps; 0 = only before and after
    pairs: int = 2000  # a data set and objective, of retrieval texts x images; 0 = all
    units: int = 4096  # a batch


@dataclass(frozen=True, kw_only=True)
class SaveRecipe:
    """Checkpoints and the log."""

    every: int = 1000  # steps between checkpoints
    keep: int = 2
    best: str = ""  # a validation metric by whose best value a model is kept beside the last; losses are best when low
    log_every: int = 1


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Everything that decides a run's numbers, with the data."""

    name: str
    description: str = ""
    source: str = ""  # where the values come from
    seed: int = 1
    steps: int = 1000
    precision: str = "fp32"  # fp32, bf16 or fp16
    tasks: dict[str, float] = field(default_factory=dict)  # objective → weight in the mixture
    bars: dict[str, float] = field(default_factory=dict)  # metric of the test table → least value expected
    task: TaskRecipe = TaskRecipe()
    model: ModelRecipe = ModelRecipe()
    data: dict[str, DataRecipe] = field(default_factory=dict)
    allow_leaks: bool = False  # pre-train also on data whose audit names pictures of evaluation splits
    stages: tuple[StageRecipe, ...] = ()
    batch: BatchRecipe = BatchRecipe()
    optimizer: OptimizerRecipe = OptimizerRecipe()
    masking: MaskingRecipe = MaskingRecipe()
    negatives: NegativesRecipe = NegativesRecipe()
    validation: ValidationRecipe = ValidationRecipe()
    save: SaveRecipe = SaveRecipe()

    def __post_init__(self) -> None:
        _check(self)


def _check(recipe: Recipe) -> None:
    wrong = {
        "steps": recipe.steps < 1,
        "precision": recipe.precision not in ("fp32", "bf16", "fp16"),
        "task.examples": recipe.task.examples < 0,
        "optimizer.decayed": recipe.optimizer.decayed not in ("matrices", "released"),
        "optimizer.warmup": not 0 <= recipe.optimizer.warmup <= 1,
        "optimizer.lr": recipe.optimizer.lr <= 0,
        "optimizer.head_multiplier": recipe.optimizer.head_multiplier < 0,
        "optimizer.not_finite": recipe.optimizer.not_finite not in ("stop", "skip"),
        "batch.units": recipe.batch.units < 2,
        "batch.accumulation": recipe.batch.accumulation < 1,
        "batch.parallel": recipe.batch.parallel not in ("ddp", "fsdp"),
        "batch.workers": recipe.batch.workers < 0,
        "batch.shuffle_block": recipe.batch.shuffle_block < -1,
        "negatives.images": min(recipe.negatives.images, recipe.negatives.images + recipe.negatives.texts - 1) < 0,
        "negatives.texts": recipe.negatives.texts < 0,
        "negatives.every": recipe.negatives.every < 0,
        "negatives.pool": recipe.negatives.pool < 1,
        "negatives.keep": not 1 <= recipe.negatives.keep <= recipe.negatives.pool,
        "negatives.mine_every": recipe.negatives.mine_every < 0,
        "negatives.mine_images": recipe.negatives.mine_images < 1,
        "negatives.mine_keep": not 1 <= recipe.negatives.mine_keep <= recipe.negatives.mine_images,
        "negatives.hard": not 1 <= recipe.negatives.hard <= recipe.negatives.mine_keep,
        "validation.every": recipe.validation.every < 0,
        "save.every": recipe.save.every < 1,
        "save.keep": recipe.save.keep < 1,
        "save.log_every": recipe.save.log_every < 1,
        "tasks": any(weight <= 0 for weight in recipe.tasks.values()),
        "data": any(source.weight <= 0 or min(source.tasks.values(), default=0) < 0 for source in recipe.data.values()),
        "masking.masking": recipe.masking.masking not in ("conditional", "joint"),
    }
    for key, is_wrong in wrong.items():
        if is_wrong:
            value: Any = recipe
            for part in key.split("."):
                value = getattr(value, part)
            raise UsageError(f"recipe {recipe.name}: {key} = {value!r} is out of range")
    if recipe.negatives.every and recipe.negatives.mine_every:
        raise UsageError(
            f"recipe {recipe.name}: negatives.every and negatives.mine_every are both on: hard negatives are drawn "
            "from pools or mined, set one of the two to 0"
        )
    for stage in recipe.stages:
        for name in stage.data:
            if name not in recipe.data:
                raise UsageError(f"recipe {recipe.name}: a stage names data set {name!r}: {nearest(name, recipe.data)}")
