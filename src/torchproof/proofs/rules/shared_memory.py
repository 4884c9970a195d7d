"""One weight must be one parameter."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

import torch

from torchproof.proofs.finding import Finding
from torchproof.proofs.rule import rule
from torchproof.proofs.step.trial import parameters


if TYPE_CHECKING:
    from collections.abc import Iterator

    from torchproof.proofs.bench import Bench
    from torchproof.proofs.step.observation import Observation

ID = "shared-memory"


@rule(
    ID,
    summary="no two parameters that are trained lie in the same memory",
    source="discuss.pytorch.org, weights tied by .data; TrainCheck, OSDI 2025 (tied weights lost)",
    needs=("observation",),
    severity="error",
)
def shared_memory(bench: Bench) -> Iterator[Finding]:
    """Weights are tied by being one parameter, not two in one memory.

    With ``head.weight.data = embed.weight.data`` each of the two gets its part of the gradient and
    its own momentum, an update moves the same numbers once for each of them, and ``to(device)``
    ends it. Decided by the memory of the parameters: two that lie in the same, without a gap, and
    that the updates of one call of the step both move.

    Assumes nothing. Skipped if the step cannot be watched.
    """
    seen = bench.observation
    places: dict[tuple[int, int, int], list[str]] = {}
    known = parameters(seen.trial.trainee)
    for name, each in known.items():
        if each.layout == torch.strided and each.numel() and each.device.type != "meta":
            key = (each.untyped_storage().data_ptr(), int(each.storage_offset()), each.numel())
            places.setdefault(key, []).append(name)
    for names in places.values():
        for first, second in combinations(names, 2):
            if _moved_twice(seen, id(known[first]), id(known[second])):
                yield _finding(first, second, known[first])
                return


def _moved_twice(seen: Observation, first: int, second: int) -> bool:
    moved = {(update.call, key) for update in seen.updates for key in update.moves}
    return any((call, first) in moved and (call, second) in moved for call, _ in moved)


def _finding(first: str, second: str, parameter: torch.Tensor) -> Finding:
    return Finding(
        ID,
        "error",
        f"{first} and {second} are two parameters in one memory: every update moves it twice, each "
        f"time by a part of the gradient.",
        evidence={"numbers in common": parameter.numel()},
        location=None,
        remedy=f"model.{second} = model.{first}  # the parameter itself, not its .data",
    )
