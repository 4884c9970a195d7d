"""Two architectures compared: one verdict of six, and sentences that say what differs.

======================  ========================================================================
verdict                 means
======================  ========================================================================
incompatible            weights differ in name or shape: a checkpoint does not load
renamed                 the same weights under other names: a key map makes a checkpoint load
function changed        a checkpoint loads without a word and gives other answers
train-only              the same answers; training differs, or weights that nothing reads
no difference on probes the same answers in every case; operations differ, or were not compared
identical               nothing differs
======================  ========================================================================
"""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple, Optional

from torchproof.contracts.explain import (
    casts,
    constants_differ,
    counted,
    entries_differ,
    lookups_differ,
    operations_anywhere,
    operations_differ,
    str_of,
    ties_differ,
    training_differs,
)
from torchproof.errors import UsageError


if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from torchproof.contracts.lock import Architecture
    from torchproof.contracts.model import Answer, Case, Entry

INCOMPATIBLE = "incompatible"
RENAMED = "renamed"
CHANGED = "function changed"
TRAIN_ONLY = "train-only"
NO_DIFFERENCE = "no difference on probes"
IDENTICAL = "identical"
VERDICTS = (INCOMPATIBLE, RENAMED, CHANGED, TRAIN_ONLY, NO_DIFFERENCE, IDENTICAL)
BREAKING = (INCOMPATIBLE, RENAMED, CHANGED)
RAISES = "it raises"
MOST_OPERATIONS = 6


class Comparison(NamedTuple):
    """A verdict of `VERDICTS` and the sentences that go with it, most telling first."""

    verdict: str
    words: tuple[str, ...]

    @property
    def breaks(self) -> bool:
        """True where the one cannot stand in for the other at inference."""
        return self.verdict in BREAKING

    def __str__(self) -> str:
        return "\n  ".join([f"{self.verdict}: {self.words[0]}", *self.words[1:]])


def compare(before: Architecture, now: Architecture) -> Comparison:
    """Compare what was locked with what is there now.

    Raises:
        UsageError: They were probed with inputs of different form, so that answers say nothing.
    """
    weights = entries_differ(before.entries, now.entries)
    probed = not (before.probe.why_not or now.probe.why_not)
    comparable = probed and before.probe.inputs == now.probe.inputs
    changed = _changed(before, now) if comparable else ties_differ(before, now)
    lookups = lookups_differ(before.probe.inputs, now.probe.inputs)
    if weights and not (comparable and not changed and _only_more(before, now)):
        return _not_loadable(before, now, weights)
    if probed and not comparable and not lookups:
        raise UsageError(*_other_inputs(before, now))
    operations = operations_differ(before, now) if _same_torch(before, now) else []
    if changed or lookups:
        words = [*operations[:MOST_OPERATIONS], *changed, *lookups]
        return Comparison(CHANGED, tuple(words))
    if weights:
        unread = "The answers need none of them, but strict loading refuses."
        return Comparison(TRAIN_ONLY, (*weights, unread))
    return _same_answers(before, now, operations)


def difference(before: Mapping[str, Answer], now: Mapping[str, Answer]) -> float:
    """Return the largest difference, relative to the largest element of its output.

    Infinite where outputs, shapes or the number of elements that are not finite differ.
    """
    if before.keys() != now.keys():
        return math.inf
    return max((_apart(before[name], now[name]) for name in before), default=0.0)


def _apart(before: Answer, now: Answer) -> float:
    if (before.shape, before.odd) != (now.shape, now.odd):
        return math.inf
    largest = max(before.largest, now.largest)
    if not largest:
        return 0.0
    pairs = zip((*before.values, *before.sums), (*now.values, *now.sums))
    return max((abs(one - other) / largest for one, other in pairs), default=0.0)


def compare_weights(held: tuple[Entry, ...], wanted: Architecture) -> Comparison:
    """Compare what a checkpoint holds with what an architecture loads, by names and shapes.

    Of weights that are one tensor a checkpoint may hold only one.
    """
    names = {one.name for one in held}
    stored = {one for group in wanted.tied if names & {*group} for one in group} - names
    needed = tuple(one for one in wanted.entries if one.name not in stored)
    words = entries_differ(held, needed)
    if not words:
        cast = casts(held, needed)
        return Comparison(NO_DIFFERENCE, ("names and shapes of the weights are the same", *cast))
    if Counter(one[1:3] for one in held) == Counter(one[1:3] for one in needed):
        pairs = [f"{old} → {new}" for old, new in key_map(held, needed).items()]
        return Comparison(RENAMED, (counted(pairs), "Map the keys before loading."))
    return Comparison(INCOMPATIBLE, tuple(words))


def key_map(before: Iterable[Entry], now: Iterable[Entry]) -> dict[str, str]:
    """Return the new name of each renamed weight: in order, of those with its shape and dtype."""
    before, now = tuple(before), tuple(now)
    kept = {one.name for one in before} & {one.name for one in now}
    waiting: dict[object, list[str]] = {}
    for one in now:
        if one.name not in kept:
            waiting.setdefault((one.shape, one.dtype), []).append(one.name)
    gone = [(one.name, (one.shape, one.dtype)) for one in before if one.name not in kept]
    return {name: waiting[form].pop(0) for name, form in gone if waiting.get(form)}


def _not_loadable(before: Architecture, now: Architecture, weights: list[str]) -> Comparison:
    forms = [Counter((one.shape, one.dtype) for one in each.entries) for each in (before, now)]
    if forms[0] == forms[1] and operations_anywhere(before) == operations_anywhere(now):
        pairs = [f"{old} → {new}" for old, new in key_map(before.entries, now.entries).items()]
        return Comparison(RENAMED, (counted(pairs), "Map the keys before loading."))
    return Comparison(INCOMPATIBLE, tuple(weights))


def _only_more(before: Architecture, now: Architecture) -> bool:
    """Return True if one has all weights of the other, in the same shapes."""
    old, new = ({one[:3] for one in each.entries} for each in (before, now))
    return old <= new or new <= old


def _changed(before: Architecture, now: Architecture) -> list[str]:
    """Say what makes the function another one, most telling first."""
    tolerance = max(before.probe.tolerance, now.probe.tolerance)
    known = {(case.size, case.inputs, case.weights): case for case in now.probe.cases}
    pairs = [
        (case, known.get((case.size, case.inputs, case.weights))) for case in before.probe.cases
    ]
    sizes = [(_apart_in(one, other), one) for one, other in pairs if other]
    differing = [(size, case) for size, case in sizes if size > tolerance]
    words = [] if not differing else [_how_far(differing), *constants_differ(before, now)]
    return [*ties_differ(before, now), *words, *_raises(before, now, pairs)]


def _apart_in(before: Case, now: Case) -> float:
    if before.answers is None or now.answers is None:
        return 0.0
    return difference(before.answers, now.answers)


def _how_far(differing: list[tuple[float, Case]]) -> str:
    size, case = differing[0]
    largest, where = max(differing, key=lambda each: each[0])
    words = f"answers differ by {_times(size)} at {case}"
    return words + (f", by {_times(largest)} at {where}" if largest > size else "")


def _times(size: float) -> str:
    return "their whole shape" if math.isinf(size) else f"{size:.2g} of their size"


def _raises(
    before: Architecture, now: Architecture, pairs: list[tuple[Case, Optional[Case]]]
) -> list[str]:
    """Say what was answered and raises now."""
    words = [
        f"{other.left_out} at {other}"
        for one, other in pairs
        if other and one.answers is not None and other.left_out.startswith(RAISES)
    ]
    took = {case.size for case in before.probe.cases} & set(now.probe.refused)
    return [*words, *(f"it does not take inputs of {size} any more" for size in sorted(took))]


def _same_answers(before: Architecture, now: Architecture, operations: list[str]) -> Comparison:
    count = sum(case.answers is not None for case in now.probe.cases)
    why = before.probe.why_not or now.probe.why_not
    training = training_differs(before, now)
    if training:
        return Comparison(TRAIN_ONLY, tuple(training))
    if why:
        return Comparison(NO_DIFFERENCE, (f"schema only, nothing was probed: {why}",))
    same = f"the answers are the same in {count} cases"
    others = [*operations, *constants_differ(before, now)]
    if not _same_torch(before, now) and before.operations != now.operations:
        others.append(f"operations were not compared: torch {before.torch} → {now.torch}")
    if others:
        return Comparison(NO_DIFFERENCE, (same, *others))
    return Comparison(IDENTICAL, (same,))


def _same_torch(before: Architecture, now: Architecture) -> bool:
    return before.torch == now.torch


def _other_inputs(before: Architecture, now: Architecture) -> tuple[str, str]:
    old = [str_of(one) for one in before.probe.inputs if one not in now.probe.inputs]
    new = [str_of(one) for one in now.probe.inputs if one not in before.probe.inputs]
    what = f"the examples differ: {counted(old) or 'less'} against {counted(new) or 'less'}"
    return what, "Give the example that the lock was made with, or make the lock again."
