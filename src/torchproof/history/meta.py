"""``meta.json`` at the root of the history branch: which layout the branch has."""

from __future__ import annotations

from torchproof.errors import HistoryError, RecordError
from torchproof.record.strict_json import parse


SCHEMA = 1
PATH = "meta.json"
CONTENTS = b'{"schema":1}\n'

_MAX_BYTES = 64 * 1024


def check(data: bytes, *, branch: str) -> None:
    """Make sure that this version reads the branch.

    Raises:
        HistoryError: It does not; writing to it would do harm.
    """
    where = f"{PATH} on the branch {branch}"
    try:
        meta = parse(data, limit=_MAX_BYTES)
    except RecordError as error:
        remedy = "Restore it from an earlier commit of the branch."
        raise HistoryError(f"it cannot be read: {error.what}", remedy, where=where) from error
    schema = meta.get("schema") if isinstance(meta, dict) else None
    if schema != SCHEMA or isinstance(schema, bool):
        what = f"the history has schema {schema!r:.20}, this torchproof reads {SCHEMA}"
        raise HistoryError(what, "Use a newer torchproof, or name another branch.", where=where)
