"""An architecture as a small file that is committed: ``NAME.arch.json``.

Strict JSON, described by ``lock.schema.json`` beside this module, one line for each weight, input,
case and module, so that a diff shows what changed. Needs neither torch nor anything else but the
standard library, so that a service can check the weights it loads before it has a model.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import Any, Union

from torchproof.contracts.compare import Comparison, compare
from torchproof.contracts.model import Case, Entry, Operations, Probe


FORMAT = 1
_LINES_DOWN_TO = 3  # what lies deeper stands on one line


@dataclass(frozen=True)
class Architecture:
    """What two services must agree on to use one model's weights.

    Attributes:
        model: The name of the class; not compared.
        torch: The release that computed it.
        entries: What a checkpoint holds.
        tied: The groups of weights that are one tensor.
        probe: What the function answers.
        training: What differs only in train mode, by module.
        operations: What runs in eval mode, by module: an explanation.
    """

    model: str
    torch: str
    entries: tuple[Entry, ...]
    tied: tuple[tuple[str, ...], ...] = ()
    probe: Probe = field(default_factory=Probe)
    training: Operations = field(default_factory=dict)
    operations: Operations = field(default_factory=dict)

    def to_json(self) -> str:
        """Write the lock file's text."""
        return _pretty(_document(self)) + "\n"

    @classmethod
    def from_json(cls, text: Union[str, bytes], *, where: str = "the lock") -> Architecture:
        """Read a lock file written by anybody.

        Raises:
            UsageError: It is not strict JSON, or not a lock of this format.
        """
        from torchproof.contracts.reading import read

        return read(text.encode("utf-8") if isinstance(text, str) else text, where=where)

    def compare(self, other: Architecture) -> Comparison:
        """Say what changed from this architecture to the other one.

        Returns:
            ``verdict``, one of six, and ``words``, the sentences that go with it.
        """
        return compare(self, other)

    @property
    def digest(self) -> str:
        """A short name for it. Rounding moves it, so digests are shown and never compared."""
        return hashlib.sha256(self.to_json().encode("utf-8")).hexdigest()[:12]


def _document(one: Architecture) -> dict[str, Any]:
    probe = one.probe
    if probe.why_not:
        probed: dict[str, Any] = {"why_not": probe.why_not}
    else:
        probed = {
            "precision": probe.precision,
            "tolerance": probe.tolerance,
            "inputs": [list(each) for each in probe.inputs],
            "refused": list(probe.refused),
            "cases": [_case(case) for case in probe.cases],
            "constants": {name: list(value) for name, value in probe.constants.items()},
        }
    return {
        "format": FORMAT,
        "model": one.model,
        "torch": one.torch,
        "weights": {
            "entries": [list(entry) for entry in one.entries],
            "tied": [list(group) for group in one.tied],
        },
        "probe": probed,
        "training": one.training,
        "operations": one.operations,
    }


def _case(case: Case) -> dict[str, Any]:
    asked = {"inputs": case.inputs, "weights": case.weights, "size": case.size}
    if case.answers is None:
        return {**asked, "left_out": case.left_out}
    return {**asked, "answers": {name: answer._asdict() for name, answer in case.answers.items()}}


def _pretty(value: Any, depth: int = 0) -> str:
    """Write JSON whose outer levels have a line for each item and whose inner ones have one."""
    if depth == _LINES_DOWN_TO or not isinstance(value, (dict, list)) or not value:
        return json.dumps(value, allow_nan=False, ensure_ascii=False)
    margin = " " * (depth + 1)
    if isinstance(value, dict):
        items = [
            f"{json.dumps(k, ensure_ascii=False)}: {_pretty(v, depth + 1)}"
            for k, v in value.items()
        ]
        opening, closing = "{", "}"
    else:
        items = [_pretty(item, depth + 1) for item in value]
        opening, closing = "[", "]"
    inside = ",\n".join(margin + item for item in items)
    return f"{opening}\n{inside}\n{' ' * depth}{closing}"
