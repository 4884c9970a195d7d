"""Checkpoints that are taken and restored in one process, as training goes on from them.

What is asked for its ``state_dict`` between two updates is one checkpoint. Training goes on from it
when a module is loaded and the next update of the parameters that it holds begins with the very
bits that they had at the checkpoint.
"""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from itertools import count
from typing import TYPE_CHECKING, Any, NamedTuple, Optional
from weakref import WeakKeyDictionary

import torch
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from torchproof.proofs.process.overrides import overriding, wrapped
from torchproof.proofs.process.places import user_line
from torchproof.proofs.step.events import SCALER, held_by
from torchproof.proofs.step.optimizers import optimizer_hooks, remembered
from torchproof.proofs.step.updates import unwatched
from torchproof.proofs.tensors.attributes import kept, plain_attributes
from torchproof.proofs.tensors.bits import same


if TYPE_CHECKING:
    from collections.abc import Iterator

SCHEDULERS = (LRScheduler, ReduceLROnPlateau)
_SAVED = (Optimizer, *SCHEDULERS, SCALER)
# What a scheduler changes while it steps; its other plain attributes are how it was made.
_PROGRESS = (
    *("T_cur", "T_i", "_get_lr_called_within_step", "_is_initial", "_last_lr", "_step_count"),
    *("base_lrs", "best", "cooldown_counter", "last_epoch", "num_bad_epochs"),
)


class Part(NamedTuple):
    """What an optimizer, a scheduler or a GradScaler was at one moment.

    ``number`` tells objects apart, ``made`` is how it was made; ``known`` is what it had to tell:
    the names of the tensors that an optimizer keeps, the epoch of a schedule, a loss scale.
    ``rates`` are the learning rates of its optimizer and ``line`` the one that last stepped it;
    ``restored``: a state was loaded into it since the checkpoint.
    """

    number: int
    kind: type
    made: dict[str, Any]
    known: Any
    rates: dict[str, Any]
    line: Optional[str]
    restored: bool


class Resumption(NamedTuple):
    """The first update of an optimizer behind a module's ``load_state_dict``.

    ``saved`` are the parts of the last checkpoint, if it was taken at these very bits; ``found``
    those in use now, of which ``optimizer`` is one. ``others`` tells whether a state was loaded
    into another part, ``at_once`` whether no update lies between the checkpoint and the load, which
    was at ``location``; ``remembers`` names what the optimizer keeps behind the update.
    """

    optimizer: Part
    saved: list[Part]
    found: list[Part]
    others: bool
    at_once: bool
    remembers: list[str]
    location: Optional[str]


class Checkpoints:
    """Writes down the resumptions of a block."""

    def __init__(self) -> None:
        self.resumptions: list[Resumption] = []
        self._saved: list[tuple[Part, list[torch.Tensor]]] = []
        self._updated = True
        self._at_once = False
        self._loaded: dict[int, torch.Tensor] = {}
        self._location: Optional[str] = None
        self._begun: Optional[Resumption] = None
        self._counter = count()
        self._numbers: WeakKeyDictionary[Any, int] = WeakKeyDictionary()
        self._restored: WeakKeyDictionary[Any, None] = WeakKeyDictionary()
        self._used: WeakKeyDictionary[Any, None] = WeakKeyDictionary()
        self._lines: WeakKeyDictionary[Any, Optional[str]] = WeakKeyDictionary()

    @contextmanager
    def watched(self) -> Iterator[list[Resumption]]:
        """Watch what is built and trained in the block."""
        with ExitStack() as stack:
            for name, after in (("state_dict", self._save), ("load_state_dict", self._restore)):
                for kind in overriding(name, *_SAVED):
                    stack.enter_context(wrapped(kind, name, after=after))
            for kind in overriding("step", *SCHEDULERS):
                stack.enter_context(wrapped(kind, "step", before=self._use))
            stack.enter_context(wrapped(ReduceLROnPlateau, "__init__", after=self._use))
            stack.enter_context(wrapped(SCALER, "scale", before=self._use))
            stack.enter_context(wrapped(torch.nn.Module, "load_state_dict", after=self._load))
            stack.enter_context(optimizer_hooks(before=self._before, after=self._after))
            yield self.resumptions

    def _save(self, owner: Any, _: Any) -> None:
        if self._updated:
            self._updated = False
            self._saved.clear()
            self._loaded.clear()
            self._restored.clear()
        with unwatched():
            values = [each.detach().clone() for each in held_by([_optimizer(owner)])]
            self._saved.append((self._part(owner), values))

    def _restore(self, owner: Any, _: Any) -> None:
        self._restored[owner] = None

    def _use(self, owner: Any, *_: Any) -> None:
        self._used.pop(owner, None)
        self._used[owner] = None

    def _load(self, module: torch.nn.Module, _: Any) -> None:
        self._loaded.update((id(each), each) for each in module.parameters())
        self._location = user_line()
        self._at_once = not self._updated

    def _before(self, optimizer: Optimizer) -> None:
        self._lines[optimizer] = user_line()
        held = held_by([optimizer])
        if held and all(id(each) in self._loaded for each in held):
            with unwatched():
                self._begun = self._resumption(optimizer, held)
            for each in held:
                self._loaded.pop(id(each), None)
        self._updated = True

    def _after(self, optimizer: Optimizer) -> None:
        if self._begun is not None and self._begun.optimizer.number == self._number(optimizer):
            with unwatched():
                self.resumptions.append(self._begun._replace(remembers=remembered(optimizer)))
            self._begun = None

    def _resumption(self, optimizer: Optimizer, held: list[torch.Tensor]) -> Resumption:
        here = [part for part, values in self._saved if _same_values(values, held)]
        scalers = [part for part, _ in self._saved if issubclass(part.kind, SCALER)]
        saved = [*here, *scalers] if here else []
        used = [each for each in self._used if _optimizer(each) in (optimizer, None)]
        found = [self._part(each) for each in (optimizer, *used)]
        others = any(each is not optimizer for each in self._restored)
        return Resumption(found[0], saved, found, others, self._at_once, [], self._location)

    def _part(self, owner: Any) -> Part:
        optimizer = _optimizer(owner)
        groups = [] if optimizer is None else optimizer.param_groups
        rates = kept({str(place): group.get("lr") for place, group in enumerate(groups)})
        line, restored = self._lines.get(owner), owner in self._restored
        made, known = kept(_made(owner)), _known(owner)
        return Part(self._number(owner), type(owner), made, known, rates, line, restored)

    def _number(self, owner: Any) -> int:
        if owner not in self._numbers:
            self._numbers[owner] = next(self._counter)
        return self._numbers[owner]


def _optimizer(owner: Any) -> Optional[Optimizer]:
    known = owner if isinstance(owner, Optimizer) else getattr(owner, "optimizer", None)
    return known if isinstance(known, Optimizer) else None


def _made(owner: Any) -> dict[str, Any]:
    if isinstance(owner, Optimizer):
        return {**owner.defaults}
    plain = plain_attributes(owner) if isinstance(owner, SCHEDULERS) else {}
    return {name: value for name, value in plain.items() if name not in _PROGRESS}


def _known(owner: Any) -> Any:
    if isinstance(owner, Optimizer):
        return remembered(owner)
    if isinstance(owner, SCHEDULERS):
        return getattr(owner, "last_epoch", 0)
    return float(owner.get_scale())


def _same_values(saved: list[torch.Tensor], now: list[torch.Tensor]) -> bool:
    pairs = zip(saved, now)
    return len(saved) == len(now) > 0 and all(same(old, new.detach()) for old, new in pairs)
