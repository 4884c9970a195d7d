"""The function that ``path/to/file.py:name`` names, as commands are given it."""

from __future__ import annotations

import sys
from importlib import util
from pathlib import Path
from typing import Any, Callable

from torchproof.errors import UsageError


_REMEDY = "Write path/to/file.py:build, a function that returns (model, example)."


def model_and_example(target: str) -> tuple[Any, Any]:
    """Import the function, call it, and return its model and example.

    Raises:
        UsageError: There is no such function, or it returns something else.
    """
    made = function_at(target, _REMEDY)()
    if not isinstance(made, tuple) or len(made) != 2:  # noqa: PLR2004 - the pair
        raise UsageError(f"it returns {type(made).__name__}, not a pair", _REMEDY, where=target)
    return made


def function_at(target: str, remedy: str) -> Callable[[], Any]:
    """Import the file and return its function.

    Args:
        target: ``path/to/file.py:name``.
        remedy: What to write instead where there is no such file.

    Raises:
        UsageError: There is no such file or function, or the file cannot be imported.
    """
    file, _, name = target.rpartition(":")
    path = Path(file)
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
    except Exception as error:
        what = f"it cannot be imported: {type(error).__name__}: {error}"
        raise UsageError(what, "Correct it, or install what it needs.", where=file) from error
    function = getattr(module, name, None)
    if not callable(function):
        raise UsageError(
            f"it has no function {name}", "Check the name after the colon.", where=file
        )
    return function  # type: ignore[no-any-return]
