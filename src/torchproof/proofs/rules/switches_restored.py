"""The step must leave torch's switches where it found them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torchproof.proofs.finding import Finding
from torchproof.proofs.process.places import defined_at
from torchproof.proofs.rule import rule


if TYPE_CHECKING:
    from collections.abc import Iterator

    from torchproof.proofs.bench import Bench

ID = "switches-restored"
_CURES = {
    "gradients": "with torch.no_grad(): ...  # as a block, never no_grad().__enter__()",
    "inference mode": "with torch.inference_mode(): ...  # as a block",
    "default dtype": "torch.randn(..., dtype=torch.float64)  # instead of set_default_dtype",
    "autocast": "with torch.autocast(...): ...  # as a block",
    "deterministic algorithms": "torch.use_deterministic_algorithms(True)  # once, before training",
}


@rule(
    ID,
    summary="the step leaves gradient mode, default dtype, autocast and the like as they were",
    source="a leaked no_grad().__enter__() that ended all training behind it",
    needs=("observation",),
    severity="error",
)
def switches_restored(bench: Bench) -> Iterator[Finding]:
    """What holds for the whole process holds as before when the step is done.

    Decided by reading gradient mode, inference mode, default dtype, autocast and deterministic
    algorithms before the first call of the step and after the last. Deterministic algorithms
    switched on by the step are an info: they make training slower, not wrong.

    Assumes nothing. Skipped if the step cannot be watched.
    """
    for name, (old, new) in bench.observation.left.items():
        harmless = name == "deterministic algorithms"
        yield Finding(
            ID,
            "info" if harmless else "error",
            f"The step leaves {name} at {new}; it was {old}, and all later code runs with that.",
            evidence={"switch": name, "before": old, "after": new},
            location=defined_at(bench.observation.trial.trainee.step),
            remedy=_CURES[name],
        )
