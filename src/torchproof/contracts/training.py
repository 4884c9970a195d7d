"""What a model does only in train mode, and which of its buffers that changes.

A rehearsal, a few forward passes of a copy in train mode, tells both: a few, because chance may
skip a layer in one of them. A buffer that they move (batch norm's statistics, a codebook) is
learned and is filled like a weight; one that stays (a mask, a table of positions) is a constant and
part of the function. Operations that only the first pass runs are train-only, and so are
probabilities and momenta that modules hold.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Optional

import torch

from torchproof.contracts.answers import weighted_sum
from torchproof.contracts.copies import copied
from torchproof.contracts.model import Constant, Operations
from torchproof.contracts.watch import Watch
from torchproof.proofs.process.seeds import fix_seed


if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torchproof.proofs.step.inference import Arguments

_PASSES = 8  # a layer that is skipped half of the time is missed once in 256
_LEARNED = ("running_mean", "running_var", "num_batches_tracked")
_FACTS = ("p", "dropout", "drop_prob", "drop_path", "dropout_p", "layerdrop", "momentum")


class Rehearsal(NamedTuple):
    """The buffers that training changes, and what ran; None where train mode raises."""

    learned: frozenset[str]
    operations: Optional[Operations]


def rehearse(model: torch.nn.Module, calls: Sequence[Arguments]) -> Rehearsal:
    """Run a copy in train mode on the first of the calls that it takes."""
    named = {name for name, _ in model.named_buffers() if _is_learned(name)}
    for args, kwargs in calls:
        tried = copied(model).train()
        watch = Watch(promote=True, training=True)
        leave = watch.follow(tried)
        before = {name: one.clone() for name, one in tried.named_buffers()}
        try:
            with fix_seed(0), torch.no_grad():
                with watch:
                    tried(*args, **kwargs)
                leave()
                with Watch(promote=True, training=True):
                    for _ in range(_PASSES - 1 if before else 0):
                        tried(*args, **kwargs)
        except Exception:  # noqa: BLE001, S112 - a model may raise anything; the next call, or the names, have to do
            continue
        finally:
            leave()
        moved = {name for name, one in tried.named_buffers() if _moved(before.get(name), one)}
        return Rehearsal(frozenset(named | moved), watch.operations())
    return Rehearsal(frozenset(named), None)


def facts(model: torch.nn.Module, rehearsal: Rehearsal, evaluated: Operations) -> Operations:
    """Return by module what differs only in train mode: ``p=0.5``, ``bernoulli p=0.9``."""
    found: Operations = {}
    for path, part in model.named_modules():
        values = [(name, getattr(part, name, None)) for name in _FACTS]
        found[path] = [f"{name}={v}" for name, v in values if isinstance(v, float)]
    for path, operations in (rehearsal.operations or {}).items():
        usual = set(evaluated.get(path, ()))
        found[path] = [*found.get(path, ()), *(one for one in operations if one not in usual)]
    return {path: listed for path, listed in sorted(found.items()) if listed}


def constants(model: torch.nn.Module, learned: frozenset[str]) -> Mapping[str, Constant]:
    """Return what is remembered of the buffers that are constants, by name."""
    return {
        name: _constant(one)
        for name, one in sorted(model.named_buffers())
        if name not in learned and one.layout == torch.strided and one.numel()
    }


def _constant(one: torch.Tensor) -> Constant:
    plain = torch.view_as_real(one.resolve_conj()) if one.is_complex() else one
    values = plain.detach().cpu().to(torch.float64)
    finite = torch.where(torch.isfinite(values), values, torch.full_like(values, -1.0))
    norm = float(f"{float(finite.norm()):.12g}")
    return Constant(tuple(one.shape), norm, weighted_sum("constant", finite))


def _is_learned(name: str) -> bool:
    # torch's orthogonal parametrization draws a buffer at random and saves it with the weights.
    return name.rpartition(".")[2] in _LEARNED or "parametrizations" in name.split(".")


def _moved(before: Optional[torch.Tensor], after: torch.Tensor) -> bool:
    if before is None:
        return False
    return before.shape != after.shape or not torch.equal(before, after)
