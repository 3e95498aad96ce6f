"""The package's README says what happens."""

import doctest
from pathlib import Path

README = Path(__file__).resolve().parents[2] / "packages" / "uniter-core" / "README.md"


def test_the_examples_run() -> None:
    result = doctest.testfile(str(README), module_relative=False)
    assert result.attempted > 10
    assert not result.failed
