"""What happened in the step, in order: forward and backward passes, clipping, updates, schedules.

`Chronicle` writes the order down. What torch has no hook for (a GradScaler, a scheduler, seeding)
is wrapped for the block and is as before afterwards.
"""

from __future__ import annotations

import sys
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple, Optional

import torch
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from torchproof.proofs.process.overrides import overriding, wrapped
from torchproof.proofs.process.places import running, user_line
from torchproof.proofs.step.loss_calls import maker
from torchproof.proofs.step.trial import parameters


if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from torch.optim import Optimizer

    from torchproof.proofs.step.trial import Trial

_CLIPPING = ("_foreach_norm", "tensor", "_foreach_clamp_min_", "clamp_")
_CLIPPERS = ("clip_grad_norm_", "clip_grad_value_")
_DEPTH = 12
# Before torch 2.3 there is one for CUDA only.
SCALER: Any = getattr(torch.amp, "GradScaler", torch.cuda.amp.GradScaler)


class Event(NamedTuple):
    """One thing that happened in a call of the step, counted from 0.

    ``kind`` is ``forward`` (of a model), ``part`` (of one of its modules, not called by it),
    ``backward``, ``clip``, ``unscale``, ``update``, ``clear`` (by the optimizer), ``schedule`` or
    ``seed``; ``touched`` holds the ids of the parameters concerned.
    """

    kind: str
    call: int
    touched: frozenset[int]
    location: Optional[str]
    facts: Mapping[str, Any]


class Chronicle:
    """Writes down what happens, in order."""

    def __init__(self, trial: Trial) -> None:
        self.events: list[Event] = []
        self._trial = trial
        self._scaled: dict[int, tuple[Any, float]] = {}
        self._updating: list[int] = []

    def note(self, kind: str, touched: Iterable[Any] = (), **facts: Any) -> None:
        """Write one event down, at the user's line that is running."""
        ids = frozenset(id(each) for each in touched)
        self.events.append(Event(kind, len(self._trial.losses), ids, user_line(), facts))

    def backward(self, root: Any, leaves: Iterable[torch.Tensor]) -> None:
        """Write a backward pass down: from which value, and times which loss scale."""
        single = isinstance(root, torch.Tensor) and root.numel() == 1
        value = float(root.detach()) if single and not root.is_complex() else None
        scale = self._scaled[id(root)][1] if id(root) in self._scaled else 1.0
        facts = {"made": maker(root), "nonzero": set(), "not finite": set(), "left": {}}
        self.note("backward", leaves, root=value, scale=scale, **facts)

    def delivered(self, parameter: torch.Tensor) -> None:
        """Add a gradient that has arrived to the backward pass that brought it."""
        last = next((each for each in reversed(self.events) if each.kind == "backward"), None)
        grad = parameter.grad
        if last is None or grad is None:
            return
        values = grad.coalesce().values() if grad.is_sparse else grad.detach()
        last.facts["left"][id(parameter)] = _version(grad)
        if bool(values.any()):
            last.facts["nonzero"].add(id(parameter))
        if not bool(torch.isfinite(values).all()):
            last.facts["not finite"].add(id(parameter))

    def update(self, optimizer: Optimizer) -> None:
        """Write an update down: whether it finds the gradients as a backward pass left them.

        ``unscales``: a GradScaler has told the optimizer to divide by the loss scale itself.
        ``inside`` is the number of events that it holds, those of a closure.
        """
        held = held_by([optimizer])
        left: dict[int, Any] = {}
        for each in (event for event in self.events if event.kind == "backward"):
            left.update(each.facts["left"])
        grads = {id(each): each.grad for each in held if each.grad is not None}
        as_left = all(_version(grad) == left.get(key) for key, grad in grads.items())
        unscales = getattr(optimizer, "grad_scale", None) is not None
        facts = {"as_left": as_left, "unscales": unscales, "running": running(), "inside": [0]}
        self.note("update", held, optimizer=optimizer, **facts)
        self._updating.append(len(self.events))

    def updated(self) -> None:
        """Note that the update that began last has come to its end."""
        place = self._updating.pop()
        self.events[place - 1].facts["inside"][0] = len(self.events) - place

    def operation(self, name: str) -> None:
        """Recognise gradient clipping by the torch function that calls this operation."""
        if name not in _CLIPPING:
            return
        frame: Any = sys._getframe(2)  # noqa: SLF001 - the documented way to a frame
        for _ in range(_DEPTH):
            if frame is None or not frame.f_code.co_filename.endswith("clip_grad.py"):
                return
            if frame.f_code.co_name in _CLIPPERS:
                self._clip(frame.f_locals)
                return
            frame = frame.f_back

    def _clip(self, local: Mapping[str, Any]) -> None:
        given, grads = local.get("parameters"), local.get("grads", ())
        several = given if isinstance(given, list) else self._of_generator(grads)
        some = any(bool(each.any()) for each in grads)
        limit = local.get("max_norm", local.get("clip_value", 0.0))
        self.note("clip", several, limit=float(limit), empty=not some, nothing=not several)

    def _of_generator(self, grads: Iterable[torch.Tensor]) -> list[torch.Tensor]:
        """Return the parameters that a generator gave, which is used up by now, by their gradients.

        Newer releases of torch make a list of it first. Where it gave none that has a gradient,
        those without one may be the ones that it gave.
        """
        known = parameters(self._trial.trainee).values()
        memory = {each.data_ptr() for each in grads}
        if not memory:
            return [each for each in known if each.requires_grad and each.grad is None]
        return [each for each in known if each.grad is not None and each.grad.data_ptr() in memory]

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Hear of scalers, schedulers and seeding in the block."""
        with ExitStack() as stack:
            stack.enter_context(wrapped(SCALER, "scale", after=self._scale))
            stack.enter_context(wrapped(SCALER, "unscale_", before=self._unscale))
            clear = self._clear
            stack.enter_context(wrapped(torch.optim.Optimizer, "zero_grad", before=clear))
            for kind in overriding("step", LRScheduler, ReduceLROnPlateau):
                stack.enter_context(wrapped(kind, "step", before=self._schedule))
            stack.enter_context(wrapped(torch, "manual_seed", before=lambda *_: self.note("seed")))
            yield

    def _scale(self, scaler: Any, result: Any) -> None:
        if scaler.is_enabled():
            for each in [result] if isinstance(result, torch.Tensor) else list(result):
                self._scaled[id(each)] = (each, float(scaler.get_scale()))

    def _unscale(self, scaler: Any, optimizer: Any = None, *_: Any) -> None:
        if scaler.is_enabled():
            self.note("unscale", held_by([optimizer]))

    def _clear(self, optimizer: Optimizer, *_: Any) -> None:
        self.note("clear", held_by([optimizer]), optimizer=optimizer, running=running())

    def _schedule(self, scheduler: Any, *given: Any) -> None:
        # Every scheduler steps once when it is made; one may call the step that it inherits.
        frame = sys._getframe(2)  # noqa: SLF001 - the documented way to a frame
        code = frame.f_code
        itself = [frame.f_locals.get(name) for name in code.co_varnames[:1]]
        inherited = code.co_name == "step" and any(each is scheduler for each in itself)
        if inherited or code.co_name in ("_initial_step", "__init__"):
            return
        inner = getattr(scheduler, "_schedulers", [])
        owners = [getattr(each, "optimizer", None) for each in (scheduler, *inner)]
        self.note("schedule", held_by(owners), scheduler=scheduler, given=bool(given))


@contextmanager
def halved_scales() -> Iterator[None]:
    """Let every GradScaler begin with half its loss scale in the block."""

    def halve(scaler: Any, *_: Any) -> None:
        if scaler._scale is None:  # noqa: SLF001 - torch has no public name for it
            scaler._init_scale /= 2  # noqa: SLF001 - as above

    with wrapped(SCALER, "scale", before=halve):
        yield


def _version(grad: torch.Tensor) -> tuple[int, int]:
    """Tell a gradient's memory and how often it was written to."""
    return id(grad), grad._version  # noqa: SLF001 - torch has no public name for it


def held_by(optimizers: Iterable[Optional[Optimizer]]) -> list[torch.Tensor]:
    """Return the parameters that these optimizers hold."""
    known = [each for each in optimizers if isinstance(each, torch.optim.Optimizer)]
    return [each for one in known for group in one.param_groups for each in group["params"]]
