"""``action.yml``, the Dockerfile, the package and the README say the same."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from dataclasses import fields
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from torchproof.report.outputs import outputs
from torchproof.settings import Inputs


ROOT = Path(__file__).parents[2]
ACTION = yaml.safe_load((ROOT / "action.yml").read_text())
SCRIPTS = Path(sys.executable).parent


def test_the_action_has_the_published_form():
    file = ROOT / "action.yml"
    check = [SCRIPTS / "check-jsonschema", "--builtin-schema", "vendor.github-actions", file]
    checked = subprocess.run(check, check=False, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout


def test_githubs_own_parser_finds_no_error_in_the_action(github_parser):
    assert github_parser(ROOT / "action.yml") == []


def test_githubs_own_parser_does_find_errors_in_an_action(tmp_path, github_parser):
    broken = tmp_path / "action.yml"
    broken.write_text((ROOT / "action.yml").read_text().replace("github.token", "secrets.TOKEN"))
    assert "secrets" in github_parser(broken)[0]


def test_the_settings_know_exactly_the_inputs_of_the_action():
    assert [spec.name.replace("_", "-") for spec in fields(Inputs)] == list(ACTION["inputs"])


def test_the_settings_have_the_defaults_of_the_action():
    defaults = {key: spec["default"] for key, spec in ACTION["inputs"].items()}
    assert defaults.pop("github-token") == "${{ github.token }}"
    assert {key: getattr(Inputs(), key.replace("-", "_")) for key in defaults} == defaults


def test_the_action_declares_exactly_the_outputs_that_torchproof_writes():
    verdict = SimpleNamespace(
        word="not-worse",
        passed=True,
        pending=False,
        rows=(),
        counts={},
        checks={"failing": 0, "undecided": 0},
    )
    written = outputs(SimpleNamespace(verdict=verdict, icon="✅", headline="fine"))
    assert {*written, "report-status"} == set(ACTION["outputs"])


@pytest.mark.parametrize("key", ACTION["inputs"])
def test_the_readme_names_every_input(key):
    assert f"`{key}`" in (ROOT / "README.md").read_text()


def test_the_readme_names_outputs_that_exist():
    sentence = re.search(
        r"^Outputs: (.*?) and", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL
    )[1]
    named = re.findall(r"`([a-z-]+)`", sentence)
    assert named
    assert set(named) <= set(ACTION["outputs"])


@pytest.mark.parametrize("kind", ["inputs", "outputs"])
def test_everything_is_described(kind):
    assert all(spec["description"] for spec in ACTION[kind].values())


def test_the_image_is_built_here_on_main_and_named_by_digest_in_a_release():
    line = re.search(r"^  image: (.+)$", (ROOT / "action.yml").read_text(), re.MULTILINE)
    assert re.fullmatch(r"Dockerfile|docker://ghcr\.io/.+@sha256:[0-9a-f]{64}", line[1])


def test_both_entrypoints_are_in_the_image():
    dockerfile = (ROOT / "Dockerfile").read_text()
    assert "COPY entrypoint /entrypoint" in dockerfile
    assert "ln -s /entrypoint /post-entrypoint" in dockerfile
    assert ACTION["runs"]["entrypoint"] == "/entrypoint"
    assert ACTION["runs"]["post-entrypoint"] == "/post-entrypoint"


def test_the_program_that_the_entrypoint_starts_is_there():
    module = re.search(r'"-m", "(torchproof\.\w+)"', (ROOT / "entrypoint").read_text())[1]
    source = (ROOT / "src" / module.replace(".", "/")).with_suffix(".py").read_text()
    assert 'if __name__ == "__main__":' in source


def test_the_base_image_is_named_by_digest():
    base = re.search(r"^ARG BASE=(.+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert re.fullmatch(r"python:3\.\d+-slim-[a-z]+@sha256:[0-9a-f]{64}", base[1])


def test_the_tool_environment_has_no_torch_and_every_file_of_it_a_hash():
    lock = (ROOT / "requirements/action.txt").read_text()
    packages = re.findall(r"^([a-z0-9-]+)==.*\\$", lock, re.MULTILINE)
    assert {"pygithub", "jinja2", "uv"} <= set(packages)
    assert not [name for name in packages if name.startswith(("torch", "nvidia-cu"))]
    assert len(re.findall(r"==[^\n]*\\\n    --hash=sha256:", lock)) == len(packages)


def test_the_lock_has_what_pyproject_asks_for():
    project = (ROOT / "pyproject.toml").read_text()
    wanted = re.search(r"^action = \[(.*?)^\]", project, re.DOTALL | re.MULTILINE)[1]
    names = re.findall(r'"([a-z0-9-]+)>=', wanted)
    locked = re.findall(
        r"^([a-z0-9-]+)==", (ROOT / "requirements/action.txt").read_text(), re.MULTILINE
    )
    # requirements/action.in says why.
    assert set(names) - set(locked) == {"scipy"}


def test_the_dockerfile_copies_everything_that_the_wheel_takes_in():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wheel = project["tool"]["hatch"]["build"]["targets"]["wheel"]
    dockerfile = (ROOT / "Dockerfile").read_text()
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    for path in ["src", *wheel["force-include"]]:
        assert f"COPY {path} {path}\n" in dockerfile
        assert f"!{path}" in ignored
