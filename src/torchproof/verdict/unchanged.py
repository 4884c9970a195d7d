"""Whether a tier's training is unchanged, to the bit, so that a GPU run could show nothing new.

A fingerprint record is made on a CPU and judges nothing: for each test that trains it holds what
the first steps were, and for each that asks for a trained model what that is made from
(`torchproof.testing.fingerprinting`). The tier is unchanged where every test
of it left the fingerprint that the baseline's left, in the same environment and on the same data,
and the baseline's stored run passed; then that run stands in for the head's. Whatever is missing or
cannot be read is a reason to run. Bits may differ between processors: then the gate does not hold,
and costs the run that would have been made without it.

Assumed: a training that begins with the same bits on a CPU goes on as before, and on a GPU too,
where the code says of GPUs what it said before. A model that is trained from the same code,
configuration, data and seed, in the same environment, is the same model; what else its training
reads, such as a file that it opens itself, is not seen.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from torchproof.settings import FINGERPRINT


if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from torchproof.record import Record

# A test of which all is known, and one that does more than train a trainee.
_WHOLE, _PART = "trainee", "test"
_STEPS, _FROM = r" [0-9a-f]{8}(?:,[0-9a-f]{8})*", r" from:[0-9a-f]{8}"
_VALUE = re.compile(rf"({_WHOLE}|{_PART}) ([0-9a-f]{{32}})(?=.)((?:{_STEPS})*)((?:{_FROM})*)")


@dataclass(frozen=True, kw_only=True)
class Unchanged:
    """The answer for one tier.

    Attributes:
        tier: The tier.
        holds: True where training is unchanged.
        why: The reason either way, in our words.
        test: The first test that the reason is about; hostile.
    """

    tier: str
    holds: bool
    why: str
    test: str = ""


class _Training(NamedTuple):
    """What a test's fingerprint says: of all it does or of a part, the digest, each step's.

    ``models`` says of each trained model what it is made from.
    """

    whole: bool
    digest: str
    trainees: tuple[tuple[str, ...], ...]
    models: tuple[str, ...]


def unchanged(
    tier: str, head: Sequence[Record], base: Sequence[Record], stored: Sequence[Record]
) -> Unchanged:
    """Compare a tier's fingerprints with the baseline's.

    Args:
        tier: The tier.
        head: The head's fingerprint records of the tier; the last one counts.
        base: The baseline's.
        stored: The baseline's runs of the tier, whose results would stand in for the head's.
    """
    if not stored or not all(record.passed for record in stored):
        return Unchanged(tier=tier, holds=False, why="the baseline has no passed run")
    for side, records in (("this commit", head), ("the baseline", base)):
        why, test = incomplete(records)
        if why:
            return Unchanged(tier=tier, holds=False, why=f"{why} on {side}", test=test)
    why, test = _difference(head[-1], base[-1], stored)
    same = _same(_trainings(head[-1]).values())
    return Unchanged(tier=tier, holds=not why, why=why or same, test=test)


def is_fingerprint(record: Record) -> bool:
    """Tell a tier's fingerprints from a run of it: they are no results, and are not judged."""
    return record.tier.endswith(FINGERPRINT)


def incomplete(records: Sequence[Record]) -> tuple[str, str]:
    """Say what the last fingerprint record lacks, and of which test; empty if it is whole."""
    if not records or records[-1].state != "complete" or not records[-1].outcomes:
        return "no fingerprints were taken", ""
    tests, trainings = _tests(records[-1:]), _trainings(records[-1])
    without = [test for test in sorted(tests) if test not in trainings]
    left = f"{len(without)} of {_count(len(tests), 'test')} left no fingerprint"
    return (left, without[0]) if without else ("", "")


def _difference(head: Record, base: Record, stored: Sequence[Record]) -> tuple[str, str]:
    """Say what differs first, and at which test; empty if nothing does."""
    if head.seed != base.seed:
        return "the seed is another", ""
    odd = sorted((_tests([head]) ^ _tests([base])) | (_tests([head]) ^ _tests(stored)))
    if odd:
        return "the tests are not those of the baseline", odd[0]
    for kind, what in (("environment", "the environment is another"), ("data", "the data changed")):
        if _facts(head, kind) != _facts(base, kind):
            return what, ""
    for test in sorted(_tests([head])):
        why = _change(head, base, test)
        if why:
            return why, test
    return "", ""


def _same(trainings: Iterable[_Training]) -> str:
    """Say in what all tests are the baseline's; a model that several tests ask for counts once."""
    trainees = [each for training in trainings for each in training.trainees]
    models = {each for training in trainings for each in training.models}
    steps = _count(max(map(len, trainees), default=0), "step")
    bits = f"over the first {steps} of {_count(len(trainees), 'trainee')}"
    made = f"in what makes {_count(len(models), 'trained model')}"
    parts = [text for text, there in ((bits, trainees), (made, models)) if there]
    return f"{'bit-' if trainees else ''}equal to the baseline {' and '.join(parts)}"


def _change(head: Record, base: Record, test: str) -> str:
    now, before = _trainings(head)[test], _trainings(base)[test]
    if now != before:
        other = _facts(head, "hardware").get("cpu") != _facts(base, "hardware").get("cpu")
        return _where(now, before) + (" (on another processor)" if other else "")
    return _other_code(head, base, test, whole=now.whole)


def _other_code(head: Record, base: Record, test: str, *, whole: bool) -> str:
    """Say which code that the bits do not vouch for is another, or not known."""
    reasons = (
        "the test itself changed",
        "what the code says of GPUs changed",
        "" if whole else "the code changed, and the test does more than train a trainee",
    )
    for now, before, reason in zip(_codes(head, test), _codes(base, test), reasons, strict=True):
        if reason and (now != before or not now):
            return reason
    return ""


def _codes(record: Record, test: str) -> list[str]:
    """Read the three digests of a test's code; what is missing is empty."""
    return [*_facts(record, "code").get(test, "").split(" "), "", "", ""][:3]


def _where(now: _Training, before: _Training) -> str:
    """Name the first step at which two trainings part."""
    if _shape(now) != _shape(before):
        return "the test trains something else"
    steps = [
        place
        for first, second in zip(now.trainees, before.trainees, strict=True)
        for place, pair in enumerate(zip(first, second, strict=True), start=1)
        if pair[0] != pair[1]
    ]
    if steps:
        return f"the trajectory differs from step {steps[0]} on"
    if now.models != before.models:
        return "the code or the configuration that a trained model is made from changed"
    return "what follows the first steps differs: settings, prediction or evaluation"


def _shape(training: _Training) -> tuple[list[int], int]:
    return [len(each) for each in training.trainees], len(training.models)


def _trainings(record: Record) -> Mapping[str, _Training]:
    """Read the fingerprints that have the right form."""
    found = {}
    for test, value in _facts(record, "training").items():
        match = _VALUE.fullmatch(value)
        if match:
            trainees = tuple(tuple(each.split(",")) for each in match[3].split())
            models = tuple(match[4].split())
            found[test] = _Training(match[1] == _WHOLE, match[2], trainees, models)
    return found


def _tests(records: Iterable[Record]) -> set[str]:
    return {outcome.test for record in records for outcome in record.outcomes}


def _facts(record: Record, kind: str) -> Mapping[str, str]:
    return record.fingerprint.get(kind, {})


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
