"""A checkpoint must hold everything that a prediction depends on."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from torchproof.proofs.finding import Finding, listed
from torchproof.proofs.parameters.lost_ties import lost_ties
from torchproof.proofs.prediction.replacement import predicted
from torchproof.proofs.prediction.traced import Passed, Trace, parting, traced, with_state
from torchproof.proofs.process.isolation import untouched
from torchproof.proofs.process.places import defined_at
from torchproof.proofs.process.seeds import fix_seed
from torchproof.proofs.rule import Skip, rule
from torchproof.proofs.tensors.attributes import plain_attributes, unlike, unsaved_buffers
from torchproof.proofs.tensors.bits import distance, same


if TYPE_CHECKING:
    from collections.abc import Iterator

    import torch

    from torchproof.proofs.bench import Bench
    from torchproof.proofs.step.trial import Trial
    from torchproof.proofs.trainee import Trainee

    States = dict[str, dict[str, torch.Tensor]]

ID = "checkpoint-round-trip"


@rule(
    ID,
    summary="a state_dict loaded into a fresh model gives the same predictions and ties",
    source="PyTorch, Saving and Loading Models; OneTrainer #1604",
    needs=("observation", "predict"),
    severity="error",
)
def checkpoint_round_trip(bench: Bench) -> Iterator[Finding]:
    """Saving, building anew and loading changes no bit of a prediction.

    Decided by loading the trained models' ``state_dict`` into a trainee that was built from another
    seed, and predicting with both for the same inputs. If the bits differ, both predictions are
    followed module by module: an error if one module that got the same inputs and holds the same
    registered weights returns something else. The groups of parameters that share memory have to be
    the same too, and the ``state_dict`` has to fit.

    Two parameters that were one while the model was built, which have both been replaced since, by
    copies of one value, and come apart in training have lost their tie (error). A tie of which only
    one side is replaced is undone on purpose.

    Assumes that the models are saved by their ``state_dict``. Skipped if two predictions with the
    same model differ, if the difference arises outside the trainee's models, if predict works with
    other weights than theirs (EMA), or if ``state_dict`` holds a part on purpose (adapters).
    """
    lost = lost_ties(bench)
    if lost:
        yield _tied_once(lost)
    trained = bench.observation.trial
    states = {key: copy.deepcopy(each.state_dict()) for key, each in trained.trainee.models.items()}
    with untouched():
        expected = predicted(bench, trained)
        if not same(expected, predicted(bench, trained)):
            raise Skip("two predictions for the same batch differ")
        ties, inputs = _ties(trained.trainee), trained.inputs
    with bench.trial(bench.seed + 1) as fresh:
        failure = _load(fresh.trainee, states)
        if failure:
            yield _does_not_fit(bench, failure)
            return
        if ties != _ties(fresh.trainee):
            yield _untied(ties, _ties(fresh.trainee))
            return
        restored = predicted(bench, fresh, inputs)
        if same(expected, restored):
            return
        yield _lost(bench, trained, fresh, states, distance(expected, restored))


def _tied_once(pairs: list[tuple[str, str]]) -> Finding:
    names = sorted({name for pair in pairs for name in pair})
    return Finding(
        ID,
        "error",
        f"{listed(names)} were one parameter while the model was built. They are copies of one "
        f"value by now and come apart while training: the tie is lost.",
        evidence={"parameters": len(names)},
        location=None,
        remedy="model.head.weight = model.embedding.weight  # again, behind the last replacement",
    )


def _load(trainee: Trainee, states: States) -> str:
    """Load the states; return why one does not fit.

    Raises:
        Skip: It has the model's own keys and is refused all the same.
    """
    for key, model in trainee.models.items():
        own = set(model.state_dict())
        try:
            model.load_state_dict(states[key])
        except Exception as error:
            reason = " ".join(str(error).split())[:200]
            if own == set(states[key]) and "size mismatch" not in reason:
                raise Skip(f"the state_dict cannot be loaded as it is ({reason})") from error
            return reason
    return ""


def _ties(trainee: Trainee) -> set[frozenset[str]]:
    """Return the groups of names whose parameters are one and the same memory."""
    groups: dict[Any, list[str]] = {}
    for key, model in trainee.models.items():
        for name, each in model.named_parameters(prefix=key, remove_duplicate=False):
            if each.numel() and each.data_ptr():
                groups.setdefault((each.data_ptr(), each.shape), []).append(name)
    return {frozenset(names) for names in groups.values() if len(names) > 1}


def _untied(before: set[frozenset[str]], after: set[frozenset[str]]) -> Finding:
    group = min(before ^ after, key=sorted)
    names = listed(sorted(group))
    lost = f"{names} are one parameter while training, but not in a fresh model."
    gained = f"{names} are one parameter in a fresh model, but come apart while training."
    return Finding(
        ID,
        "error",
        lost if group in before else gained,
        evidence={"names": len(group)},
        location=None,
        remedy="self.head.weight = self.embedding.weight  # once, in __init__",
    )


def _does_not_fit(bench: Bench, failure: str) -> Finding:
    return Finding(
        ID,
        "error",
        f"The state_dict of the trained model does not fit a fresh one: {failure}",
        evidence={"calls of the step before saving": len(bench.reference.losses)},
        location=defined_at(bench.build),
        remedy="make all parameters and buffers in __init__, none while training",
    )


def _lost(bench: Bench, trained: Trial, fresh: Trial, states: States, gap: float) -> Finding:
    first, second = _trace(bench, trained, fresh)
    if not with_state(first, states) or not with_state(second, states):
        raise Skip("predict works with other weights than the state_dict of the trainee's models")
    pair = parting(first, second)
    if pair is None:
        raise Skip("predict depends on something outside the trainee's models")
    path, missing = pair[0].path or type(pair[0].module).__name__, _missing(*pair)
    what = f": {listed(missing)} of it is not in the state_dict" if missing else ""
    return Finding(
        ID,
        "error",
        f"After loading the state_dict into a fresh model, {path} computes something else{what}.",
        evidence={"largest change of the prediction": gap, "module": path, "missing": missing},
        location=defined_at(type(pair[0].module).forward),
        remedy=f'self.register_buffer("{missing[0] if missing else "state"}", ...)  # in __init__',
    )


def _trace(bench: Bench, trained: Trial, fresh: Trial) -> tuple[Trace, Trace]:
    traces = []
    for trial in (trained, fresh):
        with untouched(), fix_seed(bench.seed), traced(trial.trainee) as trace:
            trial.predict(trained.inputs)
        traces.append(trace)
    return traces[0], traces[1]


def _missing(first: Passed, second: Passed) -> list[str]:
    """Name the attributes and unsaved buffers that differ in the module or in one inside it."""
    pairs = zip(first.module.named_modules(), second.module.modules())
    return [
        f"{path}.{name}".strip(".")
        for (path, one), other in pairs
        for name in (
            *unlike(plain_attributes(one), plain_attributes(other)),
            *unlike(unsaved_buffers(one), unsaved_buffers(other)),
        )
    ]
