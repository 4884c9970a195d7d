from __future__ import annotations

import os
import uuid

import pytest
from tests.images import base_image
from tests.run.job import Job, make_checkout

from torchproof.run.engine import Engine


@pytest.fixture(scope="session")
def engine():
    """Return the docker engine, or skip where there is none."""
    base_image()
    return Engine()


@pytest.fixture
def checkout(tmp_path):
    """Return a git checkout with a token persisted as actions/checkout does, both ways."""
    return make_checkout(tmp_path / "work/_temp", tmp_path / "work/toy/toy")


@pytest.fixture
def job(tmp_path, engine):
    """Return a job of a runner that runs as user 1001."""
    if os.geteuid() != 0:
        pytest.skip("only root can set up the files of a runner with another user id")
    job = Job(tmp_path / "work", engine, uuid.uuid4().hex[:8])
    yield job
    job.clean()
