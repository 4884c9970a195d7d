from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from tests.images import base_image
from tests.runner.harness import HOST_NETWORK, FakeRunner, build


ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def toy_action(tmp_path_factory):
    """Give the folder and the image of an action with our entrypoint and a toy behind it."""
    folder = tmp_path_factory.mktemp("toy") / "action"
    shutil.copytree(ROOT / "tests/runner/toy", folder)
    shutil.copy(ROOT / "entrypoint", folder)
    image = build(folder, extra=(*HOST_NETWORK, "--build-arg", f"BASE={base_image()}"))
    yield folder, image
    subprocess.run(["docker", "rmi", "-f", image], check=True, capture_output=True)


@pytest.fixture
def toy(tmp_path, toy_action):
    """Give a fresh runner for the toy action."""
    folder, image = toy_action
    runner = FakeRunner(tmp_path, image, folder / "action.yml", run_extra=HOST_NETWORK)
    yield runner
    runner.clean()
