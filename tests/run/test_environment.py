"""The user environment, made by the real uv from real packages."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path, PurePosixPath

import pytest

from torchproof.errors import ConfigError, HostError
from torchproof.run.environment import make, plan_environment
from torchproof.run.project import read_project, understand
from torchproof.run.seal import Completed
from torchproof.settings import Settings


TOOLS = Path(sys.executable).parent
INSIDE = PurePosixPath("/workspace")
CACHE = PurePosixPath("/cache")
NETWORK = ("SSL_CERT_FILE", "HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY", "UV_DEFAULT_INDEX")
HATCHLING = '[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n'


class OpenSeal:
    """Seals nothing: runs commands on this machine, with nothing but what a seal would give."""

    name = "open"

    def __init__(self, directory: Path, cache: Path) -> None:
        self.workspace = PurePosixPath(directory)
        self.cache = PurePosixPath(cache)
        self.own = {"HOME": str(cache), "PATH": f"{TOOLS}:/usr/bin:/bin"}

    def run(self, command, *, on_output):
        start = time.monotonic()
        try:
            done = subprocess.run(
                command.argv,
                cwd=command.cwd,
                env={**command.env, **self.own},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=command.timeout,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return Completed(exit_code=-9, seconds=time.monotonic() - start, timed_out=True)
        on_output(done.stdout)
        return Completed(exit_code=done.returncode, seconds=time.monotonic() - start)


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def seal(tmp_path, cache):
    return OpenSeal(tmp_path, cache)


def write(root, files):
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


def plan(files, **settings):
    project = understand({name: text.encode() for name, text in files.items()})
    return plan_environment(project, Settings(**settings), directory=INSIDE, cache=CACHE)


def ready(seal, **settings):
    """Make the environment of the project in the seal; return its interpreter and the output."""
    network = {name: os.environ[name] for name in NETWORK if name in os.environ}
    settings["env"] = {**network, **settings.get("env", {})}
    project = read_project(Path(seal.workspace), install=settings.get("install", ()))
    environment = plan_environment(
        project, Settings(**settings), directory=seal.workspace, cache=seal.cache
    )
    output = bytearray()
    return make(seal, environment, on_output=output.extend), output.decode()


def imports(python, *modules):
    code = f"import {', '.join(modules)}"
    return subprocess.run([python, "-Ic", code], capture_output=True, check=False).returncode == 0


def test_the_lock_file_decides_before_all_others():
    files = {
        "uv.lock": "",
        "pyproject.toml": '[project]\nname = "p"\n[dependency-groups]\ntest = []\ndev = []\n',
        "requirements.txt": "torch\n",
    }
    environment = plan(files)
    assert environment.origin == "uv.lock"
    assert "uv sync --frozen --group test\n" in environment.script


def test_the_members_of_a_virtual_workspace_are_installed_too():
    files = {"uv.lock": "", "pyproject.toml": '[tool.uv.workspace]\nmembers = ["a"]\n'}
    assert "uv sync --frozen --all-packages\n" in plan(files).script


def test_a_project_comes_with_its_test_extras_and_groups():
    pyproject = (
        '[project]\nname = "p"\n[project.optional-dependencies]\ntests = []\ndocs = []\n'
        "[dependency-groups]\ntest = []\nlint = []\n"
    )
    environment = plan({"pyproject.toml": pyproject, "requirements.txt": ""})
    assert environment.origin == ".[tests], group test"
    assert "uv pip install -e '.[tests]' --group test\n" in environment.script


def test_the_development_extra_serves_where_no_test_extra_is():
    files = {"setup.py": "", "setup.cfg": "[options.extras_require]\ndev =\n  pytest\ndocs =\n"}
    assert plan(files).origin == ".[dev]"


@pytest.mark.parametrize(
    ("files", "chosen"),
    [
        (["requirements.txt"], "requirements.txt"),
        (
            ["requirements.txt", "requirements-dev.txt", "test-requirements.txt"],
            "requirements.txt, test-requirements.txt",
        ),
        (["requirements.txt", "requirements_dev.txt"], "requirements.txt, requirements_dev.txt"),
        (["requirements/base.txt", "requirements/test.txt"], "requirements/test.txt"),
        (["requirements.txt", "setup.py"], "., requirements.txt"),
        (["requirements-docs.txt"], "no requirements were found"),
    ],
)
def test_requirements_files_are_chosen_by_their_names(files, chosen):
    assert plan(dict.fromkeys(files, "")).origin == chosen


def test_plain_requirements_come_on_top_and_a_source_replaces_all():
    files = {"requirements.txt": ""}
    added = plan(files, install=("scipy>=1; python_version<'4'",))
    assert "install -r requirements.txt 'scipy>=1; python_version<'" in added.script
    replaced = plan(files, install=("-r other.txt", "einops"))
    assert replaced.origin == "install"
    assert "uv pip install -r other.txt einops\n" in replaced.script


def test_a_requirement_cannot_become_a_command():
    assert "install '$(touch /tmp/x); x'\n" in plan({}, install=("$(touch /tmp/x); x",)).script


@pytest.mark.parametrize(
    ("settings", "python"),
    [
        ({"python": "system"}, "python3"),
        ({"image": "mine:1"}, "python3"),
        ({"python": "/opt/venv/bin/python"}, "/opt/venv/bin/python"),
        ({"python": ".venv/bin/python", "image": "mine:1"}, "/workspace/.venv/bin/python"),
    ],
)
def test_an_interpreter_that_is_named_is_used_as_it_is(settings, python):
    environment = plan({"uv.lock": "", "pyproject.toml": ""}, **settings)
    assert (environment.python, environment.script) == (python, "")


def test_a_list_that_would_have_no_effect_is_refused():
    with pytest.raises(ConfigError, match="install has no effect"):
        plan({}, python="system", install=("einops",))


def test_users_variables_reach_uv_and_an_empty_one_takes_ours_away():
    env = {"UV_FIND_LINKS": "/wheels", "UV_TORCH_BACKEND": ""}
    environment = plan({}, env=env).env
    assert environment["UV_FIND_LINKS"] == "/wheels"
    assert "UV_TORCH_BACKEND" not in environment
    assert plan({}).env["UV_TORCH_BACKEND"] == "auto"


def test_whatever_decides_the_content_decides_the_name():
    first = {"requirements.txt": "iniconfig\n"}
    others = [
        plan({"requirements.txt": "iniconfig==2.0.0\n"}),
        plan(first, python="3.12"),
        plan(first, install=("pluggy",)),
        plan(first, env={"UV_INDEX": "https://example.org"}),
    ]
    assert plan(first).python == plan(first).python
    assert len({plan(first).python, *(other.python for other in others)}) == 5


def test_native_code_is_built_again_because_a_checkout_removes_what_was_built():
    native = "setup(ext_modules=[CppExtension('x', ['x.cpp'])])"
    assert "--no-deps --reinstall -e .\n" in plan({"setup.py": native}).script
    assert "--reinstall" not in plan({"setup.py": "setup()"}).script


def test_a_pyproject_that_is_not_toml_is_one_clear_sentence():
    with pytest.raises(ConfigError, match=r"pyproject\.toml: not TOML"):
        plan({"pyproject.toml": "[project\n"})


@pytest.mark.parametrize("text", ["a = " + "[" * 5000, "a." * 50_000 + "a = 1"])
def test_a_hostile_pyproject_costs_nothing(text):
    start = time.monotonic()
    with pytest.raises(ConfigError):
        plan({"pyproject.toml": text})
    assert time.monotonic() - start < 1


def test_nothing_outside_the_project_and_no_pipe_is_read(tmp_path):
    (tmp_path / "secret.txt").write_text("secret")
    root = tmp_path / "workspace"
    write(root, {"requirements.txt": "-r ../secret.txt\n-r extra/more.txt\n", "extra/more.txt": ""})
    (root / "requirements-dev.txt").symlink_to(tmp_path / "secret.txt")
    (root / "setup.cfg").symlink_to("extra/more.txt")
    os.mkfifo(root / "setup.py")
    assert set(read_project(root).files) == {"requirements.txt", "extra/more.txt", "setup.cfg"}


def test_requirements_files_that_install_names_count(tmp_path):
    write(tmp_path, {"envs/cpu.txt": "-c pins.txt\n", "envs/pins.txt": ""})
    project = read_project(tmp_path, install=("-r envs/cpu.txt", "einops"))
    assert set(project.files) == {"envs/cpu.txt", "envs/pins.txt"}


def test_a_project_is_installed_once_and_found_ready_afterwards(seal):
    pyproject = (
        '[project]\nname = "fits"\nversion = "1"\ndependencies = ["iniconfig"]\n'
        '[project.optional-dependencies]\ntest = ["pytest-timeout"]\n' + HATCHLING
    )
    write(Path(seal.workspace), {"pyproject.toml": pyproject, "fits/__init__.py": ""})
    python, output = ready(seal)
    assert imports(python, "fits", "iniconfig", "pytest_timeout", "pytest")
    assert "Installed" in output
    assert ready(seal) == (python, "")


def test_a_lock_file_is_followed_to_the_letter(seal):
    pyproject = '[project]\nname = "p"\nversion = "1"\ndependencies = ["iniconfig<2"]\n'
    write(Path(seal.workspace), {"pyproject.toml": pyproject + 'requires-python = ">=3.10"\n'})
    subprocess.run([TOOLS / "uv", "lock", "-q"], cwd=seal.workspace, check=True)
    python, output = ready(seal, install=("pluggy",))
    assert "iniconfig==1.1.1" in output
    assert imports(python, "iniconfig", "pluggy", "pytest")


def test_a_half_made_environment_is_never_seen(seal, cache):
    write(Path(seal.workspace), {"requirements.txt": "iniconfig\nno-such-package-of-anybody\n"})
    with pytest.raises(HostError, match="no package index knows no-such-package-of-anybody"):
        ready(seal)
    assert not list((cache / "environments").glob("new-*"))


def test_a_broken_environment_is_made_again(seal):
    write(Path(seal.workspace), {"requirements.txt": "iniconfig==2.0.0\n"})
    python, _ = ready(seal)
    Path(python).unlink()
    assert ready(seal)[0] == python
    assert imports(python, "iniconfig")


def test_two_jobs_may_make_the_same_environment_at_once(seal, cache):
    write(Path(seal.workspace), {"requirements.txt": "iniconfig==2.0.0\npluggy\n"})
    pythons = []
    jobs = [threading.Thread(target=lambda: pythons.append(ready(seal)[0])) for _ in range(4)]
    for job in jobs:
        job.start()
    for job in jobs:
        job.join()
    assert len(pythons) == 4
    assert len(set(pythons)) == 1
    assert imports(pythons[0], "iniconfig", "pluggy", "pytest")
    assert not list((cache / "environments").glob("new-*"))


def test_requirements_that_contradict_each_other_are_named(seal):
    write(Path(seal.workspace), {"requirements.txt": "iniconfig==2.0.0\niniconfig==1.1.1\n"})
    with pytest.raises(HostError, match="contradict each other") as caught:
        ready(seal)
    assert "iniconfig" in caught.value.what
    assert "[tool.torchproof] install" in caught.value.remedy


def test_an_installation_without_end_is_stopped(seal):
    environment = plan_environment(
        understand({}), Settings(), directory=seal.workspace, cache=seal.cache
    )
    with pytest.raises(HostError, match="it was not ready after"):
        make(seal, environment, on_output=lambda data: None, timeout=0.001)
