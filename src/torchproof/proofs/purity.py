"""A prediction made three times: what it leaves behind and whether it says the same."""

from __future__ import annotations

import random
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from torchproof.proofs.bits import different, distance, same
from torchproof.proofs.drawings import Drawing, drawings
from torchproof.proofs.inference import call_in_eval
from torchproof.proofs.isolation import untouched
from torchproof.proofs.probe import watch
from torchproof.proofs.randomness import DROPOUT, generator_state
from torchproof.proofs.replacement import about, trained
from torchproof.proofs.seeds import fix_seed
from torchproof.proofs.switches import switches
from torchproof.proofs.trees import clone, named_tensors


if TYPE_CHECKING:
    import torch

    from torchproof.proofs.bench import Bench
    from torchproof.proofs.probe import Probe
    from torchproof.proofs.trial import Trial


@dataclass
class Purity:
    """What predicting for the same batch does.

    ``again`` is how far the second prediction, from the same seed, lies from the first;
    ``reseeded`` how far one from another seed does; both 0.0 for the same bits. ``batch`` names
    the tensors of the batch that changed, ``switches`` those of torch left in another position:
    what they were and are; ``streams`` the random streams that are in one state afterwards,
    wherever they started. ``dropouts`` were seen where ``reseeded`` is not 0.0; ``passes``
    counts the most calls of one model with equal arguments.
    """

    again: float = 0.0
    reseeded: float = 0.0
    batch: list[str] = field(default_factory=list)
    switches: dict[str, tuple[Any, Any]] = field(default_factory=dict)
    streams: list[str] = field(default_factory=list)
    dropouts: list[Drawing] = field(default_factory=list)
    passes: int = 1


def purity(bench: Bench) -> Purity:
    """Predict for one batch twice from one seed, then from another.

    Raises:
        Skip: Nothing can be predicted.
    """
    with trained(bench) as trial:
        given = clone(trial.inputs)
        found, first, end = _once(bench, trial, given)
        # Labels may be taken out of the batch, which is then not the same for the next call.
        taken = named_tensors(trial.inputs).keys() != named_tensors(given).keys()
        with untouched(), fix_seed(bench.seed):
            again = clone(trial.inputs) if taken else given
            found.again = _gap(first, about(_predict(trial, again)))
        with untouched(), fix_seed(bench.seed + 1):
            again = clone(trial.inputs) if taken else given
            start = _streams()
            found.reseeded = _gap(first, about(_predict(trial, again)))
            found.streams = _seeded(start, end, _streams())
        if found.reseeded and not found.again:
            again = clone(trial.inputs) if taken else given
            found.dropouts, found.passes = _dropouts(bench, trial, again)
    return found


def _once(bench: Bench, trial: Trial, given: Any) -> tuple[Purity, torch.Tensor, dict[str, Any]]:
    """Predict; return what it changed, the prediction and the random streams behind it."""
    before = switches()
    with fix_seed(bench.seed):
        first = about(_predict(trial, given))
        end = _streams()
    after, left = switches(), named_tensors(given)
    changed = different(named_tensors(trial.inputs), left)
    found = Purity(
        batch=[name for name in changed if name in left],
        switches={name: (old, after[name]) for name, old in before.items() if after[name] != old},
    )
    return found, first, end


def _seeded(start: dict[str, Any], end: dict[str, Any], last: dict[str, Any]) -> list[str]:
    """Name the streams that end as another run did, though they did not start in that state."""
    return [name for name, state in last.items() if state == end[name] != start[name]]


def _predict(trial: Trial, given: Any) -> Any:
    """Predict as `Trial.predict` does, but for the very batch that is given."""
    if trial.trainee.predict is None:
        return call_in_eval(next(iter(trial.trainee.models.values())), given)
    return trial.trainee.predict(given)


def _gap(first: torch.Tensor, second: torch.Tensor) -> float:
    return 0.0 if same(first, second) else distance(first, second) or float("inf")


def _streams() -> dict[str, Any]:
    """Return the states of the global random streams."""
    numpy = sys.modules.get("numpy")
    streams: dict[str, Any] = {"torch": generator_state(), "random": random.getstate()}
    if numpy is not None:
        _, keys, position, *_ = numpy.random.get_state()
        streams["numpy.random"] = (keys.tobytes(), position)
    return streams


def _dropouts(bench: Bench, trial: Trial, given: Any) -> tuple[list[Drawing], int]:
    with untouched(), fix_seed(bench.seed), watch(trial.trainee) as calls, drawings() as found:
        _predict(trial, given)
    return [each for each in found if each.moved and each.name in DROPOUT], _passes(calls)


def _passes(probe: Probe) -> int:
    """Count the most calls of one module with equal arguments."""
    most = 1
    for call in probe.calls:
        mine = named_tensors(call.arguments)
        alike = [
            other
            for other in probe.calls
            if other.path == call.path and not different(mine, named_tensors(other.arguments))
        ]
        most = max(most, len(alike))
    return most
