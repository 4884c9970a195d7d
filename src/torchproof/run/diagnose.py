"""What a failed installation or pytest run means, in one sentence that names the key to set.

Looks for the marks that uv, pip, Python, pytest, torch and CUDA leave in the last lines of their
output. The output is hostile: it decides only which of these sentences is said, and what it puts
into one is short and made plain first.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING


if TYPE_CHECKING:
    from collections.abc import Callable, Collection

MAX_OUTPUT = 64 * 1024

_ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
# "##[" anywhere in a line is a command to the runner.
_ODD = re.compile(r"[^\n -~]|#")
_WARNING = re.compile(r"^.*Warning: .*$", re.MULTILINE)
_NAME = r"[A-Za-z_][\w-]{0,63}"

# Import names whose distribution is called otherwise.
_DISTRIBUTIONS = {
    "Bio": "biopython",
    "PIL": "pillow",
    "attr": "attrs",
    "cv2": "opencv-python-headless",
    "dateutil": "python-dateutil",
    "dotenv": "python-dotenv",
    "faiss": "faiss-cpu",
    "git": "gitpython",
    "google": "protobuf",
    "hydra": "hydra-core",
    "pkg_resources": "setuptools<81",
    "pytorch_lightning": "pytorch-lightning",
    "rdkit": "rdkit",
    "skimage": "scikit-image",
    "sklearn": "scikit-learn",
    "yaml": "pyyaml",
}
# Options and fixtures whose pytest plugin is missing.
_PLUGINS = {
    "--asyncio-mode": "pytest-asyncio",
    "--benchmark": "pytest-benchmark",
    "--cov": "pytest-cov",
    "--dist": "pytest-xdist",
    "--forked": "pytest-forked",
    "--hypothesis": "hypothesis",
    "--mypy": "pytest-mypy",
    "--numprocesses": "pytest-xdist",
    "--random-order": "pytest-random-order",
    "--reruns": "pytest-rerunfailures",
    "--snapshot": "syrupy",
    "--timeout": "pytest-timeout",
    "-n": "pytest-xdist",
    "benchmark": "pytest-benchmark",
    "data_regression": "pytest-regressions",
    "mocker": "pytest-mock",
    "num_regression": "pytest-regressions",
    "requests_mock": "requests-mock",
    "snapshot": "syrupy",
    "subtests": "pytest-subtests",
}


@dataclass(frozen=True)
class Diagnosis:
    """What is wrong, without a full stop, and what to do about it, as in `TorchproofError`."""

    what: str
    remedy: str


class Tail:
    """Passes output on as it comes and keeps the end of it, which is where failures are told."""

    def __init__(self, on_output: Callable[[bytes], None]) -> None:
        self._on_output = on_output
        self._kept = bytearray()

    def __call__(self, data: bytes) -> None:
        """Take what comes next."""
        self._kept.extend(data)
        del self._kept[:-MAX_OUTPUT]
        self._on_output(data)

    @property
    def text(self) -> str:
        """What was kept; hostile."""
        return self._kept.decode("utf-8", "replace")


def diagnose(output: str, *, local: Collection[str] = ()) -> Diagnosis | None:
    """Explain the end of a failed output; None where nothing known is in it.

    Args:
        output: What uv or pytest printed; the last 64 KiB count.
        local: Top-level modules and packages of the project itself.
    """
    # torch warns of a missing numpy in the words of an import that failed.
    text = _WARNING.sub("", plain(output))
    return (
        _first(_PARTICULAR, text)
        or _plugin_missing(text)
        or _module_missing(text, local)
        or _first(_GENERAL, text)
    )


def plain(output: str) -> str:
    """Keep the end of an output, without what a terminal or the runner could obey."""
    return _ODD.sub("", _ANSI.sub("", output[-MAX_OUTPUT:]))


def _first(causes: tuple[tuple[str, str, str], ...], text: str) -> Diagnosis | None:
    for pattern, what, remedy in causes:
        found = re.search(pattern, text, re.MULTILINE)
        if found:
            return Diagnosis(found.expand(what), found.expand(remedy))
    return None


def _plugin_missing(text: str) -> Diagnosis | None:
    marks = r"unrecognized arguments: (?P<option>--?[a-z-]+)|fixture '(?P<name>\w{1,64})' not found"
    for found in re.finditer(marks, text):
        name = found["option"] or found["name"]
        plugin = next((_PLUGINS[known] for known in _PLUGINS if name.startswith(known)), None)
        if plugin:
            kind = "option" if found["option"] else "fixture"
            what = f"the tests use the {kind} {name[:64]}, whose pytest plugin is not installed"
            return Diagnosis(what, f'Add it: [tool.torchproof] install = ["{plugin}"].')
    return None


def _module_missing(text: str, local: Collection[str]) -> Diagnosis | None:
    found = re.search(rf"No module named ['\"]?(?P<module>{_NAME})", text)
    if not found:
        return None
    module = found["module"]
    if module in local:
        what = f"module {module} is in the repository but cannot be imported"
        return Diagnosis(what, 'Install the project: [tool.torchproof] install = ["-e ."].')
    package = _DISTRIBUTIONS.get(module, module.replace("_", "-"))
    where = 'Add it to torchproof\'s "install" in pyproject.toml'
    remedy = f'{where} ([tool.torchproof] install = ["{package}"]).'
    return Diagnosis(f"missing module {module}", remedy)


# Pattern, what, remedy; the first that is found counts.
_PARTICULAR = (
    (
        r"uv: (command )?not found",
        "uv is not in the image that the tests run in",
        'Set [tool.torchproof] python = "system" to use the environment that the image holds.',
    ),
    (
        r"No module named '?torch'?$",
        "torch is not in the user environment",
        'Name it in the project\'s requirements, or in [tool.torchproof] install = ["torch"].',
    ),
    (
        r"No module named '?pytest'?$",
        "pytest is not in the interpreter that runs the tests",
        'Install it there, or set [tool.torchproof] python to a version such as "3.12".',
    ),
    (
        r"operator torchvision::nms does not exist",
        "torch and torchvision come from different indexes",
        'Install both in one step: [tool.torchproof] install = ["torch", "torchvision"].',
    ),
    (
        r"NVIDIA driver on your system is too old|CUDA driver version is insufficient",
        "the GPU's driver is too old for the installed torch",
        'Update it, or use an older build: [tool.torchproof] env = { UV_TORCH_BACKEND = "cu118" }.',
    ),
    (
        r"no kernel image is available for execution on the device",
        "the installed torch was not built for this GPU",
        "Choose a build that was: [tool.torchproof] env = { UV_TORCH_BACKEND = … }.",
    ),
    (
        r"out of shared memory|killed by signal: Bus error|unable to open shared memory object",
        "a DataLoader worker ran out of shared memory (/dev/shm)",
        "Use num_workers=0 in tests; your own job container needs options: --shm-size 8g.",
    ),
    (
        r"torch\.(cuda\.)?OutOfMemoryError|CUDA out of memory",
        "the GPU's memory was not enough",
        "Use a smaller batch or model in this tier, or a runner with a larger GPU.",
    ),
    (
        r"libGL\.so\.1: cannot open shared object file",
        "OpenCV wants a display library that the image lacks",
        'Use its headless build: [tool.torchproof] install = ["opencv-python-headless"].',
    ),
    (
        r"(?P<library>lib[\w.+-]{1,60}): cannot open shared object file",
        r"the image lacks the system library \g<library>",
        "Run the tests in an image of your own that has it: [tool.torchproof] image = ….",
    ),
    (
        rf"Because (only )?(?P<package>{_NAME}) was not found in the package registry",
        r"no package index knows \g<package>",
        "Correct the name; for a private index set [tool.torchproof] env = { UV_INDEX = … }.",
    ),
    (
        r"Failed to fetch: .https://download\.pytorch\.org",
        "PyTorch's own package index cannot be reached",
        'Take torch from your index: [tool.torchproof] env = { UV_TORCH_BACKEND = "" }.',
    ),
    (
        r"invalid peer certificate|certificate verify failed",
        "the package index's certificate is not trusted here",
        "Set [tool.torchproof] env = { SSL_CERT_FILE = … } to your certificate authority's file.",
    ),
    (
        r"dns error|error sending request|Connection refused|Temporary failure in name resolution",
        "the package index cannot be reached",
        "Set [tool.torchproof] env = { HTTPS_PROXY = … }, or another UV_DEFAULT_INDEX there.",
    ),
    (
        r"No interpreter found for (?P<python>Python [\w.<>=!, *]{1,40})",
        r"there is no \g<python> here and none could be fetched",
        "Set [tool.torchproof] python to a version or path that is there.",
    ),
    (
        r"Multiple top-level (packages|modules) discovered in a flat-layout",
        "the repository is no installable package: setuptools finds several top-level packages",
        'Say what to install instead: [tool.torchproof] install = ["-r requirements.txt"].',
    ),
    (
        r"No solution found when resolving[^\n]*\s+[^\n]*?(?P<reason>Because [^\n]{1,160})",
        r"the requirements contradict each other (\g<reason> …)",
        'Loosen one, or name the whole list in [tool.torchproof] install = ["-r …"].',
    ),
    (
        r"No space left on device",
        "the disk is full",
        "Free space on the runner; unused environments go by themselves after two weeks.",
    ),
    (
        rf"Failed to build [`'](?P<package>{_NAME})",
        r"\g<package> could not be built from source",
        "Use a version that has a wheel, or an image with its tools: [tool.torchproof] image = ….",
    ),
)
_GENERAL = (
    (
        r"ImportError while loading conftest",
        "a conftest.py cannot be imported",
        "Read the lines above; a missing package goes into [tool.torchproof] install = […].",
    ),
    (
        r"No solution found when resolving",
        "the requirements contradict each other",
        'Loosen one, or name the whole list in [tool.torchproof] install = ["-r …"].',
    ),
    (
        r"Wrong expression passed to '-m'",
        "pytest cannot read the tier's marker expression",
        "Correct its markers in [tool.torchproof.tiers].",
    ),
    (
        r"not found: (?P<test>[\w./:-]{1,120})",
        r"there is no test \g<test>",
        "Correct [tool.torchproof] pytest-args.",
    ),
)
