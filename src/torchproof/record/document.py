"""A record as a file: one strict JSON document, described by ``schema.json`` beside this module."""

from __future__ import annotations

import json
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Optional, Union

from torchproof.errors import RecordError
from torchproof.record.model import (
    Cost,
    Curve,
    Example,
    Finding,
    Leak,
    Metric,
    Outcome,
    Record,
    Source,
)
from torchproof.record.strict_json import number, parse, spell


if TYPE_CHECKING:
    from collections.abc import Mapping

SCHEMA = 1
SCHEMA_FILE = Path(__file__).with_name("schema.json")
MAX_BYTES = 4 * 1024 * 1024
REMEDY = "Give a file that --record wrote."

_LISTS = {
    "outcomes": Outcome,
    "findings": Finding,
    "metrics": Metric,
    "curves": Curve,
    "leaks": Leak,
    "examples": Example,
}


def dumps(record: Record) -> bytes:
    """Write a record as strict JSON with sorted keys and one trailing newline.

    Equal records become equal bytes, which is what makes a file name an idempotency key.
    """
    document = spell({"schema": SCHEMA, **asdict(record)})
    text = json.dumps(document, allow_nan=False, sort_keys=True, separators=(",", ":"))
    return text.encode("ascii") + b"\n"


def loads(data: bytes, *, where: Optional[str] = None) -> Record:
    """Read a record written by anybody.

    Args:
        data: The document's bytes.
        where: What to call it in an error: a path or a name.

    Raises:
        RecordError: The bytes are not strict JSON, break the schema, or have another version.
    """
    try:
        document = parse(data, limit=MAX_BYTES)
        _refuse_other_schema(document)
        return _record(document)
    except RecordError as error:
        raise RecordError(error.what, error.remedy or REMEDY, where=where) from error


def load(path: Union[str, Path]) -> Record:
    """Read the record in a file; see `loads`."""
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        what = f"the run record cannot be read: {error.strerror}"
        raise RecordError(what, "Check the path.", where=str(path)) from error
    return loads(data, where=str(path))


def build(kind: Any, values: Mapping[str, Any]) -> Any:
    """Make one item (an `Outcome`, a `Metric`, …) from its JSON object."""
    values = dict(values)
    if kind is Metric:
        values["value"] = number(values["value"])
    if kind is Curve:
        values["values"] = tuple(number(item) for item in values["values"])
    return kind(**values)


def _record(document: Mapping[str, Any]) -> Record:
    values = {key: item for key, item in document.items() if key != "schema"}
    for name, kind in _LISTS.items():
        values[name] = tuple(build(kind, item) for item in values.get(name, ()))
    values["notes"] = tuple(values["notes"])
    values["cost"] = Cost(**values["cost"])
    values["source"] = Source(**values["source"]) if values["source"] else None
    return Record(**values)


def _refuse_other_schema(document: Any) -> None:
    if not isinstance(document, dict) or "schema" not in document:
        raise RecordError("the document is no run record")
    version = document["schema"]
    if version != SCHEMA or isinstance(version, bool):
        what = f"its schema is {version!r:.20}, this torchproof reads {SCHEMA}"
        raise RecordError(what, "Read it with the torchproof version that wrote it.")
    error = next(iter(_validator().iter_errors(document)), None)
    if error is not None:
        place = "/".join(str(step) for step in error.absolute_path) or "the document"
        raise RecordError(f"{place} breaks the schema: {error.message:.200}")


@lru_cache(maxsize=1)
def _validator() -> Any:
    # jsonschema belongs to the action side; the test side writes records and never reads one.
    import jsonschema  # type: ignore[import-untyped,unused-ignore]

    return jsonschema.Draft202012Validator(json.loads(SCHEMA_FILE.read_text("utf-8")))
