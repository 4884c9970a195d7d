"""Locks of tiny models of ``transformers``: made, read again, and held against a second build."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, NamedTuple

from benchmarks.real_models.configs import tiny
from benchmarks.real_models.tasks import TASKS, classes

import torchproof


if TYPE_CHECKING:
    from collections.abc import Iterator

    import torch

_TASKS = ("causal", "masked", "sequence", "image")
_MOST_PARAMETERS = 4_000_000


class Locked(NamedTuple):
    """A class, the verdict on its second build or why there is none, cases used, seconds, bytes."""

    name: str
    verdict: str
    why: str = ""
    cases: int = 0
    seconds: float = 0.0
    size: int = 0

    def __str__(self) -> str:
        cost = f"{self.cases:3} cases {self.seconds:6.1f} s {self.size / 1000:6.1f} kB"
        return f"{self.name:44} {self.verdict:12} {cost} {self.why}"


def locked(limit: int) -> Iterator[Locked]:
    """Lock the first models of each task."""
    for task in _TASKS:
        for kind in list(classes(task).values())[:limit]:
            try:
                yield _locked(task, kind)
            except Exception as error:  # noqa: BLE001 - any of their classes may refuse a tiny model
                why = f"{type(error).__name__}: {error}".split("\n")[0]
                yield Locked(kind.__name__, "not made", why[:200])


def _locked(task: str, kind: Any) -> Locked:
    begun = time.perf_counter()
    first = _architecture(task, kind, seed=0)
    text = first.to_json()
    found = torchproof.Architecture.from_json(text).compare(_architecture(task, kind, seed=1))
    used = sum(case.answers is not None for case in first.probe.cases)
    why = "" if found.verdict == "identical" else "; ".join(found.words)[:200]
    seconds = (time.perf_counter() - begun) / 2
    return Locked(kind.__name__, found.verdict, why, used, seconds, len(text))


def _architecture(task: str, kind: Any, *, seed: int) -> torchproof.Architecture:
    with torchproof.fix_seed(seed):
        config = tiny(kind.config_class, TASKS[task].changes)
        model = kind(config)
    if sum(one.numel() for one in model.parameters()) > _MOST_PARAMETERS:
        raise ValueError("the tiny configuration is not tiny")
    with torchproof.fix_seed(0):
        batch = TASKS[task].batch(config, model)
    batch.pop("labels")
    return torchproof.architecture(model, {**batch, **_no_cache(model)})


def _no_cache(model: torch.nn.Module) -> dict[str, Any]:
    return {"use_cache": False} if hasattr(model, "generate") else {}
