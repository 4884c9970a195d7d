"""Importing torchproof costs nothing; torch comes with the first name that needs it."""

import subprocess
import sys
import textwrap

import pytest


def run(source):
    code = textwrap.dedent(source)
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


def test_importing_torchproof_does_not_import_torch():
    source = """
        import sys, torchproof
        dir(torchproof), torchproof.__version__, torchproof.TorchproofError
        assert "torch" not in sys.modules and "pytest" not in sys.modules
        from torchproof import record
        assert "torch" not in sys.modules
        torchproof.Trainee
        assert "torch" not in sys.modules
        assert torchproof.prove is torchproof.prove
        assert "torch" in sys.modules
    """
    assert run(source).stderr == ""


@pytest.mark.parametrize("name", ["prove", "Trainee", "fix_seed"])
def test_without_torch_there_is_one_sentence(name):
    source = f"""
        import importlib.util, torchproof
        real = importlib.util.find_spec
        importlib.util.find_spec = lambda n, *rest: None if n == "torch" else real(n, *rest)
        torchproof.{name}
    """
    last = run(source).stderr.strip().splitlines()[-1]
    assert last.startswith(
        "torchproof.errors.HostError: torch is not installed in this environment."
    )


def test_subpackages_are_found_and_other_names_are_not():
    source = """
        from torchproof import record, errors
        import torchproof
        assert not hasattr(torchproof, "nonsense")
    """
    assert run(source).stderr == ""
