"""How each edit is judged, as rows and as counts."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from benchmarks.architectures.edits import FUNCTION, SPELLING, TRAINING, Edit

import torchproof


if TYPE_CHECKING:
    from collections.abc import Iterable

    from torchproof.contracts import Comparison

_RIGHT = {
    FUNCTION: {"incompatible", "renamed", "function changed"},
    TRAINING: {"train-only", "identical", "no difference on probes"},
    SPELLING: {"identical", "no difference on probes", "train-only"},
}


class Judged(NamedTuple):
    """An edit and the verdict on it."""

    edit: Edit
    found: Comparison

    @property
    def right(self) -> bool:
        """True if an edit of the function breaks the contract, and no other does."""
        return self.found.verdict in _RIGHT[self.edit.kind]


def judge(edits: Iterable[Edit]) -> list[Judged]:
    """Take both architectures of each edit and compare them."""
    return [
        Judged(
            edit,
            torchproof.architecture(edit.before(), edit.example).compare(
                torchproof.architecture(edit.after(), edit.example)
            ),
        )
        for edit in edits
    ]


def quick(edits: Iterable[Edit]) -> list[Edit]:
    """Keep one edit of each kind and family."""
    kept = {(edit.kind, edit.name.partition(" ")[0]): edit for edit in edits}
    return list(kept.values())


def row(one: Judged) -> str:
    """Write an edit in one line."""
    mark = " " if one.right else "!"
    return f"{mark} {one.edit.kind:9} {one.edit.name:42} {one.found.verdict}: {one.found.words[0]}"


def counts(judged: Iterable[Judged]) -> dict[str, tuple[int, int]]:
    """Return for each kind how many broke the contract, and how many there are."""
    found: dict[str, tuple[int, int]] = {}
    for one in judged:
        broke, count = found.get(one.edit.kind, (0, 0))
        found[one.edit.kind] = (broke + one.found.breaks, count + 1)
    return found
