from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from importlib.metadata import distribution
from pathlib import Path

import pytest
from tests.action.step import NAME, TOKEN, Runner
from tests.fake_github.http_server import running


PYTHON = "/usr/bin/python3"  # this environment's own may lie in a home that is closed to others
PYTEST = ("iniconfig", "packaging", "pluggy", "pygments", "pytest")


@pytest.fixture
def github(tmp_path):
    """Give a GitHub with one repository and the workflow's token."""
    with running(directory=tmp_path / "github") as fake:
        fake.world.add_repository(NAME)
        fake.world.add_token(TOKEN)
        yield fake


@pytest.fixture
def runner(tmp_path, github):
    return Runner(tmp_path, github)


@pytest.fixture(scope="session")
def interpreter():
    """Give the configuration for an interpreter with pytest that every user can run."""
    if os.geteuid() != 0:
        pytest.skip("only root can run tests as another user")
    with tempfile.TemporaryDirectory(prefix="torchproof-test-") as directory:
        for name in PYTEST:
            _copy(distribution(name), Path(directory))
        Path(directory).chmod(0o755)
        env = {"PYTHONPATH": directory}
        argv = [PYTHON, "-c", "import pytest"]
        if subprocess.run(argv, env=env, user=65_533, check=False, cwd="/").returncode:
            pytest.skip(f"{PYTHON} cannot run this pytest")
        text = f'python = "{PYTHON}"\nenv = {{ PYTHONPATH = "{directory}" }}\n'
        yield {"torchproof.toml": f'{text}pytest-args = ["-s"]\n'}


def _copy(package, directory):
    for file in package.files:
        if file.suffix != ".pyc" and ".." not in file.parts:
            (directory / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file.locate(), directory / file)
