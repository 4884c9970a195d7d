"""Sentences for what uv, pip, Python, pytest, torch and CUDA say when something is missing."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torchproof.run.diagnose import diagnose


UV_CONFLICT = """\
  x No solution found when resolving dependencies:
  `-> Because torch==2.13.0 depends on sympy>=1.14 and you require sympy<1.13, we can conclude that
      your requirements are unsatisfiable.
"""


@pytest.mark.parametrize(
    ("output", "what", "key"),
    [
        ("E   ModuleNotFoundError: No module named 'einops'", "missing module einops", "install"),
        ("E   ModuleNotFoundError: No module named 'a.b'", "missing module a", "install"),
        ("ModuleNotFoundError: No module named 'torch'\n", "torch is not in", "install"),
        ("/env/bin/python: No module named pytest\n", "pytest is not in", "python"),
        ("sh: 9: uv: not found", "uv is not in the image", 'python = "system"'),
        (UV_CONFLICT, "contradict each other (Because torch==2.13.0", "install"),
        (
            "  Because only nopackage was not found in the package registry and you require",
            "no package index knows nopackage",
            "UV_INDEX",
        ),
        ("  x Failed to build `flash-attn==2.8.1`", "flash-attn could not be built", "image"),
        ("error: No interpreter found for Python 3.19 in managed", "no Python 3.19", "python"),
        ("error: Multiple top-level packages discovered in a flat-layout", "several", "install"),
        (
            "error: Failed to fetch: `https://download.pytorch.org/whl/cpu/torch/`\n  dns error",
            "PyTorch's own package index",
            "UV_TORCH_BACKEND",
        ),
        ("  Caused by: dns error", "cannot be reached", "HTTPS_PROXY"),
        ("invalid peer certificate: UnknownIssuer", "not trusted", "SSL_CERT_FILE"),
        (
            "RuntimeError: The NVIDIA driver on your system is too old (found version 11040).",
            "the GPU's driver is too old",
            "UV_TORCH_BACKEND",
        ),
        (
            "RuntimeError: DataLoader worker (pid 71) is killed by signal: Bus error.",
            "out of shared memory",
            "--shm-size",
        ),
        ("torch.OutOfMemoryError: CUDA out of memory. Tried", "memory was not enough", "batch"),
        ("operator torchvision::nms does not exist", "different indexes", "torchvision"),
        ("ImportError: libGL.so.1: cannot open shared object file", "OpenCV", "headless"),
        ("OSError: libsndfile.so.1: cannot open shared object file", "libsndfile.so.1", "image"),
        ("pytest: error: unrecognized arguments: --cov=src", "--cov", "pytest-cov"),
        ("E       fixture 'mocker' not found", "the fixture mocker", "pytest-mock"),
        ("ImportError while loading conftest '/w/conftest.py'.", "conftest.py", "install"),
        ("OSError: [Errno 28] No space left on device", "the disk is full", "space"),
        (
            "ERROR: Wrong expression passed to '-m': not (gpu: at column 9: expected right",
            "cannot read the tier's marker expression",
            "markers in [tool.torchproof.tiers]",
        ),
        ("ERROR: not found: /w/tests/test_a.py::test_b", "no test /w/tests", "pytest-args"),
    ],
)
def test_a_known_failure_names_the_key_to_set(output, what, key):
    diagnosis = diagnose(f"some lines before\n{output}\n")
    assert what in diagnosis.what
    assert key in diagnosis.remedy


@pytest.mark.parametrize(
    ("module", "package"),
    [("sklearn", "scikit-learn"), ("cv2", "opencv-python-headless"), ("my_lib", "my-lib")],
)
def test_a_module_is_named_as_the_package_that_brings_it(module, package):
    diagnosis = diagnose(f"ModuleNotFoundError: No module named '{module}'")
    assert diagnosis.what == f"missing module {module}"
    assert diagnosis.remedy == (
        'Add it to torchproof\'s "install" in pyproject.toml '
        f'([tool.torchproof] install = ["{package}"]).'
    )


def test_a_module_of_the_repository_itself_asks_for_the_project():
    diagnosis = diagnose("No module named 'digits.model'", local={"digits"})
    assert diagnosis.what == "module digits is in the repository but cannot be imported"
    assert 'install = ["-e ."]' in diagnosis.remedy


def test_what_pytest_really_prints_is_understood(tmp_path):
    (tmp_path / "test_it.py").write_text("import package_of_nobody\n")
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--color=yes", tmp_path]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert diagnose(done.stdout).what == "missing module package_of_nobody"


def test_colours_do_not_hide_the_cause():
    output = "No module named \x1b[1m'einops'\x1b[0m"
    assert diagnose(output).what == "missing module einops"


def test_what_the_runner_would_obey_is_not_repeated():
    output = "No solution found when resolving\n Because x \x1b]0;y\x07 ##[error]z\u2028::error::w"
    what = diagnose(output).what
    assert "Because x" in what
    assert "##[" not in what
    assert what.isprintable()


def test_a_warning_is_no_cause():
    warning = "UserWarning: Failed to initialize NumPy: No module named 'numpy' (Triggered at …)"
    assert diagnose(f"/site-packages/torch/_subclasses/x.py:368: {warning}\n1 failed") is None


def test_what_is_not_known_is_not_guessed():
    assert diagnose("assert 1 == 2\n1 failed") is None


@given(st.text(max_size=300))
def test_any_output_is_read_without_an_error(text):
    for output in (
        text,
        f"No module named '{text}",
        f"Because {text} was not found in the package",
    ):
        diagnosis = diagnose(output)
        assert diagnosis is None or len(diagnosis.what) < 300
