"""Where in the user's code something happened, read from the stack."""

from __future__ import annotations

import inspect
import os
import sys
import sysconfig
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Callable, NamedTuple, Optional

import torch


if TYPE_CHECKING:
    from types import CodeType, FrameType

_PLAIN = (bool, int, float, str, type(None))
_OURS = str(Path(__file__).parents[2]) + os.sep
# They stand between the user's line and the event; our other modules stand above the user's code.
_WATCHERS = (
    __file__,
    *(
        str(Path(__file__).parents[1] / f"{name}.py")
        for name in (
            "labels/aliases",
            "labels/self_compared",
            "parameters/dropped_changes",
            "parameters/forgotten_losses",
            "parameters/lost_terms",
            "parameters/plain_leaves",
            "prediction/input_noise",
            "process/drawings",
            "process/fingerprints",
            "process/outside_draws",
            "process/overrides",
            "process/trail",
            "process/warned",
            "step/checkpoints",
            "step/attention",
            "step/dispatched",
            "step/events",
            "step/likelihoods",
            "step/loss_signs",
            "step/masks",
            "step/module_calls",
            "step/observe",
            "step/optimizers",
            "step/picks",
            "step/shadows",
            "step/spent_gradients",
            "step/updates",
            "step/writes",
        )
    ),
)
_LIBRARIES = (
    str(Path(torch.__file__).parent) + os.sep,
    *{
        str(Path(sysconfig.get_path(name))) + os.sep
        for name in ("stdlib", "platstdlib", "purelib", "platlib")
    },
)


class Running(NamedTuple):
    """A function that runs, and the names from outside it that are bound to plain values."""

    code: CodeType
    plain: frozenset[str]


def user_line() -> Optional[str]:
    """Return ``path:line`` of the innermost line of the user's code, or None if there is none.

    Frames of torch, torchproof, the standard library and installed packages are passed over. The
    search ends where torchproof called the user, so that the test that asked for a proof is never
    taken for the code under proof.
    """
    frame: Optional[FrameType] = sys._getframe(1)  # noqa: SLF001 - the documented way to a frame
    while frame is not None and _kind(frame.f_code.co_filename) == "library":
        frame = frame.f_back
    if frame is None or _kind(frame.f_code.co_filename) == "ours":
        return None
    return place(frame.f_code.co_filename, frame.f_lineno)


def running() -> tuple[Running, ...]:
    """Return the functions of the user's that are running, from the innermost outwards."""
    found: list[Running] = []
    frame: Optional[FrameType] = sys._getframe(1)  # noqa: SLF001 - the documented way to a frame
    while frame is not None and _kind(frame.f_code.co_filename) != "ours":
        if _kind(frame.f_code.co_filename) == "user":
            own, others = frame.f_locals, frame.f_globals
            names = (*frame.f_code.co_freevars, *frame.f_code.co_names)
            bound = {each: own.get(each, others.get(each, ())) for each in names}
            plain = (each for each, value in bound.items() if isinstance(value, _PLAIN))
            found.append(Running(frame.f_code, frozenset(plain)))
        frame = frame.f_back
    return tuple(found)


def defined_at(function: Optional[Callable[..., object]]) -> Optional[str]:
    """Return ``path:line`` of the line that defines a function, or None for what has no code.

    A decorated function, as by ``@torch.no_grad()``, is defined where it is written.
    """
    written: object = inspect.unwrap(function) if callable(function) else function
    code = getattr(getattr(written, "__func__", written), "__code__", None)
    if code is None or _kind(code.co_filename) != "user":
        return None
    return place(code.co_filename, code.co_firstlineno)


def place(filename: str, line: int) -> str:
    """Write a place as ``path:line``, relative to the working directory if it lies under it."""
    return f"{_relative(filename, os.getcwd())}:{line}"  # noqa: PTH109 - called often: no Path


@lru_cache(maxsize=1024)
def _relative(filename: str, here: str) -> str:
    path = Path(filename)
    return str(path.relative_to(here) if Path(here) in path.parents else path)


@lru_cache(maxsize=1024)
def _kind(filename: str) -> str:
    path = filename if filename.startswith("<") else str(Path(filename).absolute())
    if path.startswith(("<", *_LIBRARIES)) or path in _WATCHERS:
        return "library"
    return "ours" if path.startswith(_OURS) else "user"
