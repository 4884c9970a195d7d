"""The plugin directory: on PYTHONPATH it is all that pytest needs to find the plugin."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from torchproof.run.plugin_dir import TEST_SIDE, lay


TOOLS = Path(sys.executable).parent
SEES_PLUGIN = """
def test_the_plugin_is_there(pytestconfig):
    plugin = pytestconfig.pluginmanager.get_plugin("torchproof")
    assert plugin.__name__ == "torchproof.testing.plugin"
    import torchproof
    assert torchproof.__file__.startswith({where!r})
"""


def run(python, plugin, project, *arguments):
    """Run pytest with nothing but PYTHONPATH to tell it of the plugin."""
    (project / "test_it.py").write_text(SEES_PLUGIN.format(where=str(plugin)))
    environment = {"PYTHONPATH": str(plugin), "PATH": os.defpath, "PYTHONDONTWRITEBYTECODE": "1"}
    command = [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments]
    return subprocess.run(
        command, cwd=project, env=environment, capture_output=True, text=True, check=False
    )


def imported(tree):
    """Return the modules of ours that a module imports."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("torchproof"):
            yield node.module


@pytest.fixture(scope="module")
def bare(tmp_path_factory):
    """Return a function that makes an environment with nothing but pytest in it."""

    def make(version):
        found = shutil.which(f"python{version}") or ""
        if not found or subprocess.run([found, "-c", ""], check=False).returncode:
            pytest.skip(f"there is no Python {version} here")
        where = tmp_path_factory.mktemp("bare")
        uv = [TOOLS / "uv", "-q"]
        subprocess.run([*uv, "venv", "--python", found, where / "env"], check=True)
        python = where / "env/bin/python"
        subprocess.run([*uv, "pip", "install", "--python", python, "pytest"], check=True)
        return python

    return make


@pytest.fixture
def plugin(tmp_path):
    lay(tmp_path / "plugin")
    return tmp_path / "plugin"


def test_it_holds_the_test_side_and_its_metadata_and_no_more(plugin):
    assert {path.name.partition("-")[0] for path in plugin.iterdir()} == {"torchproof"}
    assert {path.name for path in (plugin / "torchproof").iterdir()} == set(TEST_SIDE)


def test_nothing_in_it_needs_what_was_left_out(plugin):
    for file in plugin.rglob("*.py"):
        for name in imported(ast.parse(file.read_text())):
            path = plugin.joinpath(*name.split("."))
            assert path.is_dir() or path.with_suffix(".py").is_file(), f"{file} imports {name}"


def test_it_is_small_and_everybody_can_read_it(plugin):
    files = [path for path in plugin.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) <= 2_000_000
    assert all(path.stat().st_mode & 0o777 == 0o644 for path in files)
    assert plugin.stat().st_mode & 0o777 == 0o755


def test_an_earlier_one_is_replaced(plugin):
    (plugin / "torchproof/cli.py").write_text("")
    lay(plugin)
    assert not (plugin / "torchproof/cli.py").exists()


def test_the_oldest_supported_python_can_read_all_of_it(plugin, bare):
    python = bare("3.9")
    subprocess.run([python, "-m", "compileall", "-q", plugin / "torchproof"], check=True)


@pytest.mark.parametrize("version", ["3.9", f"3.{sys.version_info.minor}"])
def test_pytest_loads_the_plugin_by_itself(plugin, bare, tmp_path, version):
    done = run(bare(version), plugin, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


def test_it_goes_before_an_installed_torchproof(plugin, tmp_path):
    done = run(sys.executable, plugin, tmp_path, "-p", "torchproof")
    assert done.returncode == 0, done.stdout + done.stderr
