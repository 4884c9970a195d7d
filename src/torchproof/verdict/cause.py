"""Because of what: what differs between a head and its baseline, likeliest first.

Where the trajectories of training on named random streams are equal bit by bit, nothing that
training depends on has changed and code comes last; where they differ in the same environment, code
is proven to reach training and comes first. Without them the order is that of how directly a
difference reaches a result: the network itself, data, code beside tests and documents, the
environment, the machine. A seed explains noise only.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from torchproof.verdict.comparable import fact
from torchproof.verdict.unchanged import is_fingerprint


if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from torchproof.record import Record

Kind = Literal["code", "architecture", "data", "environment", "hardware", "seed"]
_ORDER: tuple[Kind, ...] = ("architecture", "data", "code", "environment", "hardware", "seed")
_TRAINING = "training"

_TEST = re.compile(r"(^|/)(tests?/|test_[^/]*\.py$|[^/]*_test\.py$|conftest\.py$)")
_DOCUMENT = re.compile(r"(^|/)docs?/|\.(md|rst|txt)$|(^|/)(LICENSE|CITATION)[^/]*$|^\.github/")
_CODE = re.compile(r"\.(py|pyx|cu|cuh|cpp|cc|c|h|so|pt2?|sh|ipynb)$")


@dataclass(frozen=True, kw_only=True)
class Cause:
    """One kind of difference.

    Attributes:
        kind: What differs.
        items: The differences, as ``numpy 2.3 → 2.4`` or a path; hostile.
        proven: Only for code: whether training is known to depend on it (True), known not to
            (False), or neither (None).
    """

    kind: Kind
    items: tuple[str, ...]
    proven: bool | None = None


def cause(
    head: Sequence[Record], base: Sequence[Record], changed_files: Sequence[str] | None
) -> tuple[Cause, ...]:
    """Return what differs, likeliest cause first.

    Args:
        head: The runs that were judged, and their fingerprint records.
        base: The baseline's.
        changed_files: Paths that differ between the two commits; None where nobody knows.
    """
    now, before = ([run for run in runs if not is_fingerprint(run)] for runs in (head, base))
    kinds: tuple[Kind, ...] = ("architecture", "data", "environment", "hardware")
    facts = {kind: _differences(now, before, kind) for kind in kinds}
    facts["seed"] = _seeds(now, before)
    found = [Cause(kind=kind, items=items) for kind, items in facts.items() if items]
    if changed_files:
        same_place = not any(facts[kind] for kind in kinds[1:])
        proven = _reaches_training(head, base, same_place=same_place)
        found.append(Cause(kind="code", items=_telling_first(changed_files), proven=proven))
    return tuple(sorted(found, key=_rank))


def is_code(path: str) -> bool:
    """Say whether a file may change what training does: no test, no document, no other text."""
    return bool(_CODE.search(path)) and not _TEST.search(path) and not _DOCUMENT.search(path)


def _rank(found: Cause) -> float:
    place = float(_ORDER.index(found.kind))
    if found.kind != "code":
        return place
    if found.proven is not None:
        return -1.0 if found.proven else len(_ORDER)
    return place if any(map(is_code, found.items)) else _ORDER.index("seed") - 0.5


def _telling_first(paths: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(paths, key=lambda path: (not is_code(path), bool(_TEST.search(path)))))


def _reaches_training(
    head: Sequence[Record], base: Sequence[Record], *, same_place: bool
) -> bool | None:
    """Say what the trajectories prove; None without a trainee that both sides have."""
    now, before = _facts(head, _TRAINING), _facts(base, _TRAINING)
    both = set(now) & set(before)
    if not both:
        return None
    if all(now[name] == before[name] for name in both):
        return False
    return True if same_place else None


def _differences(head: Sequence[Record], base: Sequence[Record], kind: Kind) -> tuple[str, ...]:
    now, before = _facts(head, kind), _facts(base, kind)
    if not now or not before:
        return ()
    return tuple(
        f"{name} {_spell(before.get(name))} → {_spell(now.get(name))}"
        for name in dict.fromkeys([*now, *before])
        if now.get(name) != before.get(name)
    )


def _facts(records: Sequence[Record], kind: str) -> Mapping[str, frozenset[str]]:
    """Return all values of each fact, those of tiers that both sides may have apart."""
    found: dict[str, set[str]] = defaultdict(set)
    for record in records:
        for name in record.fingerprint.get(kind, {}):
            found[name].add(fact(record, kind, name))
    return {name: frozenset(values) for name, values in found.items()}


def _spell(values: frozenset[str] | None) -> str:
    """Write a fact's values; of a digest the start will do."""
    return ", ".join(value[:40] for value in sorted(values)) if values else "none"


def _seeds(head: Sequence[Record], base: Sequence[Record]) -> tuple[str, ...]:
    now, before = ({record.seed for record in runs} for runs in (head, base))
    if not now or not before or now & before:
        return ()
    first, second = (", ".join(map(str, sorted(seeds))) for seeds in (before, now))
    return (f"{first} → {second}",)
