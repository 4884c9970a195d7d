"""A cheap contract of data: what is wrong with a split, or between two.

Everything is decided exactly; two rows are duplicates when their bytes are equal. What is found is
a warning, as a data set may be meant to be so; what the team itself promised with ``expect`` and
does not hold is an error.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any, Optional

from torchproof.data.split import MAX_NAMED, Split, named
from torchproof.errors import UsageError


if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

EXPECTATIONS = ("shape", "dtype", "range", "labels")


@dataclass(frozen=True)
class Breach:
    """Something wrong with a split or between two; the fields are a finding's."""

    rule: str
    severity: str
    message: str
    evidence: Mapping[str, Any]
    remedy: str
    location: Optional[str] = None


def breaches(parts: Sequence[Split], expect: Mapping[str, Any]) -> list[Breach]:
    """Return what is wrong with the splits.

    Args:
        parts: All splits of a data set.
        expect: What the team promises of each, by the names in `EXPECTATIONS`.

    Raises:
        UsageError: An expectation has another name.
    """
    unknown = next((name for name in expect if name not in EXPECTATIONS), None)
    if unknown is not None:
        what = f"{unknown!r:.40} cannot be expected of data"
        raise UsageError(what, f"Known: {', '.join(EXPECTATIONS)}.")
    found = [breach for part in parts for breach in (*_promised(part, expect), *_odd(part))]
    for one, other in combinations(parts, 2):
        found += [*_shared(one, other), *_unlike(one, other)]
    return found + list(_unseen(parts))


def _shared(one: Split, other: Split) -> Iterable[Breach]:
    first = {digest: at for at, digest in reversed(list(enumerate(one.digests)))}
    both = [(first[digest], at) for at, digest in enumerate(other.digests) if digest in first]
    if both:
        yield Breach(
            "data-duplicates-between-splits",
            "warning",
            f"{len(both)} of {other.rows} rows of {other.name} are also in {one.name}",
            {f"rows of {one.name} and {other.name}": [list(pair) for pair in both[:MAX_NAMED]]},
            "Split by unique rows, or by the group they belong to, before anything else.",
        )


def _unlike(one: Split, other: Split) -> Iterable[Breach]:
    if (one.shape, one.dtype) != (other.shape, other.dtype):
        yield Breach(
            "data-splits-differ",
            "warning",
            f"rows of {one.name} and {other.name} differ in shape or dtype",
            {part.name: f"{part.dtype} {list(part.shape)}" for part in (one, other)},
            "Prepare all splits by the same function.",
        )


def _unseen(parts: Sequence[Split]) -> Iterable[Breach]:
    """Compare each split's labels with those of the first, which is the training split."""
    for part in parts[1:]:
        new = sorted(set(part.labels) - set(parts[0].labels)) if parts[0].labels else []
        if new:
            yield Breach(
                "data-unseen-label",
                "warning",
                f"{part.name} has labels that {parts[0].name} never shows: {named(new)}",
                {"labels": new[:MAX_NAMED]},
                "Split so that every label is in the first split, or leave those rows out.",
            )


def _odd(part: Split) -> Iterable[Breach]:
    if part.odd:
        yield Breach(
            "data-not-finite",
            "warning",
            f"{part.odd} values of {part.name} are NaN or infinite",
            {"values": part.odd},
            "Fill or drop them where the data is prepared.",
        )


def _promised(part: Split, expect: Mapping[str, Any]) -> Iterable[Breach]:
    seen = {
        "shape": list(part.shape),
        "dtype": part.dtype,
        "range": [part.low, part.high],
        "labels": sorted(part.labels),
    }
    for name, wanted in expect.items():
        if not _holds(part, name, wanted):
            told, verb = (_labels(wanted), "are") if name == "labels" else (wanted, "is")
            yield Breach(
                "data-contract",
                "error",
                f"the {name} of {part.name} {verb} {named(seen[name])}, not {named(told)}",
                {"expected": str(told)[:200], "found": str(seen[name])[:200]},
                "Correct the data, or the expectation if the data is meant to be so.",
            )


def _holds(part: Split, name: str, wanted: Any) -> bool:
    if name == "shape":
        return part.shape == tuple(wanted)
    if name == "dtype":
        return part.dtype == str(wanted).replace("torch.", "")
    if name == "labels":
        return sorted(part.labels) == _labels(wanted)
    low, high = wanted
    if part.low is None or part.high is None or part.odd:
        return False
    return bool(low <= part.low and part.high <= high)


def _labels(wanted: Iterable[Any]) -> list[str]:
    return sorted({str(label) for label in wanted})
