"""What `torchproof lock` and ``python -m torchproof.contracts`` do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Optional

from torchproof.contracts.compare import IDENTICAL, Comparison
from torchproof.contracts.source import read_lock
from torchproof.contracts.target import model_and_example
from torchproof.errors import HostError, UsageError


if TYPE_CHECKING:
    from pathlib import Path

    from torchproof.contracts.lock import Architecture


def make(target: str, lock: Path, *, schema_only: bool = False) -> str:
    """Write the lock of a model; one that says the same already is left as it is.

    Raises:
        UsageError: The model cannot be locked, or the file cannot be written.
    """
    now = _architecture(target, schema_only=schema_only)
    if lock.exists():
        found = read_lock(lock).compare(now)
        if found.verdict == IDENTICAL:
            return f"unchanged  {lock}"
    save(now, lock)
    return f"written  {lock}"


def check(target: str, lock: str, *, weights: Optional[Path] = None) -> Comparison:
    """Compare a model, and perhaps its checkpoint, with a lock.

    Raises:
        UsageError: The model cannot be compared, or a file is not what it should be.
    """
    from torchproof.contracts.safetensors import compare_file

    wanted = read_lock(lock)
    found = wanted.compare(_architecture(target, schema_only=bool(wanted.probe.why_not)))
    held = compare_file(weights, wanted) if weights else found
    return held if held.breaks and not found.breaks else found


def document(found: Comparison) -> dict[str, Any]:
    """Return what ``--json`` prints of a comparison."""
    return {"passed": not found.breaks, "verdict": found.verdict, "words": list(found.words)}


def save(architecture: Architecture, lock: Path) -> None:
    """Write a lock, and the directory it lies in.

    Raises:
        UsageError: It cannot be written.
    """
    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
        lock.write_text(architecture.to_json(), "utf-8")
    except OSError as error:
        what = f"the lock cannot be written: {error.strerror}"
        raise UsageError(what, "Name another path.", where=str(lock)) from error


def _architecture(target: str, *, schema_only: bool) -> Architecture:
    try:
        from torchproof.contracts.architecture import architecture
    except ModuleNotFoundError as error:
        what = f"{error.name} is not installed in this environment"
        raise HostError(what, "Run this where the service's model can be built.") from error
    model, example = model_and_example(target)
    return architecture(model, example, schema_only=schema_only)
