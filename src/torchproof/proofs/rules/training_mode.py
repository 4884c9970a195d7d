"""Training must happen in training mode."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from torchproof.proofs.finding import Finding, listed
from torchproof.proofs.prediction.probe import undisturbed
from torchproof.proofs.prediction.replacement import restored
from torchproof.proofs.prediction.untaken import left_untaken
from torchproof.proofs.process.drawings import drawings
from torchproof.proofs.rule import rule
from torchproof.proofs.step.events import held_by
from torchproof.proofs.tensors.trees import clone


if TYPE_CHECKING:
    from collections.abc import Iterator

    from torchproof.proofs.bench import Bench
    from torchproof.proofs.step.events import Event
    from torchproof.proofs.step.inference import Arguments
    from torchproof.proofs.step.observation import Observation

    Modes = dict[str, tuple[bool, float]]

ID = "training-mode"


@rule(
    ID,
    summary="a model is in training mode while it trains, and stays in it",
    source="PyTorch Lightning's warning on eval mode; Megatron-LM #411 (dropout off for ever)",
    needs=("observation",),
    severity="error",
)
def training_mode(bench: Bench) -> Iterator[Finding]:
    """Dropout and batch norm work as in training in every pass that trains.

    Decided from the modes at the start of each forward pass with gradients that a backward pass
    follows in the same call, of each model that an optimizer updates, or of a part of it that the
    step calls itself. Only modules whose mode matters count (dropout above 0, batch norm); where a
    model has none, its own mode does if it draws random numbers in training mode alone.

    * all of them are in evaluation mode, and so is the model, in every pass (error; a warning if
      another model of the trainee trains in training mode, or if there are frozen parameters),
    * some are in training mode in the first call and in evaluation mode, or with their dropout at
      0, in a later one (error),
    * batch norms that learn are left in evaluation mode, with what they are a part of, by
      statistics that were never taken, and would train if ``train()`` were called once (error).

    Assumes that nobody puts a whole model with dropout or batch norm in evaluation mode to train
    it. Skipped if the step cannot be watched.
    """
    seen = bench.observation
    passes = _passes(bench)
    training = [key for key, events in passes.items() if not all(map(_evaluating, events))]
    for key, events in passes.items():
        names = _drifted(events)
        idle = any(not training for each in events for training, _ in _modes(each).values())
        untaken = left_untaken(bench, key) if idle and not names else []
        if key not in training:
            sure = not training and not _partly_frozen(seen, key)
            yield _never(seen, key, events[0], sure=sure or bool(untaken))
        elif names:
            yield _drift(names, events)
        elif untaken:
            yield _left(untaken, events[0])


def _passes(bench: Bench) -> dict[str, list[Event]]:
    """Return, by model, the forward passes that train it and in which a mode matters."""
    seen = bench.observation
    held = {id(each) for each in held_by(step.optimizer for step in seen.steps)}
    learning = held & seen.fed.keys()
    found: dict[str, list[Event]] = {}
    for event in _before_backward(seen.events):
        if event.touched & learning:
            found.setdefault(event.facts["model"], []).append(event)
    kept = {key: _that_matter(bench, key, events) for key, events in found.items()}
    return {key: events for key, events in kept.items() if events}


def _before_backward(events: list[Event]) -> list[Event]:
    """Return the forward passes that a backward pass follows in the same call, in order."""
    found: list[Event] = []
    training = set()
    for event in reversed(events):
        if event.kind == "backward":
            training.add(event.call)
        elif event.kind in ("forward", "part") and event.call in training:
            found.insert(0, event)
    return found


def _that_matter(bench: Bench, key: str, events: list[Event]) -> list[Event]:
    """Return the passes if a mode matters in one of them; the model's own stands in for none."""
    if any(_modes(event) for event in events):
        return events
    if all(event.facts["training"] for event in events):
        return []
    if not _draws_in_training_alone(bench, key):
        return []
    own = [{"": (event.facts["training"], 1.0)} for event in events]
    return [
        event._replace(facts={**event.facts, "modes": each}) for event, each in zip(events, own)
    ]


def _draws_in_training_alone(bench: Bench, key: str) -> bool:
    """Call a model as the step does, in both modes; tell whether it draws in training only."""
    try:
        given = next(call for call in bench.once(undisturbed).calls if call.path == key).arguments
        with restored(bench) as trial:
            drew = [_draws(trial.trainee.models[key], given, mode) for mode in (True, False)]
    except Exception:  # noqa: BLE001 - another call of the model may be what it does not take
        return False
    return drew == [True, False]


def _draws(model: torch.nn.Module, given: Arguments, mode: bool) -> bool:  # noqa: FBT001 - torch's own word for it
    args, kwargs = clone(given)
    model.train(mode)
    with torch.no_grad(), drawings() as found:
        model(*args, **kwargs)
    return any(each.moved for each in found)


def _modes(event: Event) -> Modes:
    """Return the modes that matter in what was called: the model, or a part of it."""
    modes: Modes = event.facts["modes"]
    return {name: each for name, each in modes.items() if _called(name, event)}


def _called(name: str, event: Event) -> bool:
    part = event.facts["part"]
    return not part or name == part or name.startswith(f"{part}.")


def _evaluating(event: Event) -> bool:
    modes = _modes(event)
    return not event.facts["training"] and not any(training for training, _ in modes.values())


def _partly_frozen(seen: Observation, key: str) -> bool:
    model = seen.trial.trainee.models[key]
    return not all(each.requires_grad for each in model.parameters())


def _drifted(events: list[Event]) -> list[str]:
    """Name the modules that trained in every pass of the first call and not in a later one."""
    first = [each for each in events if each.call == events[0].call]
    return [
        name
        for name in dict.fromkeys(name for each in first for name in _modes(each))
        if all(_trains(name, each) for each in first)
        and not all(_trains(name, each) for each in events)
    ]


def _trains(name: str, event: Event) -> bool:
    """Tell whether a module trains in a pass, or takes no part in it."""
    return not _called(name, event) or _modes(event).get(name, (False, 0.0))[0]


def _never(seen: Observation, key: str, event: Event, *, sure: bool) -> Finding:
    modes = event.facts["modes"]
    named = seen.trial.trainee.models[key].named_modules()
    kinds = sorted({type(module).__name__ for name, module in named if name in modes})
    return Finding(
        ID,
        "error" if sure else "warning",
        f"The model{f' {key}' if key else ''} trains in evaluation mode: {listed(kinds)} do "
        f"nothing of what they do in training.",
        evidence={"modules whose mode matters": len(modes), "in training mode": 0},
        location=event.location,
        remedy="model.train()  # at the start of every training step",
    )


def _drift(names: list[str], events: list[Event]) -> Finding:
    late = next(each for each in events if not all(_trains(name, each) for name in names))
    return Finding(
        ID,
        "error",
        f"{listed([name or 'the model' for name in names])} train in the first call and evaluate "
        f"from call {late.call} on: training mode is not restored.",
        evidence={"modules": len(names), "first call in another mode": late.call},
        location=late.location,
        remedy="model.train()  # at the start of every training step",
    )


def _left(names: list[str], event: Event) -> Finding:
    return Finding(
        ID,
        "error",
        f"{listed(names)} learn in evaluation mode, by statistics that were never taken, while the "
        f"rest of the model trains.",
        evidence={"modules": len(names), "batches that they have seen": 0},
        location=event.location,
        remedy="model.train()  # when the model is complete",
    )
