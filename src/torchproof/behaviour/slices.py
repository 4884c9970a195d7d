"""Slices: which inputs belong to which subgroup."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torchproof.behaviour.predictions import items, plain, words
from torchproof.errors import UsageError


if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_SLICES = 50


def members(slices: Mapping[str, Any], count: int) -> dict[str, list[int]]:
    """Return the positions of each slice's inputs.

    Args:
        slices: By name: a mask (one bool an input) makes one slice; labels (one an input) make
            one for each label, called ``name=label``.
        count: How many inputs there are.

    Raises:
        UsageError: A slice has another length, no input, or there are too many.
    """
    found: dict[str, list[int]] = {}
    for name, given in slices.items():
        labels = [plain(each) for each in items(given, f"the slice {name}")]
        if len(labels) != count:
            what = f"the slice {name} has {len(labels)} entries for {count} inputs"
            raise UsageError(what, "Give one bool or one label for each input.")
        found.update(_by_label(name, labels))
    empty = next((name for name, positions in found.items() if not positions), None)
    if empty is not None:
        raise UsageError(f"the slice {empty} holds no input", "Leave it out, or add inputs to it.")
    if len(found) > MAX_SLICES:
        what = f"there are {len(found)} slices"
        raise UsageError(what, f"Give at most {MAX_SLICES}; a slice of few inputs says little.")
    return found


def _by_label(name: str, labels: list[Any]) -> dict[str, list[int]]:
    if all(isinstance(label, bool) for label in labels):
        return {name: [at for at, inside in enumerate(labels) if inside]}
    found: dict[str, list[int]] = {}
    for at, label in enumerate(labels):
        found.setdefault(f"{name}={words(label)}", []).append(at)
    return found
