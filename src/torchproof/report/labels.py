"""How rows are named: as short as can be without two of them looking alike."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from torchproof.report.phrase import Name, Phrase
from torchproof.verdict import GATING


if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from torchproof.verdict import Row

_VERBS = {"failed": " fails", "worse": " is worse"}
_METRIC_ENDS = {end: f" is {end}" for end in ("nan", "inf", "-inf", "missing")}
_RUN_ENDS = {
    "timed out": "timed out",
    "cancelled": "was cancelled",
    "not run": "did not run",
    **{f"exit code {code}": f"ended with exit code {code}" for code in range(1, 5)},
    "exit code 5": "has no tests",
}
# What the test side writes: the rule of a lock, and the first words of a capability that fails.
_ARCHITECTURE = "architecture-changed"
_CAPABILITY = re.compile(
    r"torchproof: (?P<name>.+) \((?:MFT|INV|DIR)\): \d+ of \d+ inputs? fails?, (?P<rate>[\d.]+) %"
)


@dataclass(frozen=True)
class Labels:
    """The names in use: each test's, and the metrics that more than one test records."""

    tests: Mapping[str, str]
    shared: frozenset[str]


def labels(rows: Iterable[Row]) -> Labels:
    """Choose names: a test's own where it is unique, else with its file, else its whole id."""
    rows = tuple(rows)
    ids = dict.fromkeys(row.test for row in rows)
    forms: tuple[Callable[[str], str], ...] = (_own_name, _with_file, str)
    used = [Counter(form(test) for test in ids) for form in forms]
    names = {
        test: next(
            form(test) for form, count in zip(forms, used, strict=True) if count[form(test)] == 1
        )
        for test in ids
    }
    tests: dict[str, set[str]] = {}
    for row in rows:
        if row.kind == "metric":
            tests.setdefault(row.name, set()).add(row.test)
    return Labels(names, frozenset(name for name, where in tests.items() if len(where) > 1))


def label(row: Row, names: Labels) -> Phrase:
    """Name a row inside its tier: ``batch-independence in test_training``."""
    test = Name(names.tests.get(row.test, row.test))
    if row.kind == "run":
        return (Name(row.name),) if row.name != row.tier else ("the whole tier",)
    if row.kind == "test":
        return (test,)
    if row.kind == "metric" and row.name not in names.shared:
        return (Name(row.name),)
    if row.kind == "curve" and row.test.endswith(row.name):
        return "the loss of ", test
    return Name(row.name), " in ", test


def complaint(row: Row, names: Labels) -> Phrase:
    """Name a row that gates, and what is wrong with it where the name does not say so."""
    if row.kind == "metric":
        return (*label(row, names), _METRIC_ENDS.get(row.now, _VERBS.get(row.state, "")))
    if row.kind == "finding" and row.name == _ARCHITECTURE and row.message:
        return "the architecture ", Name(row.message)
    found = capability(row)
    if found:
        return "the capability ", Name(found["name"]), f" fails for {found['rate']} % of its inputs"
    if row.kind != "run" or row.state not in GATING:
        return label(row, names)
    if not row.tier:
        return ("nothing ran",)
    test = Name(names.tests.get(row.test, row.test))
    where = (" in ", test) if test else ()
    return "the tier ", Name(row.tier), f" {_RUN_ENDS.get(row.now, 'crashed')}", *where


def most_telling(rows: Iterable[Row]) -> tuple[list[Row], list[Row]]:
    """Part the rates of capabilities, where their test's own row says the same, from the rest."""
    rows = list(rows)
    failing = {row.test: found["name"] for row in rows if (found := capability(row))}
    first: list[Row] = []
    again: list[Row] = []
    for row in rows:
        said = f"behaviour/{failing[row.test]}/" if row.test in failing else None
        is_said = row.kind == "metric" and said and f"{row.name}/".startswith(said)
        (again if is_said else first).append(row)
    return first, again


def capability(row: Row) -> re.Match[str] | None:
    """Read name and failure rate from what the test of a capability failed with."""
    return _CAPABILITY.match(row.message) if row.kind == "test" else None


def _own_name(test: str) -> str:
    return test.partition("::")[2] or test


def _with_file(test: str) -> str:
    file, separator, name = test.partition("::")
    return f"{file.rpartition('/')[2]}{separator}{name}"
