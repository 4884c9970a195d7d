"""Reading a lock that somebody else wrote: bounded, strict, one sentence for what is wrong."""

from __future__ import annotations

import math
import re
from typing import Any, Callable, TypeVar

from torchproof.contracts.lock import FORMAT, Architecture
from torchproof.contracts.model import Answer, Case, Constant, Entry, Input, Operations, Probe
from torchproof.errors import RecordError, UsageError
from torchproof.record.strict_json import parse


MAX_BYTES = 16 * 1024 * 1024
MAX_ITEMS = 100_000
MAX_TEXT = 512
MAX_AXES = 16
MAX_EXTENT = 2**48

_WORD = re.compile(r"[\w.+-]{1,64}")
_KINDS = ("parameter", "buffer")
_VALUES = re.compile(r"numbers|positive|ids below [1-9]\d{0,15}|as given [0-9a-f]{16}")

Made = TypeVar("Made")


def read(data: bytes, *, where: str) -> Architecture:
    """Read a lock.

    Raises:
        UsageError: It is no lock, or one of another format.
    """
    try:
        return _architecture(parse(data, limit=MAX_BYTES))
    except RecordError as error:
        raise UsageError(f"it is no lock: {error.what}", _REMEDY, where=where) from error
    except ValueError as error:
        raise UsageError(f"it is no lock: {error}", _REMEDY, where=where) from error


_REMEDY = "Make it again with torchproof lock make, or take it from the producer again."


def _architecture(value: Any) -> Architecture:
    names = "format model torch weights probe training operations"
    if isinstance(value, dict) and value.get("format") != FORMAT:
        raise ValueError(
            f"its format is {value.get('format')!r:.20}, this torchproof reads {FORMAT}"
        )
    found = _object(value, "the document", names)
    weights = _object(found["weights"], "weights", "entries tied")
    return Architecture(
        model=_text(found["model"], "model"),
        torch=_text(found["torch"], "torch"),
        entries=_unique(_several(weights["entries"], "weights/entries", _entry)),
        tied=_several(weights["tied"], "weights/tied", _names),
        probe=_probe(found["probe"]),
        training=_operations(found["training"], "training"),
        operations=_operations(found["operations"], "operations"),
    )


def _entry(value: Any, place: str) -> Entry:
    name, shape, dtype, kind = _list(value, place, 4)
    if kind not in _KINDS:
        raise ValueError(f"{place} is neither a parameter nor a buffer")
    return Entry(_text(name, place), _shape(shape, place), _word(dtype, place), str(kind))


def _unique(entries: tuple[Entry, ...]) -> tuple[Entry, ...]:
    if len({entry.name for entry in entries}) != len(entries):
        raise ValueError("weights/entries has a name twice")
    return entries


def _probe(value: Any) -> Probe:
    if isinstance(value, dict) and "why_not" in value:
        found = _object(value, "probe", "why_not")
        return Probe(why_not=_text(found["why_not"], "probe/why_not") or "it does not say why")
    found = _object(value, "probe", "precision tolerance inputs refused cases constants")
    tolerance = _number(found["tolerance"], "probe/tolerance")
    if not 0 < tolerance <= 1e-3:  # noqa: PLR2004 - a lock must not be able to switch the check off
        raise ValueError("probe/tolerance is not a number above 0 and at most 0.001")
    return Probe(
        precision=_word(found["precision"], "probe/precision"),
        tolerance=tolerance,
        inputs=_several(found["inputs"], "probe/inputs", _input),
        refused=_several(found["refused"], "probe/refused", _text),
        cases=_several(found["cases"], "probe/cases", _case),
        constants=_mapping(found["constants"], "probe/constants", _constant),
    )


def _input(value: Any, place: str) -> Input:
    name, shape, dtype, values = _list(value, place, 4)
    if not isinstance(values, str) or not _VALUES.fullmatch(values):
        raise ValueError(f"{place} has values of no known kind")
    return Input(_text(name, place), _shape(shape, place), _word(dtype, place), values)


def _case(value: Any, place: str) -> Case:
    answered = isinstance(value, dict) and "answers" in value
    last = "answers" if answered else "left_out"
    found = _object(value, place, f"inputs weights size {last}")
    return Case(
        inputs=_count(found["inputs"], place),
        weights=_count(found["weights"], place),
        size=_text(found["size"], place),
        answers=_mapping(found["answers"], place, _answer) if answered else None,
        left_out="" if answered else _text(found["left_out"], place),
    )


def _answer(value: Any, place: str) -> Answer:
    found = _object(value, place, "shape largest odd values sums")
    return Answer(
        shape=_shape(found["shape"], place),
        largest=_number(found["largest"], place),
        odd=_count(found["odd"], place),
        values=_several(found["values"], place, _number),
        sums=_several(found["sums"], place, _number),
    )


def _constant(value: Any, place: str) -> Constant:
    shape, norm, total = _list(value, place, 3)
    return Constant(_shape(shape, place), _number(norm, place), _number(total, place))


def _operations(value: Any, place: str) -> Operations:
    return {path: list(names) for path, names in _mapping(value, place, _names).items()}


def _names(value: Any, place: str) -> tuple[str, ...]:
    return _several(value, place, _text)


def _shape(value: Any, place: str) -> tuple[int, ...]:
    if isinstance(value, list) and len(value) > MAX_AXES:
        raise ValueError(f"{place} has a shape of more than {MAX_AXES} axes")
    return _several(value, place, _count)


def _several(value: Any, place: str, make: Callable[[Any, str], Made]) -> tuple[Made, ...]:
    if not isinstance(value, list) or len(value) > MAX_ITEMS:
        raise ValueError(f"{place} is no list of at most {MAX_ITEMS} items")
    return tuple(make(item, f"{place}/{index}") for index, item in enumerate(value))


def _mapping(value: Any, place: str, make: Callable[[Any, str], Made]) -> dict[str, Made]:
    if not isinstance(value, dict) or len(value) > MAX_ITEMS:
        raise ValueError(f"{place} is no object of at most {MAX_ITEMS} items")
    return {_text(name, place): make(item, f"{place}/{name:.80}") for name, item in value.items()}


def _object(value: Any, place: str, names: str) -> dict[str, Any]:
    if not isinstance(value, dict) or {*value} != {*names.split()}:
        raise ValueError(f"{place} is not an object of {names.replace(' ', ', ')}")
    return value


def _list(value: Any, place: str, count: int) -> list[Any]:
    if not isinstance(value, list) or len(value) != count:
        raise ValueError(f"{place} is no list of {count} items")
    return value


def _text(value: Any, place: str) -> str:
    if not isinstance(value, str) or len(value) > MAX_TEXT or not value.isprintable():
        raise ValueError(f"{place} is no text of at most {MAX_TEXT} printable characters")
    return value


def _word(value: Any, place: str) -> str:
    if not isinstance(value, str) or not _WORD.fullmatch(value):
        raise ValueError(f"{place} holds a name that is none")
    return value


def _count(value: Any, place: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= MAX_EXTENT:
        raise ValueError(f"{place} holds a count that is none")
    return value


def _number(value: Any, place: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise ValueError(f"{place} holds a number that is none")
    return float(value)
