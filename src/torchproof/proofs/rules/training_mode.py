"""Training must happen in training mode."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torchproof.proofs.events import held_by
from torchproof.proofs.finding import Finding, listed
from torchproof.proofs.rule import rule


if TYPE_CHECKING:
    from collections.abc import Iterator

    from torchproof.proofs.bench import Bench
    from torchproof.proofs.events import Event
    from torchproof.proofs.observation import Observation

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

    Decided from the modes at the start of each forward pass with gradients, of each model that an
    optimizer updates. Only modules whose mode matters count (dropout above 0, batch norm).

    * all of them are in evaluation mode, and so is the model, in every pass (error; a warning if
      another model of the trainee trains in training mode, or if there are frozen parameters),
    * some are in training mode in the first call and in evaluation mode, or with their dropout at
      0, in a later one (error).

    Assumes that nobody puts a whole model with dropout or batch norm in evaluation mode to train
    it. Skipped if the step cannot be watched.
    """
    seen = bench.observation
    passes = _passes(seen)
    training = [key for key, events in passes.items() if not all(map(_evaluating, events))]
    for key, events in passes.items():
        if key not in training:
            yield _never(seen, key, events[0], sure=not training and not _partly_frozen(seen, key))
            continue
        names = _drifted(events)
        if names:
            yield _drift(names, events)


def _passes(seen: Observation) -> dict[str, list[Event]]:
    """Return, by model, the forward passes that train it and hold modules whose mode matters."""
    held = {id(each) for each in held_by(step.optimizer for step in seen.steps)}
    learning = held & seen.fed.keys()
    found: dict[str, list[Event]] = {}
    for event in seen.events:
        if event.kind == "forward" and event.facts["modes"] and event.touched & learning:
            found.setdefault(event.facts["model"], []).append(event)
    return found


def _evaluating(event: Event) -> bool:
    modes: Modes = event.facts["modes"]
    return not event.facts["training"] and not any(training for training, _ in modes.values())


def _partly_frozen(seen: Observation, key: str) -> bool:
    model = seen.trial.trainee.models[key]
    return not all(each.requires_grad for each in model.parameters())


def _drifted(events: list[Event]) -> list[str]:
    """Name the modules that trained in every pass of the first call and not in a later one."""
    first = [each.facts["modes"] for each in events if each.call == events[0].call]
    later = [each.facts["modes"] for each in events if each.call != events[0].call]
    return [
        name
        for name in first[0]
        if all(modes.get(name, (False, 0.0))[0] for modes in first)
        and any(not modes.get(name, (False, 0.0))[0] for modes in later)
    ]


def _never(seen: Observation, key: str, event: Event, *, sure: bool) -> Finding:
    modes: Modes = event.facts["modes"]
    kinds = sorted(
        {
            type(module).__name__
            for name, module in seen.trial.trainee.models[key].named_modules()
            if name in modes
        }
    )
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
    late = next(
        each
        for each in events
        if any(not each.facts["modes"].get(name, (False, 0.0))[0] for name in names)
    )
    return Finding(
        ID,
        "error",
        f"{listed(names)} train in the first call and evaluate from call {late.call} on: training "
        f"mode is not restored.",
        evidence={"modules": len(names), "first call in another mode": late.call},
        location=late.location,
        remedy="model.train()  # at the start of every training step",
    )
