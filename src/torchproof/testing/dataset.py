"""`proof.dataset`: which version of the data a result depends on, and what the data holds."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable, Optional

import pytest

from torchproof.data.contract import breaches
from torchproof.data.fingerprint import fingerprint
from torchproof.data.split import facts, numbers, split
from torchproof.errors import UsageError
from torchproof.testing.isolation import note
from torchproof.testing.naming import id_of


if TYPE_CHECKING:
    from collections.abc import Mapping

    from torchproof.testing.fixture import ProofFixture


def dataset(
    proof: ProofFixture,
    item: pytest.Item,
    emit: Callable[..., None],
    name: str,
    data: Any = None,
    *,
    splits: Optional[Mapping[str, Any]] = None,
    expect: Optional[Mapping[str, Any]] = None,
) -> str:
    """Do what `ProofFixture.dataset` says.

    Args:
        proof: Records the numbers.
        item: The test.
        emit: Writes one event.
        name: Of the data set.
        data: A path relative to rootdir, tensors, plain values, a data set.
        splits: By name the rows, or a pair of rows and labels; the first is the training split.
        expect: What each split must be: ``shape``, ``dtype``, ``range``, ``labels``.
    """
    __tracebackhide__ = True
    if data is None and not splits:
        raise UsageError(f"the data set {name!r:.60} is empty", "Give data, or splits=.")
    if isinstance(data, (str, Path)):
        data = item.config.rootpath / data
    value = fingerprint(dict(splits or {}) if data is None else data)
    emit("fingerprint", kind="data", name=name, value=value)
    parts = [split(each, rows) for each, rows in (splits or {}).items()]
    for part in parts:
        _record(proof, emit, f"{name}/{part.name}", part)
    broken = _found(item, emit, breaches(parts, expect or {}))
    if broken:
        pytest.fail(f"torchproof: the data {name} breaks its contract\n" + "\n".join(broken))
    return value


def _record(proof: ProofFixture, emit: Callable[..., None], name: str, part: Any) -> None:
    for fact, text in facts(part).items():
        emit("fingerprint", kind="data", name=f"{name} {fact}", value=text)
    for fact, (value, unit) in numbers(part).items():
        proof.metric(f"data/{name}/{fact}", value, unit=unit)


def _found(item: pytest.Item, emit: Callable[..., None], found: Any) -> list[str]:
    """Record what is wrong and return the errors; a warning stands in the terminal's summary."""
    test = id_of(item.config, item.nodeid)
    errors = []
    for each in found:
        emit("finding", test=test, **asdict(each))
        if each.severity == "error":
            errors.append(f"  {each.message}")
        else:
            note(item, f"warning: {test}: {each.message} [{each.rule}]")
    return errors
