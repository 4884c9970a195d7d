"""Attributes that a module computes from a leaf while it is built, and never again.

``self.w = nn.Parameter(torch.ones(3)) * 0.5`` holds the product: the parameter is registered
nowhere, and no update of it would reach ``w``. Weight norm, too, holds a product, of parameters
that are registered.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torchproof.proofs.finding import Finding, listed
from torchproof.proofs.step.events import held_by
from torchproof.proofs.step.trial import state_tensors
from torchproof.proofs.tensors.hidden import computed_tensors
from torchproof.proofs.tensors.spread import leaves_behind


if TYPE_CHECKING:
    from torchproof.proofs.bench import Bench

RULE = "parameter-sets"


def computed_once(bench: Bench) -> list[str]:
    """Return such attributes by path, if the first call of the step gives the leaf a gradient."""
    with bench.trial() as trial:
        registered = (*state_tensors(trial.trainee).values(), *held_by(trial.optimizers))
        known = {id(each) for each in registered}
        behind = {
            path: [leaf for leaf in leaves_behind(tensor) if id(leaf) not in known]
            for path, tensor in computed_tensors(trial.trainee.models).items()
        }
        if any(behind.values()):
            trial.step()
        return [path for path, each in behind.items() if any(one.grad is not None for one in each)]


def never_learned(paths: list[str]) -> Finding:
    """Say that these attributes were computed when the model was built, from what nobody holds."""
    return Finding(
        RULE,
        "error",
        f"{listed(paths)} was computed from a parameter when the model was built, and no module "
        f"has registered that parameter: it is never trained, and every call uses the same value.",
        evidence={"attributes": len(paths)},
        remedy=f"self.{paths[0].rpartition('.')[2]} = torch.nn.Parameter(...)  # the last "
        f"operation, after all arithmetic and .to()",
    )
