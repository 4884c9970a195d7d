from __future__ import annotations

import pytest
from tests.stages.scene import Scene


@pytest.fixture
def scene(tmp_path):
    """Give a repository with an empty history."""
    return Scene(tmp_path)
