"""The README's examples run and print what it says."""

import doctest
import re
from pathlib import Path

README = Path(__file__).resolve().parents[2] / "packages" / "uniter-ot" / "README.md"


def test_every_python_block() -> None:
    text = README.read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)
    assert blocks
    session = "\n".join(blocks)
    example = doctest.DocTestParser().get_doctest(session, {}, README.name, str(README), 0)
    report: list[str] = []
    results = doctest.DocTestRunner().run(example, out=report.append)
    assert results.attempted > 0
    assert results.failed == 0, "".join(report)
