"""What was saved with a checkpoint and is not there when training goes on from it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Optional

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, MultiplicativeLR

from torchproof.proofs.finding import listed
from torchproof.proofs.step.checkpoints import SCHEDULERS
from torchproof.proofs.tensors.attributes import unlike


if TYPE_CHECKING:
    from collections.abc import Iterator

    from torchproof.proofs.step.checkpoints import Part, Resumption

_OF_FUNCTIONS = (LambdaLR, MultiplicativeLR)


class Left(NamedTuple):
    """A part that training goes on without: its class, what it had to tell and what it has now."""

    name: str
    saved: str
    found: str
    location: Optional[str]


def left_behind(resumption: Resumption) -> Iterator[Left]:
    """Give what training goes on without, the optimizer first.

    With an optimizer that begins anew on purpose, so may all the rest.
    """
    if _forgot(resumption):
        what = listed(resumption.remembers)
        yield Left(resumption.optimizer.kind.__name__, what, "nothing", resumption.location)
    elif not _goes_on(resumption):
        return
    for saved in resumption.saved:
        found = [each for each in resumption.found if each.kind is saved.kind]
        if found and _falls_back(saved, found[-1]):
            then, now = _position(saved), _position(found[-1])
            yield Left(saved.kind.__name__, then, now, resumption.location)


def _goes_on(resumption: Resumption) -> bool:
    """Tell whether the optimizer is the one that was saved, or has its state."""
    new = resumption.optimizer
    return new.restored or bool(new.known) or new.number in {p.number for p in resumption.saved}


def _forgot(resumption: Resumption) -> bool:
    """Tell whether an optimizer begins anew that is made like the one that was saved.

    It may do so on purpose: that is ruled out if another part of the checkpoint was restored, or if
    the same line goes on training from where it stood.
    """
    new = resumption.optimizer
    if new.known or not resumption.remembers:
        return False
    alike = [each for each in resumption.saved if each.kind is new.kind and each.known]
    alike = [each for each in alike if not unlike(each.made, new.made)]
    continues = resumption.at_once and any(each.line == new.line for each in alike)
    return (bool(alike) and (resumption.others or continues)) or _in_mid_schedule(resumption)


def _in_mid_schedule(resumption: Resumption) -> bool:
    """Tell whether a schedule was restored and its optimizer was not."""
    schedules = [each for each in resumption.found if issubclass(each.kind, SCHEDULERS)]
    further = any(each.restored and each.known > 0 for each in schedules)
    return further and not resumption.optimizer.restored


def _falls_back(saved: Part, found: Part) -> bool:
    """Tell whether a scheduler or a scaler is not what it was.

    A schedule that is made of functions may count from another start: its rates have to differ.
    """
    if issubclass(saved.kind, Optimizer) or unlike(saved.made, found.made):
        return False
    if not issubclass(saved.kind, SCHEDULERS):
        return bool(saved.number != found.number and saved.known != found.known)
    own = saved.number == found.number or not issubclass(saved.kind, _OF_FUNCTIONS)
    return bool(saved.known > found.known) and (own or bool(unlike(saved.rates, found.rates)))


def _position(part: Part) -> str:
    return f"{'epoch' if issubclass(part.kind, SCHEDULERS) else 'scale'} {part.known:g}"
