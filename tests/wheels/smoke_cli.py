"""uniter-cli alone: the command answers."""

import subprocess
import sys
from pathlib import Path

said = subprocess.run([Path(sys.executable).parent / "uniter", "--help"], capture_output=True, text=True, check=True)
assert "pretrain" in said.stdout
print("uniter --help answers")
