"""The smallest scenes, generated once."""

from pathlib import Path

import pytest

from uniter_data.scenes import TINY, generate_scenes


@pytest.fixture(scope="session")
def tiny_scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return generate_scenes(tmp_path_factory.mktemp("tiny") / "scenes", sizes=TINY)
