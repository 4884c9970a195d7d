from __future__ import annotations

import shutil
import subprocess
import sys
import uuid
from contextlib import contextmanager

import pytest
from tests.end_to_end.happenings import WORKFLOW
from tests.end_to_end.images import gpu_image, user_image
from tests.end_to_end.jobs import TOKEN, Jobs
from tests.end_to_end.repository import Repository
from tests.fake_github.http_server import running
from tests.runner.image import action_image


NAME = "octo/moons"
RUN_NAME = "torchproof ${{ fromJSON(inputs.request).nonce }}"
REQUIREMENTS = """\
--no-index
--find-links wheels
pytest
# {unique}
"""

# Its tests run in the user's image.
collect_ignore = ["project"]


@pytest.fixture(scope="session")
def images():
    """Return the names of the action's image and of the one that a user runs tests in."""
    return action_image(), user_image()


@pytest.fixture(scope="session")
def gpu_action(images):
    """Give the name of the action's image on a runner with a simulated GPU."""
    name = gpu_image(images[0])
    yield name
    subprocess.run(["docker", "rmi", name], check=True, capture_output=True)


@contextmanager
def a_repository(directory, images):
    """Give the jobs of a repository on a GitHub of its own, with the project on main."""
    action, user = images
    with running(directory=directory / "github") as github:
        github.world.add_repository(NAME)
        github.world.add_token(TOKEN)
        inputs = ("runner", "request")
        github.world.add_workflow(NAME, WORKFLOW, inputs=inputs, run_name=RUN_NAME)
        repository = Repository(NAME, github, directory / "work", user)
        repository.commit("main")
        jobs = Jobs(directory, repository, action)
        yield jobs
        jobs.clean()


@pytest.fixture(scope="module")
def shared_jobs(tmp_path_factory, images):
    """Give the jobs of a repository whose story several tests look at."""
    with a_repository(tmp_path_factory.mktemp("shared"), images) as jobs:
        yield jobs


@pytest.fixture
def jobs(tmp_path, images):
    """Give the jobs of a fresh repository."""
    with a_repository(tmp_path, images) as jobs:
        yield jobs


@pytest.fixture(scope="session")
def wheels(tmp_path_factory):
    """Return a directory with pytest and what it needs, for a uv without an index."""
    directory = tmp_path_factory.mktemp("wheels")
    download = [sys.executable, "-m", "pip", "download", "-q", "--only-binary=:all:", "pytest"]
    subprocess.run(download, cwd=directory, check=True, capture_output=True)
    return directory


@pytest.fixture
def torchless(jobs, wheels):
    """Return a function that gives the files of a project with one test and without torch."""
    shutil.copytree(wheels, jobs.repository.work / "wheels")
    tests = [f"tests/{name}.py" for name in ("conftest", "test_overfit", "test_integration")]

    def files(test):
        # No run before this one can have made the same environment.
        requirements = REQUIREMENTS.format(unique=uuid.uuid4())
        given = {"requirements.txt": requirements, "tests/test_unit.py": test}
        return {**dict.fromkeys(["pyproject.toml", "moons.py", *tests], ""), **given}

    return files
