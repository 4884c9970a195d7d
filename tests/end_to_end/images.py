"""The images of the user's project, and of a runner with simulated GPUs.

The user's own image is the base image with torch and pytest in its Python. They are copied out of
the environment that runs the tests, which is faster than pip, needs no network and takes the torch
that this machine has, whatever index it came from.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import shutil
import subprocess
import sys
import tempfile
from functools import lru_cache
from importlib.metadata import Distribution, distribution
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from packaging.requirements import Requirement
from tests.images import base_image


if TYPE_CHECKING:
    from collections.abc import Iterator

USER_IMAGE = "torchproof-test-user"
GPU_IMAGE = "torchproof-test-gpu-action"
SIMULATED_NVML = Path(__file__).parents[1] / "simulated_nvml/pynvml.py"
HOOK_LOG = Path("/tmp/fake-nvidia.log")
USED_BYTES = 3 * 1024**3
# The hook's log outlives a run of the tests, so each has a GPU of its own.
GPU = {"uuid": f"GPU-{secrets.token_hex(8)}", "name": "NVIDIA H100", "used": USED_BYTES}

# Headers and torch's own tests: nobody compiles here.
_LEFT_OUT = ("torch/include/", "torch/share/", "torch/test/")
_WHERE = "import site, sys; print(*sys.version_info[:2], site.getsitepackages()[0])"


@lru_cache(maxsize=1)
def user_image() -> str:
    """Return the image's name, making it if it is not there; skip where this cannot be done."""
    base = base_image()
    ask = ("docker", "run", "--rm", "--network=none", base, "python3", "-c", _WHERE)
    *version, site = _output(*ask).split()
    if version != list(map(str, sys.version_info[:2])):
        ours = ".".join(map(str, sys.version_info[:2]))
        pytest.skip(f"this torch is for Python {ours}, the image has {'.'.join(version)}")
    packages = {item.name: item for item in _with_requirements("torch", "pytest")}
    versions = sorted(f"{name}=={item.version}" for name, item in packages.items())
    image = _output("docker", "image", "inspect", "--format={{.Id}}", base)
    digest = hashlib.sha256(json.dumps([image, versions, _LEFT_OUT]).encode()).hexdigest()[:12]
    name = f"{USER_IMAGE}:{digest}"
    if not _exists(name):
        _make(name, base, site, packages.values())
    return name


def gpu_image(action: str) -> str:
    """Return the name of the action's image with one simulated GPU; skip where none can be."""
    _need_simulated_gpus()
    ask = ("--entrypoint", "python3", action, "-c", "import pynvml; print(pynvml.__file__)")
    library = _output("docker", "run", "--rm", "--network=none", *ask)
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(SIMULATED_NVML, folder)
        (Path(folder) / "nvml.json").write_text(json.dumps({"devices": [GPU]}), "utf-8")
        lines = [f"FROM {action}", f"COPY pynvml.py {library}", "COPY nvml.json /nvml.json"]
        lines += ["ENV SIMULATED_NVML=/nvml.json"]
        (Path(folder) / "Dockerfile").write_text("\n".join(lines), "utf-8")
        _output("env", "DOCKER_BUILDKIT=0", "docker", "build", "-q", "-t", GPU_IMAGE, folder)
    return GPU_IMAGE


def promised(uuid: str) -> bool:
    """Say whether the engine has promised this GPU to a container."""
    return HOOK_LOG.exists() and f'"NVIDIA_VISIBLE_DEVICES={uuid}"' in HOOK_LOG.read_text("utf-8")


def _need_simulated_gpus() -> None:
    uuid = f"GPU-{secrets.token_hex(8)}"
    options = ("--rm", "--network=none", f"--gpus=device={uuid}")
    start = ["docker", "run", *options, base_image(), "true"]
    subprocess.run(start, check=False, capture_output=True)
    if not promised(uuid):
        pytest.skip("the engine has no simulated GPUs: start dockerd as .ci/run does")


def _with_requirements(*names: str) -> Iterator[Distribution]:
    waiting, seen = list(names), set()
    while waiting:
        found = distribution(waiting.pop())
        if found.name in seen:
            continue
        seen.add(found.name)
        yield found
        for line in found.requires or ():
            requirement = Requirement(line)
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                waiting.append(requirement.name)


def _make(name: str, base: str, site: str, packages) -> None:
    root = Path(str(distribution("torch").locate_file("")))
    files = [str(path) for package in packages for path in package.files or ()]
    kept = [path for path in files if not path.startswith(("..", *_LEFT_OUT))]
    listed = "\0".join(path for path in kept if (root / path).exists())
    container = _output("docker", "create", base, "true")
    try:
        pack = ["tar", "-C", root, "--null", "-T", "-", "--owner=0", "--group=0", "-c"]
        copy = ["docker", "cp", "-", f"{container}:{site}"]
        with subprocess.Popen(pack, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as tar:
            with subprocess.Popen(copy, stdin=tar.stdout, stdout=subprocess.DEVNULL) as copying:
                tar.stdin.write(listed.encode())
                tar.stdin.close()
            assert (copying.wait(), tar.wait()) == (0, 0)
        _output("docker", "commit", container, name)
    finally:
        _output("docker", "rm", "-f", container)


def _exists(name: str) -> bool:
    look = ["docker", "image", "inspect", name]
    return subprocess.run(look, check=False, capture_output=True).returncode == 0


def _output(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
