"""The three kinds of behaviour test, each a decision about every input.

==== ========================= =========================================================
kind an input passes when      what ``expect`` may be
==== ========================= =========================================================
MFT  its answer is the one     a list of answers, one answer for all, or a function
     that is expected          ``(input, answer) -> bool``
INV  a change that must not    the changed inputs, or a function that changes one input;
     matter leaves its answer  nothing where ``inputs`` are pairs or ``perturb`` is given
DIR  a change moves its answer ``"increase"``, ``"decrease"`` or a function
     the right way             ``(before, after) -> bool``
==== ========================= =========================================================
"""

from __future__ import annotations

from typing import Any, Callable, NamedTuple, Optional

from torchproof.behaviour.predictions import agree, answers, is_number, items, plain, words
from torchproof.errors import UsageError


KINDS = ("MFT", "INV", "DIR")
_PAIR = 2


class Answer(NamedTuple):
    """What the model made of one input, which is a pair where it was changed."""

    inputs: tuple[Any, ...]
    right: bool
    expected: str
    got: str


class Limits(NamedTuple):
    """How far numbers may be apart (INV, MFT), and how far they must and may move (DIR)."""

    within: float = 0.0
    at_least: Optional[float] = None
    at_most: Optional[float] = None


ANY = Limits()


def judge(
    kind: str,
    predict: Callable[[Any], Any],
    inputs: Any,
    expect: Any = None,
    *,
    perturb: Any = None,
    limits: Limits = ANY,
) -> list[Answer]:
    """Decide for every input whether the model answers as it should.

    Args:
        kind: One of `KINDS`.
        predict: Takes all inputs at once, returns one answer each.
        inputs: A list, or a tensor or array with one row an input; for INV and DIR also a list
            of pairs (before, after).
        expect: See the table above.
        perturb: For INV and DIR: changes one input, or the list of changed inputs.
        limits: Distances between numbers.

    Raises:
        UsageError: An argument cannot be used.
    """
    if kind not in KINDS:
        raise UsageError(f"kind is {kind!r:.40}", f"Give one of {', '.join(KINDS)}.")
    if kind == "MFT":
        return _minimum(predict, inputs, expect, limits)
    if kind == "INV" and perturb is None:
        perturb, expect = expect, None
    first, second = _pairs(inputs, perturb)
    like = inputs if perturb is not None else first
    before, after = answers(predict, first, like), answers(predict, second, like)
    decide = _invariance if kind == "INV" else _direction(expect)
    return [
        Answer((one, other), *decide(old, new, limits))
        for one, other, old, new in zip(first, second, before, after)
    ]


def _minimum(
    predict: Callable[[Any], Any], inputs: Any, expect: Any, limits: Limits
) -> list[Answer]:
    rows = items(inputs, "inputs")
    got = answers(predict, rows, inputs)
    if callable(expect):
        verdicts = [bool(expect(row, answer)) for row, answer in zip(rows, got)]
        name = getattr(expect, "__name__", "expect")
        said = [f"{'what expect accepts' if name == '<lambda>' else name}"] * len(rows)
    else:
        wanted = _wanted(expect, len(rows))
        verdicts = [agree(a, b, limits.within) for a, b in zip(wanted, got)]
        said = [words(each) for each in wanted]
    return [Answer((r,), v, s, words(g)) for r, v, s, g in zip(rows, verdicts, said, got)]


def _wanted(expect: Any, count: int) -> list[Any]:
    if expect is None:
        raise UsageError("an MFT has nothing to expect", "Give expect=, the right answers.")
    if isinstance(expect, (str, bool)) or is_number(expect):
        return [expect] * count
    wanted = [plain(each) for each in items(expect, "expect")]
    if len(wanted) != count:
        what = f"expect has {len(wanted)} answers for {count} inputs"
        raise UsageError(what, "Give one answer an input, or one for all.")
    return wanted


def _pairs(inputs: Any, perturb: Any) -> tuple[list[Any], list[Any]]:
    rows = items(inputs, "inputs")
    if callable(perturb):
        return rows, [perturb(row) for row in rows]
    if perturb is not None:
        changed = items(perturb, "the changed inputs")
        if len(changed) != len(rows):
            what = f"there are {len(changed)} changed inputs for {len(rows)} inputs"
            raise UsageError(what, "Give one for each, in the same order.")
        return rows, changed
    if not all(isinstance(row, (list, tuple)) and len(row) == _PAIR for row in rows):
        what = "it is not said how the inputs change"
        raise UsageError(what, "Give perturb=, a function of one input, or pairs as inputs.")
    return [row[0] for row in rows], [row[1] for row in rows]


def _invariance(before: Any, after: Any, limits: Limits) -> tuple[bool, str, str]:
    apart = f" ± {limits.within:g}" if limits.within else ""
    return agree(before, after, limits.within), f"{words(before)}{apart}", words(after)


def _direction(expect: Any) -> Callable[[Any, Any, Limits], tuple[bool, str, str]]:
    if not callable(expect) and expect not in ("increase", "decrease"):
        what = f"expect is {expect!r:.40}"
        raise UsageError(what, 'A DIR expects "increase", "decrease" or (before, after) -> bool.')

    def decide(before: Any, after: Any, limits: Limits) -> tuple[bool, str, str]:
        got = f"{words(before)} → {words(after)}"
        if callable(expect):
            return bool(expect(before, after)), getattr(expect, "__name__", "expect"), got
        if not (is_number(before) and is_number(after)):
            what = f"an answer is {words(before)!r:.60}, which has no direction"
            raise UsageError(what, "Let predict return a number, such as a class's probability.")
        moved = (after - before) if expect == "increase" else (before - after)
        return _far_enough(moved, limits), _span(expect, limits), got

    return decide


def _far_enough(moved: float, limits: Limits) -> bool:
    # Written so that a change that is not a number is never far enough.
    enough = moved > 0 if limits.at_least is None else moved >= limits.at_least
    return enough and (limits.at_most is None or moved <= limits.at_most)


def _span(way: str, limits: Limits) -> str:
    least = "" if limits.at_least is None else f" by at least {limits.at_least:g}"
    most = "" if limits.at_most is None else f" by at most {limits.at_most:g}"
    return f"{way}{least}{' and' if least and most else ''}{most}"
