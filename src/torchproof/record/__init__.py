"""The run record: what one tier's run produced, and the only thing that travels between rooms.

The test side appends *events*, one JSON object a line, as things happen (`EventWriter`). `fold`
turns them into one `Record`; `dumps` and `loads` write and read it as the strict JSON that
``schema.json`` describes. Everything read here is hostile: the code under test wrote it.

Standard library only and Python 3.9, as both sides import it; only reading a whole record needs a
schema validator, which the action side has.
"""

from torchproof.record.document import SCHEMA, dumps, load, loads
from torchproof.record.events import EventWriter
from torchproof.record.folding import fold, fold_file, how_it_died
from torchproof.record.model import (
    FAILED,
    NO_TIER,
    PASSED,
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


__all__ = [
    "FAILED",
    "NO_TIER",
    "PASSED",
    "SCHEMA",
    "Cost",
    "Curve",
    "EventWriter",
    "Example",
    "Finding",
    "Leak",
    "Metric",
    "Outcome",
    "Record",
    "Source",
    "dumps",
    "fold",
    "fold_file",
    "how_it_died",
    "load",
    "loads",
]
