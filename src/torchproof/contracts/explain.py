"""Sentences for what differs between two architectures: weights, ties, operations, constants."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING


if TYPE_CHECKING:
    from collections.abc import Sequence

    from torchproof.contracts.lock import Architecture
    from torchproof.contracts.model import Constant, Entry, Input, Operations

_MOST = 4
_TIMES = re.compile(r"(.*) \((\d+) times\)")
_FACT = re.compile(r"\w+=\S+")
_CLOSE = 1e-6
_IDS = "ids below "


def counted(names: Sequence[str], most: int = _MOST) -> str:
    """Write names as people do: ``a, b and 7 more``."""
    shown = ", ".join(names[:most])
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown


def str_of(one: Input) -> str:
    """Write an input as ``x (2×16) float32, numbers``."""
    return f"{one.name} {_size(one.shape)} {one.dtype}, {one.values}"


def entries_differ(before: Sequence[Entry], now: Sequence[Entry]) -> list[str]:
    """Say which weights have another shape, are gone or are new."""
    old, new = {one.name: one for one in before}, {one.name: one for one in now}
    words = [
        f"{name} was {_size(one.shape)} and is {_size(new[name].shape)}"
        for name, one in old.items()
        if name in new and one.shape != new[name].shape
    ]
    words = [counted(words)] if words else []
    gone = [f"{name} {_size(one.shape)}" for name, one in old.items() if name not in new]
    added = [f"{name} {_size(one.shape)}" for name, one in new.items() if name not in old]
    words += [f"gone: {counted(gone)}"] if gone else []
    return [*words, *([f"new: {counted(added)}"] if added else [])]


def casts(before: Sequence[Entry], now: Sequence[Entry]) -> list[str]:
    """Say which weights are loaded into another precision."""
    dtypes = {one.name: one.dtype for one in now}
    cast = [
        f"{one.name} {one.dtype} → {dtypes[one.name]}"
        for one in before
        if dtypes.get(one.name, one.dtype) != one.dtype
    ]
    return [f"weights load into another precision: {counted(cast)}"] if cast else []


def ties_differ(before: Architecture, now: Architecture) -> list[str]:
    """Say which weights are of another dtype, or one tensor with others where they were not."""
    words = casts(before.entries, now.entries)
    untied = [" and ".join(group) for group in before.tied if group not in now.tied]
    tied = [" and ".join(group) for group in now.tied if group not in before.tied]
    words += [f"not one tensor any more: {counted(untied)}"] if untied else []
    return [*words, *([f"one tensor now: {counted(tied)}"] if tied else [])]


def lookups_differ(before: Sequence[Input], now: Sequence[Input]) -> list[str]:
    """Say which ids are looked up otherwise; nothing where the examples differ in more."""
    pairs = [(old, new) for old, new in zip(before, now) if old != new]
    alike = len(before) == len(now) and all(old[:3] == new[:3] for old, new in pairs)
    words = [_looked_up(*pair) for pair in pairs]
    return words if alike and all(words) else []


def constants_differ(before: Architecture, now: Architecture) -> list[str]:
    """Say which constants have other values."""
    old, new = before.probe.constants, now.probe.constants
    words = [name for name in old if name in new and not _alike(old[name], new[name])]
    return [f"constants have other values: {counted(words)}"] if words else []


def operations_differ(before: Architecture, now: Architecture) -> list[str]:
    """Say which operations changed and in which module, as in ``relu → leaky_relu in act``."""
    return _lists_differ(before.operations, now.operations)


def operations_anywhere(one: Architecture) -> Counter[str]:
    """Count the operations of all modules together."""
    return sum(map(_counted, one.operations.values()), Counter())


def training_differs(before: Architecture, now: Architecture) -> list[str]:
    """Say what differs only in train mode.

    Where eval mode runs other operations, so does train mode: then only what modules hold counts.
    """
    old, new = before.training, now.training
    words = _lists_differ(_facts(old), _facts(new))
    if words or before.operations != now.operations:
        return words
    return _lists_differ(old, new)


def _looked_up(before: Input, now: Input) -> str:
    old, new = (each.values.removeprefix(_IDS) for each in (before, now))
    if before.values.startswith(_IDS) and now.values.startswith(_IDS):
        return f"{now.name} was looked up in a table of {old} rows and is in one of {new}"
    if before.values.startswith(_IDS):
        return f"{now.name} was looked up in a table of {old} rows and is not any more"
    if now.values.startswith(_IDS):
        return f"{now.name} is looked up in a table of {new} rows now"
    return ""


def _facts(found: Operations) -> Operations:
    return {path: [one for one in listed if _FACT.fullmatch(one)] for path, listed in found.items()}


def _lists_differ(before: Operations, now: Operations) -> list[str]:
    """Name what went and what came, module by module; alike changes of several modules once."""
    places: dict[str, list[str]] = {}
    for path in dict.fromkeys((*before, *now)):
        old, new = _counted(before.get(path, [])), _counted(now.get(path, []))
        gone, came = sorted((old - new).elements()), sorted((new - old).elements())
        if gone or came:
            places.setdefault(_change(gone, came), []).append(path or "the model itself")
    return [f"{change} in {counted(paths)}" for change, paths in places.items()]


def _change(gone: list[str], came: list[str]) -> str:
    """Write a change as short as it can be said: ``eps=1e-05 → 1e-06``, ``relu → leaky_relu``."""
    if [one.partition(" ")[0] for one in gone] == [one.partition(" ")[0] for one in came]:
        return counted(list(dict.fromkeys(map(_one_change, gone, came))))
    if len(gone) == len(came) == 1:
        return _one_change(gone[0], came[0])
    parts = (
        [f"{counted(_unique(gone))} →" if came else f"without {counted(_unique(gone))}"]
        if gone
        else []
    )
    parts += [counted(_unique(came)) if gone else f"new {counted(_unique(came))}"] if came else []
    return " ".join(parts)


def _one_change(gone: str, came: str) -> str:
    (old, _, first), (new, _, second) = gone.partition(" "), came.partition(" ")
    if old != new:
        return f"{old} → {new}"
    went = [one for one in first.split(", ") if one not in second.split(", ")]
    arrived = [one for one in second.split(", ") if one not in first.split(", ")]
    if len(went) == len(arrived) == 1 and _key(went[0]) == _key(arrived[0]):
        arrived = [arrived[0].partition("=")[2]]
    return f"{old} {', '.join(went) or 'default'} → {', '.join(arrived) or 'default'}"


def _key(setting: str) -> str:
    return setting.partition("=")[0]


def _unique(names: list[str]) -> list[str]:
    """Name each operation once, without its settings."""
    return list(dict.fromkeys(name.partition(" ")[0] for name in names))


def _counted(listed: Sequence[str]) -> Counter[str]:
    found: Counter[str] = Counter()
    for one in listed:
        times = _TIMES.fullmatch(one)
        found[times[1] if times else one] += int(times[2]) if times else 1
    return found


def _alike(one: Constant, other: Constant) -> bool:
    size = max(abs(one.norm), abs(other.norm), _CLOSE)
    close = (
        abs(one.norm - other.norm) <= _CLOSE * size and abs(one.sum - other.sum) <= _CLOSE * size
    )
    return one.shape == other.shape and close


def _size(shape: Sequence[int]) -> str:
    return "×".join(map(str, shape)) or "one number"
