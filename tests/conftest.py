"""Fixtures shared by all tests: where the reference data lie, and hypothesis without a clock."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

ROOT = Path(__file__).resolve().parent.parent

# Shared 2-core machines stall now and then; a deadline would fail a sound property.
settings.register_profile("uniter", deadline=None, print_blob=True)
settings.load_profile("uniter")


def _folder(variable: str, default: str) -> Path:
    folder = Path(os.environ.get(variable, ROOT / ".." / "shared" / default)).resolve()
    if not folder.is_dir():
        pytest.skip(f"{folder} is absent: set {variable} to a folder of the layout its README describes")
    return folder


@pytest.fixture(scope="session")
def golden_dir() -> Path:
    """Outputs of the official implementation."""
    return _folder("UNITER_GOLDEN", "golden")


@pytest.fixture(scope="session")
def real_data_dir() -> Path:
    """Real annotations, features and pictures."""
    return _folder("UNITER_REAL_DATA", "data")
