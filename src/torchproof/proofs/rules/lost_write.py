"""A weight that is computed before every forward pass cannot be written to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Optional

import torch
from torch.nn.utils.prune import BasePruningMethod
from torch.nn.utils.weight_norm import WeightNorm

from torchproof.proofs.finding import Finding, listed
from torchproof.proofs.rule import rule
from torchproof.proofs.step.writes import writes


if TYPE_CHECKING:
    from collections.abc import Iterator

    from torchproof.proofs.bench import Bench
    from torchproof.proofs.step.writes import Write, Writes
    from torchproof.proofs.trainee import Trainee

ID = "lost-write"


class _Computed(NamedTuple):
    """A weight that a forward pre-hook computes from tensors of its module."""

    path: str
    weight: Any
    sources: list[torch.Tensor]
    again: torch.Tensor


class _Lost(NamedTuple):
    """A write that the next forward pass undoes, and by how much."""

    path: str
    gap: float
    write: Write


@rule(
    ID,
    summary="no write goes to a weight that weight_norm or pruning computes anew",
    source="TCN and HiFi-GAN: weight.data.normal_() after torch.nn.utils.weight_norm",
    needs=(),
    severity="warning",
)
def lost_write(bench: Bench) -> Iterator[Finding]:
    """What ``build`` writes to a weight is still there in the forward pass.

    With ``torch.nn.utils.weight_norm`` and ``torch.nn.utils.prune`` a module's weight is no
    parameter: a hook computes it before every forward pass, from ``weight_g`` and ``weight_v`` or
    from ``weight_orig`` and its mask. Decided after a build in which writes in place are noted: it
    is lost if such a weight was written to, what it is computed from only before that, and the
    hook, asked there and then, computes another: an element is off by more than n + 4 roundings, n
    being the number of elements. A warning, since what such a model then starts from, torch's own
    initial weights, may be as good.

    Assumes that who writes to a weight means the model to use it. Parametrizations are not judged:
    they hand out a new tensor each time, which may be written to for another use. Nor are weights
    that are cast after the write. Skipped never.
    """
    if not any(True for _ in _hooks(bench.trainee)):
        return
    by_line: dict[Optional[str], list[_Lost]] = {}
    for each in _lost(bench):
        by_line.setdefault(each.write.location, []).append(each)
    for line, several in by_line.items():
        yield _finding(line, several)


def _hooks(trainee: Trainee) -> Iterator[tuple[str, torch.nn.Module, Any, str]]:
    """Give each module whose weight a hook computes: path, module, hook and the weight's name."""
    for key, model in trainee.models.items():
        for path, module in model.named_modules(prefix=key):
            for hook in module._forward_pre_hooks.values():  # noqa: SLF001 - torch has no public name for it
                if isinstance(hook, WeightNorm):
                    yield path, module, hook, hook.name
                elif isinstance(hook, BasePruningMethod):
                    yield path, module, hook, hook._tensor_name  # noqa: SLF001 - as above


def _computed(trainee: Trainee) -> Iterator[_Computed]:
    for path, module, hook, name in _hooks(trainee):
        own = {
            **dict(module.named_parameters("", recurse=False)),
            **dict(module.named_buffers("", recurse=False)),
        }
        sources = [each for key, each in own.items() if key.startswith(f"{name}_")]
        with torch.no_grad():
            norm = isinstance(hook, WeightNorm)
            again = hook.compute_weight(module) if norm else hook.apply_mask(module)
        yield _Computed(f"{path}.{name}".strip("."), getattr(module, name), sources, again)


def _lost(bench: Bench) -> Iterator[_Lost]:
    with writes() as log, bench.trial() as trial:
        found = list(_computed(trial.trainee))
    for each in found:
        written, gap = log.to(each.weight), _gap(each)
        if written and gap and _stale(each, written[-1], log):
            yield _Lost(each.path, gap, written[-1])


def _stale(computed: _Computed, write: Write, log: Writes) -> bool:
    """Tell whether what a weight is computed from is the same as when the weight was written.

    It is if it was written to before and not after. A cast gives it other memory, in which the
    writes before the cast do not show.
    """
    orders = [each.order for source in computed.sources for each in log.to(source)]
    return bool(orders) and max(orders) < write.order


def _gap(computed: _Computed) -> float:
    """Return how far the written weight is from the computed one; 0 if no farther than rounding."""
    weight, again = computed.weight.detach(), computed.again
    eps = max(torch.finfo(each.dtype).eps for each in (weight, again))
    gap = (weight.to(again) - again).abs()
    bound = (weight.numel() + 4) * eps * again.abs()
    return gap.max().item() if bool((gap > bound).any()) else 0.0


def _finding(line: Optional[str], several: list[_Lost]) -> Finding:
    names = [each.path for each in several]
    return Finding(
        ID,
        "warning",
        f"What is written to {listed(names)} is lost: the forward pass computes "
        f"{'it' if len(names) == 1 else 'them'} anew.",
        evidence={
            "weights": len(names),
            "largest difference that is lost": max(each.gap for each in several),
        },
        location=line,
        remedy="nn.init.normal_(layer.weight, 0, 0.01)  # before weight_norm(layer), which keeps "
        "what it finds",
    )
