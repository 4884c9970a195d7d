"""Labels that act on a prediction in whose inputs their own row has no part.

Both sides are found by experiments: the rows whose inputs make a prediction, and those whose labels
act on its gradient. A step that mixes rows, or whose loss knows the whole batch, has more rows on
both sides, and the row's own among them.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, Callable, NamedTuple, Optional

import torch

from torchproof.proofs.batches import another_row, parted
from torchproof.proofs.prediction.pairing import label_changes, reach, told, told_part
from torchproof.proofs.rule import Skip


if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from torchproof.proofs.bench import Bench
    from torchproof.proofs.prediction.pairing import Mask, Reach

    Places = Mapping[int, Mask]
    Test = Callable[[list[int]], bool]

_JUDGED = len(("first", "last"))
# As many labels are tried in place of one before it is said to act nowhere: whether two rows are of
# one class, or which is the larger, may stay the same with some of them.
_TRIED = 8
# A permutation leaves one row where it is, on average; where rows are mixed, some more are judged.
_MORE = 3


class Crossed(NamedTuple):
    """A place of an output, the rows whose inputs make it, and one whose label is in their way.

    ``place`` counts along the first axis of the output.
    """

    place: int
    inputs: list[int]
    label: int


def crossing(bench: Bench) -> Optional[Crossed]:
    """Find a prediction of other rows that is given a label in place of their own.

    Raises:
        Skip: There are no labels, they are all alike, the step does not run on others, or no
            row's inputs change what a label acts on.
    """
    bench.once(label_changes)
    return _first(
        lambda name: _Labels(bench, name).crossing(),
        ((each,) for each in parted(bench.trainee).labels),
    )


class _Labels:
    """One tensor of labels, and the experiments with it."""

    def __init__(self, bench: Bench, name: str) -> None:
        whole = parted(bench.trainee)
        self._bench, self._name, self._alone = bench, name, len(whole.labels) == 1
        self._labels = {name: whole.labels[name]}
        self._rows = list(range(whole.rows))
        self._has_parts = whole.labels[name].numel() > len(whole.labels[name])
        self._is_mixed = False

    def crossing(self) -> Optional[Crossed]:
        found = _first(self._crossed, self._acting().items())
        if found is not None:
            return found
        for row in (self._rows[0], self._rows[-1]) if self._has_parts else ():
            with suppress(Skip):
                found = self._crossed(row, self._told_last(row))
                if found is not None:
                    return found
        more = self._rows[1:-1][:_MORE] if self._is_mixed else []
        judged = (self._crossed(row, self._told([row])) for row in more)
        return next((found for found in judged if found is not None), None)

    def _acting(self) -> dict[int, Places]:
        """Return what the labels of two rows act on; fewer if so few labels act."""
        known = {row: self._told([row]) for row in (self._rows[0], self._rows[-1])}
        found = {row: each for row, each in known.items() if _any(each)}
        rest = [row for row in self._rows if row not in known]
        if len(found) < _JUDGED:
            rest = _row_that(rest, lambda some: _any(self._told(some)))
            found.update({row: self._told([row]) for row in rest})
        return found

    def _crossed(self, row: int, met: Places) -> Optional[Crossed]:
        """Judge what the label of one row acts on."""
        own = reach(self._bench, [row])
        if _meet(met, own.outputs):
            return self._mixed_with_others(row, met, own)
        rest = [each for each in self._rows if each != row]
        makers = _rows_that(rest, lambda some: _meet(met, reach(self._bench, some).outputs))
        if not makers:
            raise Skip("the rows cannot be told apart in the outputs")
        if self._coupled(met, makers) or any(self._acts(each, row, met) for each in makers):
            return None
        place = next(mask.nonzero()[0, 0] for mask in met.values() if mask.any())
        return Crossed(int(place), makers, row)

    def _mixed_with_others(self, row: int, met: Places, own: Reach) -> Optional[Crossed]:
        """Find arguments that are made of some rows while their labels are those of others."""
        for index, mixed in own.arguments.items():
            self._is_mixed |= len(mixed) > 1
            places = _places(met[index])
            strange = places - mixed
            if strange and strange < places and len(places) <= len(mixed):
                return self._mixture(row, index, min(strange))
        return None

    def _mixture(self, row: int, index: int, place: int) -> Optional[Crossed]:
        """Judge the rows that are mixed in one place of one call, of inputs and of labels."""
        inputs = _rows_that(
            self._rows, lambda some: place in reach(self._bench, some).arguments[index]
        )
        labels = _rows_that(self._rows, lambda some: place in _places(self._told(some)[index]))
        if not inputs or row in inputs or len(labels) > len(inputs):
            return None
        region = torch.zeros_like(self._told([row])[index])
        region[place] = True
        both = all(self._acts(each, row, {index: region}) for each in inputs)
        return None if both else Crossed(place, inputs, row)

    def _coupled(self, met: Places, makers: list[int]) -> bool:
        """Tell whether several rows make one element that is met."""
        if len(makers) == 1:
            return False
        seen = [reach(self._bench, [row]).outputs for row in makers]
        return any(
            bool((torch.stack([each[index][mask] for each in seen]).sum(0) > 1).any())
            for index, mask in met.items()
            if mask.any()
        )

    def _acts(self, maker: int, row: int, met: Places) -> bool:
        """Tell whether the label of the row that makes a prediction acts on it as well."""
        (labels,) = self._labels.values()
        others = [row, *(each for each in self._rows if each != row)]
        differ = [each for each in others if not torch.equal(labels[maker], labels[each])]
        tried = (told(self._bench, {maker: each}, self._name) for each in differ[:_TRIED])
        return any(_meet(met, each) for each in tried)

    def _told_last(self, row: int) -> Places:
        """Return what the last of a row's labels acts on, overwritten by that of another row."""
        (labels,) = self._labels.values()
        last = labels.reshape(len(labels), -1)[:, -1]
        differ = (last != last[row]).nonzero().flatten().tolist()
        return told_part(self._bench, row, differ[0], self._name) if differ else {}

    def _told(self, rows: list[int]) -> Places:
        """Return what the labels of some rows act on, each overwritten by another."""
        for each in self._bench.once(label_changes) if self._alone else []:
            if [each.row] == rows:
                return each.told
        found = {row: another_row(self._labels, row, len(self._rows)) for row in rows}
        others = {row: other for row, other in found.items() if other is not None}
        return told(self._bench, others, self._name) if others else {}


def _first(judge: Callable[..., Optional[Crossed]], cases: Iterable[Any]) -> Optional[Crossed]:
    """Return what is found in the first case that has it.

    Raises:
        Skip: None has it, and some case cannot be judged.
    """
    unclear: list[Skip] = []
    for case in cases:
        try:
            found = judge(*case)
        except Skip as why:
            unclear.append(why)
            continue
        if found is not None:
            return found
    if unclear:
        raise unclear[0]
    return None


def _rows_that(rows: list[int], test: Test) -> list[int]:
    """Return the rows for which a test holds, by halving; it holds for rows if for one of them."""
    if not rows or not test(rows):
        return []
    if len(rows) == 1:
        return rows
    half = len(rows) // 2
    return _rows_that(rows[:half], test) + _rows_that(rows[half:], test)


def _row_that(rows: list[int], test: Test) -> list[int]:
    """Return one row for which a test holds, if there is one."""
    if not rows or not test(rows):
        return []
    while len(rows) > 1:
        half = len(rows) // 2
        rows = rows[:half] if test(rows[:half]) else rows[half:]
    return rows


def _any(places: Places) -> bool:
    return any(bool(mask.any()) for mask in places.values())


def _meet(first: Places, second: Places) -> bool:
    return any(bool((first[index] & second[index]).any()) for index in first if index in second)


def _places(mask: Mask) -> set[int]:
    """Return the places along the first axis."""
    return set(mask.reshape(len(mask), -1).any(1).nonzero().flatten().tolist())
