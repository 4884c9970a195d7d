"""Whether a scheduler with a ``state_dict`` of its own goes on from it: an experiment."""

from __future__ import annotations

import copy
import warnings
from typing import TYPE_CHECKING, Any, NamedTuple, Optional

from torch.optim.lr_scheduler import LRScheduler


if TYPE_CHECKING:
    from torchproof.proofs.bench import Bench
    from torchproof.proofs.step.trial import Trial


class NextRates(NamedTuple):
    """The next learning rates without a break and after loading, and the names that were saved."""

    unbroken: list[float]
    resumed: list[float]
    saved: list[str]


def next_rates(bench: Bench) -> Optional[NextRates]:
    """Load the declared scheduler's state into a fresh one; None if torch's own saves it."""
    kind = type(bench.trainee.scheduler)
    if not issubclass(kind, LRScheduler) or kind.state_dict is LRScheduler.state_dict:
        return None
    if kind.__module__.partition(".")[0] == "torch":
        return None
    with bench.trial() as trial:
        for _ in bench.reference.losses:
            trial.step()
        saved = copy.deepcopy(_saved(trial))
        unbroken = _next_rates(trial)
    with bench.trial() as trial:
        scheduler: Any = trial.trainee.scheduler
        scheduler.optimizer.load_state_dict(saved[0])
        scheduler.load_state_dict(saved[1])
        return NextRates(unbroken, _next_rates(trial), [str(name) for name in saved[1]])


def _saved(trial: Trial) -> tuple[Any, Any]:
    scheduler: Any = trial.trainee.scheduler
    return scheduler.optimizer.state_dict(), scheduler.state_dict()


def _next_rates(trial: Trial) -> list[float]:
    scheduler: Any = trial.trainee.scheduler
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that no update comes before it
        scheduler.step()
    return [float(group["lr"]) for group in scheduler.optimizer.param_groups]
