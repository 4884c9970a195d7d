"""The function that ``path/to/file.py:name`` names, as commands are given it.

It is the user's: what it raises is told as one sentence with the user's line, as a traceback would
lead through torchproof's insides.
"""

from __future__ import annotations

import inspect
import os
import sys
import traceback
from contextlib import contextmanager
from importlib import util
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable

from torchproof.errors import TorchproofError, UsageError


if TYPE_CHECKING:
    from collections.abc import Iterator

_REMEDY = "Write path/to/file.py:build, a function that returns (model, example)."
_OURS = Path(__file__).parents[1]
# Where Python's own code, torch and other packages lie: none of it is the user's to correct.
_INSTALLED = ("site-packages", "dist-packages", Path(os.__file__).parent.name)


def model_and_example(target: str) -> tuple[Any, Any]:
    """Import the function, call it, and return its model and example.

    Raises:
        UsageError: There is no such function, or it returns something else.
    """
    build = function_at(target, _REMEDY)
    with told_as_sentence():
        made = build()
    if not isinstance(made, tuple) or len(made) != 2:  # noqa: PLR2004 - the pair
        raise UsageError(f"it returns {type(made).__name__}, not a pair", _REMEDY, where=target)
    return made


def function_at(target: str, remedy: str) -> Callable[[], Any]:
    """Import the file and return its function.

    Args:
        target: ``path/to/file.py:name``.
        remedy: What to write instead where there is no such file.

    Raises:
        UsageError: There is no such file or function, the file cannot be imported, or the function
            asks for arguments.
    """
    file, _, name = target.rpartition(":")
    path = Path(file)
    if not file and Path(target).is_file():
        raise UsageError("the function is missing", remedy, where=target)
    if not path.is_file():
        raise UsageError(f"there is no file {file or target}", remedy)
    # The file's own imports find their neighbours, as when it is run as a script.
    sys.path[:0] = [str(Path.cwd()), str(path.parent.resolve())]
    spec = util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise UsageError("the file is not Python source", "Name a .py file.", where=file)
    module = util.module_from_spec(spec)
    sys.modules[path.stem] = module
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        what = f"it cannot be imported: {type(error).__name__}: {error}"
        raise UsageError(what, "Correct it, or install what it needs.", where=file) from error
    function = getattr(module, name, None)
    if not callable(function):
        raise UsageError(
            f"it has no function {name}", "Check the name after the colon.", where=file
        )
    _refuse_arguments(function, target)
    return function  # type: ignore[no-any-return]


@contextmanager
def told_as_sentence() -> Iterator[None]:
    """Tell what the user's code raises by its innermost line; errors of ours pass as they are.

    Raises:
        UsageError: The user's code failed.
    """
    try:
        yield
    except TorchproofError:
        raise
    except (Exception, SystemExit) as error:
        line = _line_of(error)
        if line is None:
            raise
        text = " ".join(str(error).split())
        what = f"the code failed: {type(error).__name__}: {text:.300}".rstrip(".")
        raise UsageError(what, "Correct it, then run this again.", where=line) from error


def _refuse_arguments(function: Callable[..., Any], target: str) -> None:
    try:
        inspect.signature(function).bind()
    except TypeError as error:
        remedy = "Name a function that takes none."
        raise UsageError(f"it wants arguments: {error}", remedy, where=target) from error
    except ValueError:
        """What is not written in Python may have no signature."""


def _line_of(error: BaseException) -> str | None:
    """Return the user's innermost line as ``path:line``, None where torchproof itself failed."""
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        file = Path(frame.filename)
        if _OURS in file.parents:
            return None
        if not {*_INSTALLED} & {*file.parts} and file.is_file():
            here = Path.cwd()
            shown = file.relative_to(here) if here in file.parents else file
            return f"{shown}:{frame.lineno}"
    return None
