"""Errors of torchproof's own as a failed test shows them: the sentence, and the user's line.

The traceback behind it leads through torchproof's insides and says nothing that the sentence, which
names what is wrong and what to do, does not.
"""

from __future__ import annotations

import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Optional

import pytest

import torchproof
from torchproof.errors import TorchproofError


if TYPE_CHECKING:
    from types import TracebackType

_OURS = Path(torchproof.__file__).parent


def plainly(
    caught: Optional[pytest.ExceptionInfo[BaseException]], root: Path
) -> Optional[pytest.ExceptionInfo[BaseException]]:
    """Return what a test ended with, an error of ours as a failure without a traceback.

    Args:
        caught: What the test, or a fixture of it, raised.
        root: The user's project.
    """
    error = caught.value if caught is not None else None
    trace = error.__traceback__ if error is not None else None
    if not isinstance(error, TorchproofError) or trace is None:
        return caught
    sentence = f"torchproof: {error}{_place(trace, root)}"
    failure: BaseException = pytest.fail.Exception(sentence, pytrace=False)
    return pytest.ExceptionInfo.from_exc_info((type(failure), failure, trace))


def _place(trace: TracebackType, root: Path) -> str:
    """Name the innermost line of the user's that the error came through."""
    for frame in reversed(traceback.extract_tb(trace)):
        file = Path(frame.filename)
        if root in file.parents and _OURS not in file.parents:
            return f"\n  at {file.relative_to(root).as_posix()}:{frame.lineno}"
    return ""
