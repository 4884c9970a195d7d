"""What training remembers in plain attributes, which no ``state_dict`` holds: an experiment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Optional

import torch

from torchproof.proofs.parameters.averages import is_moving_average
from torchproof.proofs.step.events import held_by
from torchproof.proofs.step.optimizers import optimizer_hooks
from torchproof.proofs.tensors.attributes import kept, plain_attributes, unlike, unsaved_buffers
from torchproof.proofs.tensors.bits import different


if TYPE_CHECKING:
    from torchproof.proofs.bench import Bench
    from torchproof.proofs.step.trial import Trial

    Fresh = dict[str, dict[str, Any]]

# Each costs nine steps.
_MOST_AVERAGES = 2
_SMALL = 2.0**-10


class Attribute(NamedTuple):
    """An attribute that training changes: its path, and how bad it is to lose it."""

    path: str
    severity: str


class Unsaved(NamedTuple):
    """Attributes that were given their first values back, and what came of it."""

    lost: list[Attribute]
    names: list[str]
    error: str


class _Owner(NamedTuple):
    """Something that is saved by its ``state_dict``."""

    path: str
    owner: Any
    severity: str


def unsaved(bench: Bench) -> Optional[Unsaved]:
    """Take away, before the last call, what a fresh object lacks; None if nothing comes of it.

    ``names`` are the tensors that come out different; ``error`` says why the call fails, if so.
    """
    if not _owners(bench.observation.trial):
        return None
    with bench.trial() as trial:
        owners = _owners(trial)
        fresh = {each.path: kept(_attributes(each.owner)) for each in owners}
        hooks = {each.path: _hooks(each.owner) for each in owners}
        _all_but_one(bench, trial)
        for each in _owners(trial):
            if _hooks(each.owner) != hooks.get(each.path, 0):
                # A flag may say that the hooks are there, and they are with a flag taken away, too.
                fresh[each.path] = kept(_attributes(each.owner))
        lost = _reset(trial, fresh)
        if not lost:
            return None
        try:
            trial.step()
        except Exception as error:  # noqa: BLE001 - the reset is to blame: undisturbed, it has run
            return Unsaved(lost, [], f"{type(error).__name__}: {error}")
        names = different(bench.reference.state, trial.state())
        moved = bench.differs(trial.losses)
    if not (names or moved) and any(each.severity == "error" for each in lost):
        names = different(*(_turned(bench, each) for each in (None, fresh)))
    if moved or not all(_is_lost(name, lost) for name in names):
        lost = _graver(bench, lost)
    return Unsaved(lost, names, "") if names or moved else None


def _all_but_one(bench: Bench, trial: Trial) -> None:
    for _ in range(len(bench.reference.losses) - 1):
        trial.step()


def _turned(bench: Bench, fresh: Optional[Fresh]) -> dict[str, torch.Tensor]:
    """Let memory decide the last update; return the state that this leads to."""
    with bench.trial() as trial:
        _all_but_one(bench, trial)
        if fresh is not None:
            _reset(trial, fresh)
        with optimizer_hooks(before=_turn):
            trial.step()
        return trial.state()


def _turn(optimizer: torch.optim.Optimizer) -> None:
    for each in held_by([optimizer]):
        if each.grad is not None:
            each.grad = each.grad * -_SMALL


def _is_lost(name: str, lost: list[Attribute]) -> bool:
    """Tell whether a tensor of the state is one of these attributes."""
    return any(f".{each.path}".endswith(f".{name}") for each in lost)


def _graver(bench: Bench, lost: list[Attribute]) -> list[Attribute]:
    """Call it an error if what is lost is a moving average."""
    if any(each.severity == "error" for each in lost):
        return lost
    averages = [each.path for each in lost[:_MOST_AVERAGES] if _averages(bench, each.path)]
    return [each._replace(severity="error") if each.path in averages else each for each in lost]


def _averages(bench: Bench, called: str) -> bool:
    path, _, name = called.rpartition(".")

    def owner(trial: Trial) -> Any:
        return next((each.owner for each in _owners(trial) if each.path == path), None)

    return is_moving_average(bench, owner, name)


def _owners(trial: Trial) -> list[_Owner]:
    models = trial.trainee.models.items()
    modules = [pair for key, model in models for pair in model.named_modules(prefix=key)]
    owners = [_Owner(path or type(each).__name__, each, "warning") for path, each in modules]
    owners += [_Owner(type(each).__name__, each, "error") for each in trial.optimizers]
    scheduler = trial.trainee.scheduler
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


def _hooks(owner: Any) -> int:
    """Return how many hooks are registered with a module and all below it."""
    parts = owner.modules() if isinstance(owner, torch.nn.Module) else ()
    tables = (table for part in parts for name, table in vars(part).items() if "_hooks" in name)
    return sum(len(table) for table in tables if isinstance(table, dict))


def _attributes(owner: Any) -> dict[str, Any]:
    return {**plain_attributes(owner), **unsaved_buffers(owner)}


def _reset(trial: Trial, fresh: Fresh) -> list[Attribute]:
    """Give changed attributes their first values back; return which."""
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
            lost.append(Attribute(f"{path}.{name}", severity if tensors else "warning"))
    return lost
