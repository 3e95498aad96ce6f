"""The package's README runs."""

import re
from pathlib import Path

import pytest

README = Path(__file__).parents[2] / "packages" / "uniter-tasks" / "README.md"


def test_the_example_runs(capsys: pytest.CaptureFixture[str]) -> None:
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(), flags=re.DOTALL)
    assert blocks
    for block in blocks:
        exec(compile(block, str(README), "exec"), {})
    assert "masked words; accuracy" in capsys.readouterr().out
