"""Layer one virtual environment over another: python layer.py UPPER LOWER.

A .pth file in UPPER's site-packages names LOWER's, so that what LOWER holds (torch: gigabytes) is installed once,
and pip in UPPER counts it as installed.
"""

import sys
from pathlib import Path


def site_packages(environment: Path) -> Path:
    """The site-packages folder of a virtual environment."""
    (folder,) = environment.resolve().glob("lib/python3*/site-packages")
    return folder


def layer(upper: Path, lower: Path) -> None:
    """Make the distributions of `lower` importable in `upper`."""
    (site_packages(upper) / "_lower_layer.pth").write_text(f"{site_packages(lower)}\n")


if __name__ == "__main__":
    layer(Path(sys.argv[1]), Path(sys.argv[2]))
