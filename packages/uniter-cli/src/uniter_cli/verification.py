"""Looking for damage in data sets: on demand, or before a run that would take days to stumble over it."""

from collections.abc import Callable, Mapping

from uniter_cli.display import progress_bars
from uniter_cli.recipe import DataRecipe
from uniter_cli.sources import locate
from uniter_data import Finding, verify
from uniter_data.examples import holds_examples, verify_examples

__all__ = ["find_damage", "verify_before_run"]


def find_damage(dataset: str, progress: Callable[[str, int, int], None]) -> list[Finding]:
    """What is wrong with a data set, of pairs or of a task's examples, or with a store; empty if nothing is.

    Args:
        dataset: its directory or URL, or `scenes:NAME`.
        progress: called with a store's name, arrays done and their number.

    Raises:
        ValueError: there is none.
    """
    directory = locate(dataset, progress)
    check = verify_examples if holds_examples(directory) else verify
    return check(directory, progress=progress)


def verify_before_run(data: Mapping[str, DataRecipe]) -> None:
    """Read every byte of a run's data sets and compare it with its checksum.

    Args:
        data: the data sets by name, as a recipe has them.

    Raises:
        ValueError: a data set is damaged; the message shows the first finding.
    """
    for path in dict.fromkeys(recipe.path for recipe in data.values()):
        with progress_bars() as progress:
            findings = find_damage(path, progress)
        if findings:
            raise ValueError(f"{findings[0]} ({len(findings)} finding(s): uniter data verify {path} lists them)")
