"""Contracts between services: what a model computes, written down and compared.

Names are found when they are first used: checking weights against a lock needs no torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any


if TYPE_CHECKING:
    from torchproof.contracts.compare import VERDICTS, Comparison
    from torchproof.contracts.lock import Architecture
    from torchproof.contracts.safetensors import check_weights, metadata
    from torchproof.contracts.source import read_lock

__all__ = [
    "VERDICTS",
    "Architecture",
    "Comparison",
    "check_weights",
    "metadata",
    "read_lock",
]

_HOMES = {
    "VERDICTS": "compare",
    "Architecture": "lock",
    "Comparison": "compare",
    "check_weights": "safetensors",
    "metadata": "safetensors",
    "read_lock": "source",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"torchproof.contracts.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
