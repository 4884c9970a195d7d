"""The image of the action: small, without torch, ready for the sealed process."""

from __future__ import annotations

import json
import secrets
import subprocess

import pytest
from tests.runner.harness import HOST_NETWORK
from tests.runner.image import action_image


pytestmark = pytest.mark.docker

# The tool environment alone, without the base image.
LIMIT_MB = 140


def inside(program, *arguments):
    docker = ["docker", "run", "--rm", *HOST_NETWORK, "--entrypoint", program, action_image()]
    done = subprocess.run([*docker, *arguments], check=True, capture_output=True, text=True)
    return done.stdout.strip()


def test_the_tool_environment_has_everything_but_torch():
    script = (
        "import importlib.util as u, json;"
        "names = ['click', 'github', 'jinja2', 'jsonschema', 'pynvml', 'torch'];"
        "print(json.dumps([name for name in names if u.find_spec(name) is None]))"
    )
    assert json.loads(inside("/opt/torchproof/bin/python", "-I", "-c", script)) == ["torch"]


def test_torchproof_and_its_templates_are_installed():
    script = (
        "import torchproof, pathlib;"
        "print((pathlib.Path(torchproof.__file__).parent / 'templates/workflow.yml').is_file())"
    )
    assert inside("/opt/torchproof/bin/python", "-I", "-c", script) == "True"


def test_git_and_uv_are_there():
    assert inside("git", "--version").startswith("git version")
    assert inside("uv", "--version").startswith("uv ")


def test_any_user_may_write_to_the_directories_that_become_volumes():
    modes = inside("stat", "-c", "%a", "/torchproof/cache", "/torchproof/locks")
    assert modes.split() == ["1777", "1777"]


def test_a_named_volume_takes_over_that_mode():
    volume = f"torchproof-test-{secrets.token_hex(6)}"
    mount = ["-v", f"{volume}:/torchproof/cache", "--user", "1001:1001"]
    touch = ["--entrypoint", "touch", action_image(), "/torchproof/cache/file"]
    command = ["docker", "run", "--rm", *HOST_NETWORK, *mount, *touch]
    try:
        subprocess.run(command, check=True, capture_output=True)
    finally:
        subprocess.run(["docker", "volume", "rm", volume], check=True, capture_output=True)


def test_the_image_stays_small():
    script = "du -sm /opt/torchproof | cut -f1"
    assert int(inside("sh", "-c", script)) <= LIMIT_MB
