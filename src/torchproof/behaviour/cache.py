"""Trained weights in files: made once, whoever asks first, and read without running any code.

Workers share a directory; a lock that the kernel frees when its holder dies lets one of them train
while the others wait. A file is there as a whole or not at all, and read with ``weights_only``, so
that a cache somebody else wrote can hold wrong weights and never run anything.
"""

from __future__ import annotations

import os
import pickle
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Callable, Optional

from torchproof.errors import UsageError


if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MAX_FILES = 16
MAX_BYTES = 2 * 1024**3


def obtain(directory: Path, name: str, key: str, make: Callable[[], Any]) -> tuple[Any, bool]:
    """Return weights, made now or read from a file.

    Args:
        directory: Where the files lie.
        name: Fit for a file's name; one at a time is made under a name.
        key: The fingerprint of what makes them.
        make: Trains and returns a state dict.

    Returns:
        The state dict on the CPU, and True if it was there already.

    Raises:
        UsageError: The state dict holds what weights-only loading refuses.
    """
    path = directory / f"{name}-{key[:32]}.pt"
    with _locked(directory / f"{name}.lock"):
        state = _read(path)
        if state is not None:
            os.utime(path)
            return state, True
        _write(path, make())
        state = _read(path)
        _prune(directory, path)
    if state is None:
        what = "the trained state holds more than tensors and plain values"
        remedy = "Let state_dict() return what torch.load(weights_only=True) can read."
        raise UsageError(what, remedy)
    return state, False


def load(path: Path) -> Any:
    """Return the state dict in a file, on the CPU; ``.safetensors`` or what ``torch.save`` wrote.

    Of a training checkpoint the entry ``state_dict`` counts.

    Raises:
        UsageError: There is no such file, or it cannot be read without running code from it.
    """
    import torch

    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file  # type: ignore[import-not-found,unused-ignore]

            return load_file(str(path))
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError, ImportError) as error:
        what = f"the checkpoint cannot be read: {str(error).splitlines()[0]:.200}"
        remedy = "Save a state dict with torch.save or safetensors; nothing else is unpickled."
        raise UsageError(what, remedy, where=str(path)) from error
    inner = state.get("state_dict") if isinstance(state, dict) else None
    return inner if isinstance(inner, dict) else state


def _read(path: Path) -> Optional[Any]:
    """Return the weights in a file of ours, None if there are none that can be used."""
    import torch

    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        return None
    except (RuntimeError, EOFError, OSError, ValueError, pickle.UnpicklingError):
        path.unlink()
        return None


def _write(path: Path, state: Any) -> None:
    import torch

    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    try:
        torch.save(state, partial)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _prune(directory: Path, keep: Path) -> None:
    """Remove the files that were not used for longest beyond the bounds, never the newest."""
    sizes = {path: path.stat() for path in directory.glob("*.pt")}
    total = 0
    newest = sorted(sizes, key=lambda each: (each != keep, -sizes[each].st_mtime))
    for count, path in enumerate(newest):
        total += sizes[path].st_size
        if path != keep and (count >= MAX_FILES or total > MAX_BYTES):
            path.unlink(missing_ok=True)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold a lock that other processes respect; on Windows, which has no flock, none is held."""
    with open(path, "a") as file:
        with suppress(ImportError):
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX)
        yield
