"""A prediction and an evaluation made several times: what they leave behind, and do they agree."""

from __future__ import annotations

import random
import sys
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Callable

from torchproof.proofs.batches import parted, reversed_rows
from torchproof.proofs.prediction.answers import answers, contradiction
from torchproof.proofs.prediction.augmented import made_of_labels, supervised
from torchproof.proofs.prediction.input_noise import InputNoise
from torchproof.proofs.prediction.probe import watch
from torchproof.proofs.prediction.replacement import about, restored, trained
from torchproof.proofs.prediction.scripted import fixed_dropouts
from torchproof.proofs.process.drawings import Drawing, drawings
from torchproof.proofs.process.isolation import untouched
from torchproof.proofs.process.randomness import DROPOUT, generator_state
from torchproof.proofs.process.seeds import fix_seed
from torchproof.proofs.process.switches import switches
from torchproof.proofs.rule import Skip
from torchproof.proofs.step.inference import call_in_eval
from torchproof.proofs.step.masks import Masks
from torchproof.proofs.tensors.bits import different, distance, same
from torchproof.proofs.tensors.trees import clone, map_tensors, named_tensors


if TYPE_CHECKING:
    import torch

    from torchproof.proofs.bench import Bench
    from torchproof.proofs.prediction.answers import Answer
    from torchproof.proofs.prediction.probe import Probe
    from torchproof.proofs.step.trial import Trial

    Said = tuple[torch.Tensor, list[Answer]]


@dataclass
class Purity:
    """What predicting for the same batch does, or evaluating it.

    ``again`` is how far the second prediction, from the same seed, lies from the first;
    ``reseeded`` how far one from another seed does; both 0.0 for the same bits. Where classes are
    predicted it is how far the scores of a module lie apart that was given the same.

    ``batch`` names the tensors of the batch that changed, ``switches`` those of torch left in
    another position: what they were and are; ``streams`` the random streams that are in one state
    afterwards, wherever they started. ``dropouts`` were seen where ``reseeded`` is not 0.0, or
    ``noises`` on inputs of a supervised model; ``passes`` counts the most calls of one model with
    equal arguments.
    """

    again: float = 0.0
    reseeded: float = 0.0
    batch: list[str] = field(default_factory=list)
    switches: dict[str, tuple[Any, Any]] = field(default_factory=dict)
    streams: list[str] = field(default_factory=list)
    dropouts: list[Drawing] = field(default_factory=list)
    noises: list[Drawing] = field(default_factory=list)
    passes: int = 1


def purity(bench: Bench) -> Purity:
    """Predict for one batch twice from one seed, after another batch, and from another seed.

    Raises:
        Skip: Nothing can be predicted.
    """
    with trained(bench) as trial:
        given = clone(trial.inputs)
        found, first, end = _once(bench, partial(_said, trial), trial.inputs, given)
        # Labels may be taken out of the batch, which is then not the same for the next call.
        taken = named_tensors(trial.inputs).keys() != named_tensors(given).keys()
        with untouched(), fix_seed(bench.seed):
            again = clone(trial.inputs) if taken else given
            found.again = _gap(first, _said(trial, again))
        found.again = found.again or _after_another(bench, trial, first)
        with untouched(), fix_seed(bench.seed + 1):
            again = clone(trial.inputs) if taken else given
            start = _streams()
            found.reseeded = _gap(first, _said(trial, again))
            found.streams = _seeded(start, end, _streams())
        if found.reseeded and not found.again:
            again = clone(trial.inputs) if taken else given
            found.dropouts, found.passes = _dropouts(bench, trial, again)
            found.noises = [] if found.dropouts else _noises(bench, trial)
    return found


def _after_another(bench: Bench, trial: Trial, first: Said) -> float:
    """Return how far the prediction moves after one for the rows in reverse, if there is that."""
    inputs = clone(trial.inputs)
    rows = next((len(each) for each in named_tensors(inputs).values() if each.dim()), 0)
    try:
        with untouched(), fix_seed(bench.seed):
            _predict(trial, map_tensors(inputs, reversed_rows(rows)))
    except Exception:  # noqa: BLE001 - rows may not be what can be reversed, as in a graph
        return 0.0
    with untouched(), fix_seed(bench.seed):
        return _gap(first, _said(trial, clone(trial.inputs)))


def evaluation(bench: Bench) -> Purity:
    """Evaluate one batch from one seed, then from another; what it returns is not compared.

    Raises:
        Skip: The trainee brings no evaluate.
    """
    if bench.trainee.evaluate is None:
        raise Skip("Trainee(evaluate=...) does not say how it is evaluated")
    with restored(bench) as trial:
        batch, evaluate = trial.trainee.batch, trial.evaluate_on
        found, _, end = _once(bench, evaluate, batch, clone(batch))
        with untouched(), fix_seed(bench.seed + 1):
            start = _streams()
            evaluate(clone(batch))
            found.streams = _seeded(start, end, _streams())
    return found


def _once(
    bench: Bench, use: Callable[[Any], Any], inputs: Any, given: Any
) -> tuple[Purity, Any, dict[str, Any]]:
    """Use what is given, a copy of the inputs; return what that changed, came to and left drawn."""
    before = switches()
    with fix_seed(bench.seed):
        result = use(given)
        end = _streams()
    after, left = switches(), named_tensors(given)
    changed = different(named_tensors(inputs), left)
    found = Purity(
        batch=[name for name in changed if name in left],
        switches={name: (old, after[name]) for name, old in before.items() if after[name] != old},
    )
    return found, result, end


def _seeded(start: dict[str, Any], end: dict[str, Any], last: dict[str, Any]) -> list[str]:
    """Name the streams that end as another run did, though they did not start in that state."""
    return [name for name, state in last.items() if state == end[name] != start[name]]


def _predict(trial: Trial, given: Any) -> Any:
    """Predict as `Trial.predict` does, but for the very batch that is given."""
    if trial.trainee.predict is None:
        return call_in_eval(next(iter(trial.trainee.models.values())), given)
    return trial.trainee.predict(given)


def _said(trial: Trial, given: Any) -> Said:
    """Return the tensor that a prediction is about, and what modules answered for it."""
    with answers() as found:
        prediction = about(_predict(trial, given))
    return prediction, [] if prediction.is_floating_point() else found


def _gap(first: Said, second: Said) -> float:
    if same(first[0], second[0]):
        return contradiction(first[1], second[1])
    return distance(first[0], second[0]) or float("inf")


def _streams() -> dict[str, Any]:
    """Return the states of the global random streams."""
    numpy = sys.modules.get("numpy")
    streams: dict[str, Any] = {"torch": generator_state(), "random": random.getstate()}
    if numpy is not None:
        _, keys, position, *_ = numpy.random.get_state()
        streams["numpy.random"] = (keys.tobytes(), position)
    return streams


def _dropouts(bench: Bench, trial: Trial, given: Any) -> tuple[list[Drawing], int]:
    with ExitStack() as stack:
        for each in (untouched(), fix_seed(bench.seed)):
            stack.enter_context(each)
        calls, found = stack.enter_context(watch(trial.trainee)), stack.enter_context(drawings())
        called = stack.enter_context(answers())
        _predict(trial, given)
    dropped = [each for each in found if each.moved and each.name in DROPOUT]
    return dropped or fixed_dropouts(called) or _written_out(bench, trial), _passes(calls)


def _written_out(bench: Bench, trial: Trial) -> list[Drawing]:
    """Return the masks that the step draws at the same lines, where labels say what is right."""
    if bench.reason_against("observation"):
        return []
    in_the_step = {(each.name, each.location) for each in bench.observation.draws}
    masks = Masks()
    with untouched(), fix_seed(bench.seed), masks:
        _predict(trial, clone(trial.inputs))
    shared = [each for each in masks.found if each.location and each[:2] in in_the_step]
    return shared if shared and supervised(bench, parted(bench.trainee)) else []


def _noises(bench: Bench, trial: Trial) -> list[Drawing]:
    """Return the noise on inputs that the step draws at the same lines, each of them once."""
    if bench.reason_against("observation"):
        return []
    whole = parted(bench.trainee)
    in_the_step = {(each.name, each.location) for each in bench.observation.draws}
    noise = InputNoise(whole.inputs.values())
    with untouched(), fix_seed(bench.seed), noise:
        _predict(trial, clone(trial.inputs))
    lines = [each[:2] for each in noise.found]
    once = len(set(lines)) == len(lines) and in_the_step.issuperset(lines)
    meant = not lines or not once or not supervised(bench, whole) or made_of_labels(bench)
    return [] if meant else noise.found


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
