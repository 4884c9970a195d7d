"""Training must be able to go on from what is saved."""

from __future__ import annotations

import copy
import warnings
from typing import TYPE_CHECKING, Any, NamedTuple, Optional

import torch
from torch.optim.lr_scheduler import LRScheduler

from torchproof.proofs.finding import Finding, listed
from torchproof.proofs.parameters.averages import is_moving_average
from torchproof.proofs.parameters.memories import remembered, without_memory
from torchproof.proofs.process.places import defined_at
from torchproof.proofs.rule import rule
from torchproof.proofs.step.events import held_by
from torchproof.proofs.step.optimizers import optimizer_hooks
from torchproof.proofs.tensors.attributes import kept, plain_attributes, unlike, unsaved_buffers
from torchproof.proofs.tensors.bits import different


if TYPE_CHECKING:
    from collections.abc import Iterator

    from torchproof.proofs.bench import Bench
    from torchproof.proofs.step.trial import Trial
    from torchproof.proofs.step.updates import Update

ID = "resume"
# Each costs nine steps.
_MOST_AVERAGES = 2
_SMALL = 2.0**-10


class _Owner(NamedTuple):
    """Something that is saved by its ``state_dict``."""

    path: str
    owner: Any
    severity: str


@rule(
    ID,
    summary="training goes on the same after its state_dicts were saved and loaded",
    source="OneTrainer #1604; slime #1547; diffusers #8312",
    needs=("observation", "reproducible", "updates"),
    severity="error",
)
def resume(bench: Bench) -> Iterator[Finding]:
    """What training remembers between steps is in a ``state_dict``.

    Decided by an experiment, if a step changes a plain attribute or an unsaved buffer of a module,
    an optimizer or the declared scheduler: before the last call those attributes are given the
    values that they have in a fresh object, as after loading a checkpoint. If training then comes
    out with other bits, a resumed run is not the run it resumes: an error for the tensors of an
    optimizer and for moving averages, if something else than they comes out different; a warning
    otherwise (a hidden state may be meant to start anew). A moving average is what a step keeps a
    constant share of, which is tried by giving it other values before the last call. An optimizer's
    last update is also tried with gradients turned round and made small, as one that uses signs
    alone moves the same way for one batch.

    A scheduler with a ``state_dict`` of its own is loaded into a fresh one: the learning rate has
    to go on as that of the first does (error).

    An optimizer that keeps something for its parameters and finds nothing at each of its updates
    is made anew, or emptied, every time (error), unless something else writes to the parameters
    in between, as learners do that start anew on purpose.

    Assumes that objects are saved by their ``state_dict``; models and optimizers that bring one of
    their own, and torch's own, are trusted. Skipped if the step is not reproducible or fewer than
    two optimizer steps were seen.
    """
    yield from _schedule(bench)
    forgetful = without_memory(bench)
    if forgetful:
        yield _forgetful(forgetful)
    if not _owners(bench.observation.trial):
        return
    with bench.trial() as trial:
        fresh = {each.path: kept(_attributes(each.owner)) for each in _owners(trial)}
        for _ in range(len(bench.reference.losses) - 1):
            trial.step()
        lost = _reset(trial, fresh)
        if not lost:
            return
        try:
            trial.step()
        except Exception as error:  # noqa: BLE001 - the reset is to blame: undisturbed, it has run
            yield _finding(lost, f"the next step fails ({type(error).__name__}: {error})", [])
            return
        names = different(bench.reference.state, trial.state())
        moved = bench.differs(trial.losses)
    if not (names or moved) and any(severity == "error" for _, severity in lost):
        names = different(*(_turned(bench, fresh=each) for each in (None, fresh)))
    if names or moved:
        if moved or not all(_is_lost(name, lost) for name in names):
            lost = _graver(bench, lost)
        yield _finding(lost, f"{listed(names) or 'the loss'} come out different", names)


def _forgetful(updates: list[Update]) -> Finding:
    kind = type(updates[-1].optimizer).__name__
    anew = updates[0].optimizer is not updates[-1].optimizer
    what = f"A new {kind} is made for" if anew else f"The state of {kind} is emptied before"
    return Finding(
        ID,
        "error",
        f"{what} each update: what it remembers ({listed(remembered(updates[-1]))}) is thrown away "
        f"every time and never used.",
        evidence={"updates": len(updates), "updates that found a state": 0},
        location=updates[-1].location,
        remedy=f"optimizer = {kind}(...)  # once, where the model is made, and not in the step",
    )


def _turned(
    bench: Bench, fresh: Optional[dict[str, dict[str, Any]]] = None
) -> dict[str, torch.Tensor]:
    """Let memory decide the last update; return the state that this leads to."""
    with bench.trial() as trial:
        for _ in range(len(bench.reference.losses) - 1):
            trial.step()
        if fresh is not None:
            _reset(trial, fresh)
        with optimizer_hooks(before=_turn):
            trial.step()
        return trial.state()


def _turn(optimizer: torch.optim.Optimizer) -> None:
    for each in held_by([optimizer]):
        if each.grad is not None:
            each.grad = each.grad * -_SMALL


def _schedule(bench: Bench) -> Iterator[Finding]:
    kind = type(bench.trainee.scheduler)
    if not issubclass(kind, LRScheduler) or kind.state_dict is LRScheduler.state_dict:
        return
    if kind.__module__.partition(".")[0] == "torch":
        return
    with bench.trial() as trial:
        for _ in bench.reference.losses:
            trial.step()
        saved = copy.deepcopy(_saved(trial))
        rates = _next_rates(trial)
    with bench.trial() as trial:
        scheduler: Any = trial.trainee.scheduler
        scheduler.optimizer.load_state_dict(saved[0])
        scheduler.load_state_dict(saved[1])
        resumed = _next_rates(trial)
    if rates != resumed:
        yield Finding(
            ID,
            "error",
            f"A resumed run is not the run it resumes: with the state_dict of {kind.__name__} the "
            f"next learning rate is {resumed[0]:.6g}, without a break {rates[0]:.6g}.",
            evidence={"saved": listed([str(name) for name in saved[1]])},
            location=defined_at(kind.state_dict),
            remedy="leave state_dict to LRScheduler, or save last_epoch and what else get_lr reads",
        )


def _saved(trial: Trial) -> tuple[Any, Any]:
    scheduler: Any = trial.trainee.scheduler
    return scheduler.optimizer.state_dict(), scheduler.state_dict()


def _next_rates(trial: Trial) -> list[float]:
    scheduler: Any = trial.trainee.scheduler
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that no update comes before it
        scheduler.step()
    return [float(group["lr"]) for group in scheduler.optimizer.param_groups]


def _is_lost(name: str, lost: list[tuple[str, str]]) -> bool:
    """Tell whether a tensor of the state is one of these attributes."""
    return any(f".{attribute}".endswith(f".{name}") for attribute, _ in lost)


def _graver(bench: Bench, lost: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Call it an error if what is lost is a moving average."""
    if any(severity == "error" for _, severity in lost):
        return lost
    averages = [name for name, _ in lost[:_MOST_AVERAGES] if _averages(bench, name)]
    return [(name, "error" if name in averages else severity) for name, severity in lost]


def _averages(bench: Bench, called: str) -> bool:
    path, _, name = called.rpartition(".")

    def owner(trial: Trial) -> Any:
        return next((each.owner for each in _owners(trial) if each.path == path), None)

    return is_moving_average(bench, owner, name)


def _owners(trial: Trial) -> list[_Owner]:
    models = trial.trainee.models.items()
    modules = [pair for key, model in models for pair in model.named_modules(prefix=key)]
    owners = [_Owner(path or type(each).__name__, each, "warning") for path, each in modules]
    optimizers = [_Owner(type(each).__name__, each, "error") for each in trial.optimizers]
    scheduler = trial.trainee.scheduler
    owners += optimizers
    if scheduler is not None:
        owners.append(_Owner(type(scheduler).__name__, scheduler, "warning"))
    return [each for each in owners if _hides(each.owner)]


def _hides(owner: Any) -> bool:
    """Tell whether an object of the user's may hold state that its state_dict leaves out."""
    kind = type(owner)
    if kind.__module__.partition(".")[0] == "torch" or not hasattr(owner, "__dict__"):
        return False
    bases = (torch.nn.Module, torch.optim.Optimizer)
    theirs = next((base for base in bases if isinstance(owner, base)), None)
    if theirs is None or kind.state_dict is not theirs.state_dict:
        return False
    return not (theirs is bases[0] and kind.get_extra_state is not bases[0].get_extra_state)


def _attributes(owner: Any) -> dict[str, Any]:
    return {**plain_attributes(owner), **unsaved_buffers(owner)}


def _reset(trial: Trial, fresh: dict[str, dict[str, Any]]) -> list[tuple[str, str]]:
    """Give changed attributes their first values back; return their names and severities."""
    lost = []
    for path, owner, severity in _owners(trial):
        before = fresh.get(path, {})
        now = _attributes(owner)
        for name in unlike(before, now):
            if name not in before:
                delattr(owner, name)
            else:
                setattr(owner, name, before[name])
            tensors = isinstance(now.get(name), (torch.Tensor, list, dict))
            lost.append((f"{path}.{name}", severity if tensors else "warning"))
    return lost


def _finding(lost: list[tuple[str, str]], what: str, names: list[str]) -> Finding:
    severity = "error" if any(each == "error" for _, each in lost) else "warning"
    called = [name for name, _ in lost]
    return Finding(
        ID,
        severity,
        f"A resumed run is not the run it resumes: {listed(called)} changes while training and is "
        f"not in the state_dict; without it, {what}.",
        evidence={"attributes lost": len(lost), "tensors that differ": len(names)},
        location=None,
        remedy="keep it in optimizer.state[parameter], or in a buffer of the module",
    )
