"""Named dimensions: shapes.packages lets jaxtyping and beartype check the user's package."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from torchproof.record import load
from torchproof.testing.shapes import sentence


MODEL = """
from __future__ import annotations
from dataclasses import dataclass
import torch
from jaxtyping import Float, Int
from torch import Tensor

class Net(torch.nn.Module):
    def forward(
        self, x: Float[Tensor, "batch time 4"], y: Float[Tensor, "batch"]
    ) -> Float[Tensor, "batch"]:
        return x.sum((1, 2)) - y

def outer(x: Float[Tensor, "rows"]):
    def inner(y: Float[Tensor, "rows"], z: Float[Tensor, "rows"]): pass
    return inner(x, x[1:])

def masked(x: Float[Tensor, "rows 3"], mask: Int[Tensor, "rows"] | None = None): pass

def listed(x: list[Float[Tensor, "rows 3"]]): pass

def first(x: Float[Tensor, "rows 3"]) -> Float[Tensor, "rows"]:
    return x[:1, 0]

@dataclass
class Batch:
    x: Float[Tensor, "rows 3"]
    y: Int[Tensor, "rows"]
"""

TESTS = """
import pytest, torch
from mypkg.model import Batch, Net, first, listed, masked, outer

def test_right(): Net()(torch.zeros(32, 3, 4), torch.zeros(32))
def test_batch(): Net()(torch.zeros(32, 3, 4), torch.zeros(31))
def test_rank(): Net()(torch.zeros(32, 3, 4), torch.zeros(32, 1))
def test_fixed(): Net()(torch.zeros(32, 3, 5), torch.zeros(32))
def test_dtype(): Net()(torch.zeros(32, 3, 4), torch.zeros(32).int())
def test_inside(): outer(torch.zeros(2))
def test_optional(): masked(torch.zeros(2, 3), torch.zeros(3).int())
def test_item(): listed([torch.zeros(2, 4)])
def test_returned(): first(torch.zeros(2, 3))
def test_dataclass(): Batch(torch.zeros(2, 3), torch.zeros(4).int())

def test_wrapped():
    try: test_batch()
    except TypeError as error: raise RuntimeError("mine") from error

@pytest.fixture
def batch(): return Batch(torch.zeros(2, 3), torch.zeros(4).int())
def test_in_a_fixture(batch): pass
"""

SAID = {
    "test_batch": "Net.forward(x, y): dimension batch is 32 from argument x but 31 in argument y,"
    " mypkg/model.py:9",
    "test_rank": "Net.forward(x, y): argument y is f32[32,1], declared Float[Tensor, 'batch'] (this"
    " array has 2 dimensions, not the 1 expected by the type hint), mypkg/model.py:9",
    "test_fixed": "Net.forward(x, y): argument x is f32[32,3,5], declared"
    " Float[Tensor, 'batch time 4'] (the dimension size 5 does not equal 4 as expected by the type"
    " hint), mypkg/model.py:9",
    "test_dtype": "Net.forward(x, y): argument y is i32[32], declared Float[Tensor, 'batch'] (this"
    " array has dtype int32, not any of",
    "test_inside": "outer.<locals>.inner(y, z): dimension rows is 2 from argument y but 1 in"
    " argument z, mypkg/model.py:14",
    "test_returned": "first(x): dimension rows is 2 from argument x but 1 in the returned value,"
    " mypkg/model.py:22",
    "test_optional": "masked(x, mask): argument mask is i32[3], declared Int[Tensor,"
    " 'rows'] | None (rows is 2 from argument x), mypkg/model.py:18",
    "test_item": "listed(x): argument x is [f32[2,4](torch)], declared list[Float[Tensor,"
    " 'rows 3']] (the dimension size 4 does not equal 3 as expected by the type hint),"
    " mypkg/model.py:20",
    "test_dataclass": "Batch.__init__(x, y): dimension rows is 2 from argument x but 4 in argument"
    " y, mypkg/model.py:25",
}
SETTINGS = '[tool.torchproof.shapes]\npackages = ["mypkg"]\n'


@pytest.fixture
def project(suite):
    suite.file("pyproject.toml", SETTINGS)
    suite.file("mypkg/__init__.py", "")
    suite.file("mypkg/model.py", MODEL)
    suite.file("conftest.py", "from mypkg.model import Net\n")
    suite.file("test_model.py", TESTS)
    return suite


@pytest.fixture
def small(suite):
    """A package without tensors: what is said about it needs none."""
    suite.file("pyproject.toml", SETTINGS)
    suite.file("mypkg/__init__.py", "")
    suite.file("mypkg/part.py", "")
    suite.file("test_part.py", "def test_nothing(): import mypkg\n")
    return suite


def run(suite, *args):
    """Return what pytest prints and the record it leaves."""
    result = suite.run("--torchproof-record=out/run.json", *args, apart=True)
    return result.stdout, load(suite.path / "out" / "run.json")


def assert_said(record):
    found = {each.test.rpartition("::")[2]: each for each in record.outcomes}
    assert found["test_right"].outcome == "passed"
    assert found["test_in_a_fixture"].outcome == "error"
    for test, said in SAID.items():
        assert found[test].outcome == "failed"
        assert found[test].message.startswith(f"jaxtyping.TypeCheckError: {said}")
        assert "\n" not in found[test].message
        assert found[test].location.startswith("test_model.py:")


def test_a_violation_fails_its_test_with_one_sentence_at_the_users_line(project):
    shown, record = run(project)
    assert_said(record)
    assert record.notes == ()
    shown.fnmatch_lines(
        [
            "E   jaxtyping.TypeCheckError: Net.forward(x, y): dimension batch is 32 *",
            "test_model.py:6: TypeCheckError",
            "*Captured jaxtyping call*",
            "Type-check error whilst checking the parameters of mypkg.model.Net.forward.",
        ]
    )
    shown.no_fnmatch_line("*_decorator.py*")
    shown.no_fnmatch_line("*BeartypeCallHint*")


def test_it_does_so_in_another_tier_and_in_the_processes_of_xdist(project):
    project.file("test_model.py", TESTS + "\npytestmark = pytest.mark.overfit\n")
    _, record = run(project, "-n1", "--torchproof-tier=overfit")
    assert_said(record)


def test_without_the_key_nothing_is_checked(project):
    project.file("pyproject.toml", "")
    _, record = run(project, "-k", "test_rank or test_dataclass")
    assert [each.outcome for each in record.outcomes] == ["passed", "passed"]


@pytest.mark.parametrize("args", [(), ("-n1",)])
def test_a_package_that_a_plugin_imported_too_early_is_named_with_the_plugins_file(small, args):
    small.file("early.py", "import mypkg.part\n")
    shown, record = run(small, "-p", "early", *args)
    assert re.match(
        r"shapes\.packages: mypkg was imported by .*/early\.py before torchproof could watch it, "
        r"so the dimensions in mypkg, mypkg\.part are not checked",
        record.notes[0],
    )
    shown.fnmatch_lines([f"torchproof: {record.notes[0]}"])


def test_a_conftest_that_brings_the_plugin_after_the_package_is_named(small):
    small.file(
        "conftest.py",
        """
        import mypkg
        pytest_plugins = ["torchproof.testing.plugin"]
        """,
    )
    done = subprocess.run(
        [sys.executable, "-m", "pytest"],
        cwd=small.path,
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert re.search(r"mypkg was imported by .*/conftest\.py before torchproof could", done.stdout)


def test_a_package_that_no_test_imports_is_named(small):
    small.file("pyproject.toml", SETTINGS.replace("mypkg", "mypgk"))
    shown, _ = run(small)
    shown.fnmatch_lines(["*no module of mypgk was imported, so nothing of it was checked"])


def test_what_is_missing_is_said_in_one_sentence(small):
    code = (
        "import sys, importlib.util as u, pytest; find = u.find_spec; "
        "u.find_spec = lambda name, *a: None if name in ('beartype', 'jaxtyping') "
        "else find(name, *a); sys.exit(pytest.main(['-q']))"
    )
    argv = [sys.executable, "-c", code]
    done = subprocess.run(argv, cwd=small.path, capture_output=True, text=True, check=False)
    assert done.returncode == 4
    assert (
        "torchproof: shapes.packages needs jaxtyping and beartype, not installed here. "
        "Install: jaxtyping beartype" in done.stderr
    )


def test_a_text_that_is_not_understood_is_passed_on():
    assert sentence(TypeError("something else"), Path("/")) == "something else"
