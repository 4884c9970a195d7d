"""A base image for tests against a real docker engine, made without an image registry.

It is Debian bookworm with python3, venv, pip, git and certificates, unpacked by debootstrap and
imported. Making it takes about two minutes and root, once a machine; then it is there.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import tempfile
from functools import lru_cache
from pathlib import Path

import pytest


BASE_IMAGE = "torchproof-test-base"
SUITE = "bookworm"
PACKAGES = ("python3", "python3-venv", "python3-pip", "git", "ca-certificates")


@lru_cache(maxsize=1)
def base_image() -> str:
    """Return the base image's name; make it, or skip the test with the reason why it cannot be."""
    need_engine()
    if not _is_there():
        _need_debootstrap()
        # Two test processes on one machine make it once.
        with (Path(tempfile.gettempdir()) / f"{BASE_IMAGE}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not _is_there():
                _make()
    return BASE_IMAGE


@lru_cache(maxsize=1)
def need_engine() -> None:
    """Skip the test, with the reason, where no docker engine answers."""
    if shutil.which("docker") is None:
        pytest.skip("docker is not installed")
    if not _docker("version"):
        pytest.skip("no docker engine answers: start dockerd, or join the group docker")


def _is_there() -> bool:
    return _docker("image", "inspect", BASE_IMAGE)


def _need_debootstrap() -> None:
    if os.geteuid() != 0:
        pytest.skip(f"the image {BASE_IMAGE} is missing, and only root can make it")
    if shutil.which("debootstrap") is None:
        pytest.skip(f"the image {BASE_IMAGE} is missing: apt install debootstrap")


def _make() -> None:
    with tempfile.TemporaryDirectory() as folder:
        packages = f"--include={','.join(PACKAGES)}"
        unpack = ["debootstrap", "--variant=minbase", packages, SUITE, folder]
        done = subprocess.run(unpack, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            pytest.skip(f"debootstrap failed: {done.stdout[-300:]}")
        _import(Path(folder))


def _import(root: Path) -> None:
    pack = ["tar", "-C", root, "--numeric-owner", "--exclude=./var/cache/apt/archives/*", "-c", "."]
    with subprocess.Popen(pack, stdout=subprocess.PIPE) as tar:
        subprocess.run(
            ["docker", "import", "-", BASE_IMAGE],
            stdin=tar.stdout,
            stdout=subprocess.DEVNULL,
            check=True,
        )


def _docker(*words: str) -> bool:
    return subprocess.run(["docker", *words], capture_output=True, check=False).returncode == 0
