"""AdamW over the right parameters, and the learning rate as a pure function of the step."""

import torch
from torch import nn

from uniter_cli.recipe import OptimizerRecipe

__all__ = ["build_optimizer", "decayed_names", "learning_rate"]

# The 2020 code spares names that contain these; so some LayerNorms (`img_layer_norm.weight`, `net.2.weight`) decay.
RELEASED_SPARED = ("bias", "LayerNorm.bias", "LayerNorm.weight")


def decayed_names(model: nn.Module, rule: str) -> set[str]:
    """Names of the parameters that weight decay pulls to zero.

    Args:
        model: the modules whose parameters are trained.
        rule: `matrices` = the weights of `Linear` and `Embedding` modules, whatever their names;
            `released` = by official name, as in the 2020 code (several LayerNorms decay; see docs).
    """
    if rule == "released":
        from uniter_core.checkpoints import official_name

        return {n for n, _ in model.named_parameters() if not any(part in official_name(n) for part in RELEASED_SPARED)}
    return {
        f"{prefix}.{name}" if prefix else name
        for prefix, module in model.named_modules()
        if isinstance(module, (nn.Linear, nn.Embedding))
        for name, parameter in module.named_parameters(recurse=False)
        if parameter.ndim > 1
    }


def build_optimizer(model: nn.Module, recipe: OptimizerRecipe) -> torch.optim.AdamW:
    """Fused AdamW with two groups each for the encoder and the heads: decayed and spared parameters.

    A group's `multiplier` scales the step's learning rate.

    torch's AdamW adds eps after the bias correction and decays before the update; the released one adds eps before
    and decays after. The difference vanishes within the first hundreds of steps.
    """
    decayed = decayed_names(model, recipe.decayed)
    trained = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
    heads = {name for name, _ in trained if name.startswith("heads.")}
    if recipe.head_multiplier == 1:
        heads = set()
    groups = [
        {
            "params": [p for name, p in trained if (name in heads) == of_head and (name in decayed) == decays],
            "weight_decay": recipe.weight_decay if decays else 0.0,
            "multiplier": recipe.head_multiplier if of_head else 1.0,
        }
        for of_head in (False, True)
        for decays in (True, False)
    ]
    groups = [group for group in groups if group["params"]]
    return torch.optim.AdamW(groups, lr=recipe.lr, betas=recipe.betas, eps=recipe.eps, fused=True)


def learning_rate(recipe: OptimizerRecipe, step: int, steps: int) -> float:
    """Rate of step `step` (0-based) of `steps`: linear to `lr` in the warm-up, then to 0 at the last, as released.

    >>> [learning_rate(OptimizerRecipe(lr=1.0, warmup=0.2), step, 10) for step in (0, 1, 2, 5, 9)]
    [0.5, 1.0, 0.875, 0.5, 0.0]
    """
    warmup = recipe.warmup * steps
    done = step + 1
    if done <= warmup:
        return recipe.lr * done / warmup
    return recipe.lr * max(0.0, (steps - done) / max(1.0, steps - warmup))
