"""Freezing by a misspelt name freezes nothing."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from torchproof.proofs.finding import Finding, listed
from torchproof.proofs.parameters.deliberate import marked_untrained
from torchproof.proofs.rule import rule
from torchproof.proofs.step.trial import parameters
from torchproof.proofs.tensors.bits import different


if TYPE_CHECKING:
    from collections.abc import Iterator

    from torchproof.proofs.bench import Bench
    from torchproof.proofs.trainee import Trainee

ID = "stray-attributes"
# require_grad, required_grad, requires_grads, requires_gradient, requiresGrad ...
_MEANT = re.compile(r"requ?i?re?[sd]?_?_?grad(ient)?s?_?", re.IGNORECASE)


@rule(
    ID,
    summary="nothing is frozen by an attribute that torch does not know",
    source="TorchFix TOR002 (require_grad)",
    needs=(),
    severity="error",
)
def stray_attributes(bench: Bench) -> Iterator[Finding]:
    """``parameter.require_grad = False`` makes a new attribute and freezes nothing.

    Decided by reading the attributes that somebody has set on parameters and modules. An error if
    the name means ``requires_grad``, is not it (on a module not even that name is), and says False
    while what it is set on requires gradients; a warning if it agrees with them. An error, too, for
    ``trainable`` that is False on a parameter (another library's name) which an update moves.

    Assumes that an attribute of that name is meant to freeze. Skipped never.
    """
    wrong, idle = _strays(bench.trainee)
    wrong += _of_another_library(bench)
    for names, severity in ((wrong, "error"), (idle, "warning")):
        if not names:
            continue
        first = names[0].rpartition(".")[2]
        frees = "freezes nothing" if severity == "error" else "changes nothing"
        yield Finding(
            ID,
            severity,
            f"{listed(names)} = False {frees}: torch knows no attribute {first} there.",
            evidence={"attributes": len(names), "still require a gradient": severity == "error"},
            location=None,
            remedy="parameter.requires_grad = False, or module.requires_grad_(False)",
        )


def _strays(trainee: Trainee) -> tuple[list[str], list[str]]:
    wrong: list[str] = []
    idle: list[str] = []
    for path, owner, learns in _owners(trainee):
        for name, value in vars(owner).items():
            if _MEANT.fullmatch(name) and value is False:
                (wrong if learns else idle).append(f"{path}.{name}".strip("."))
    return wrong, idle


def _of_another_library(bench: Bench) -> list[str]:
    """Name the ``trainable = False`` of parameters that move nevertheless."""
    named = parameters(bench.trainee).items()
    marked = [name for name, each in named if marked_untrained(each)]
    if not marked or bench.reason_against("observation"):
        return []
    seen = bench.observation
    moved = set(different(seen.before, seen.after))
    return [f"{name}.trainable" for name in marked if name in moved]


def _owners(trainee: Trainee) -> Iterator[tuple[str, Any, bool]]:
    """Give parameters and modules, with whether they require gradients."""
    for path, parameter in parameters(trainee).items():
        yield path, parameter, parameter.requires_grad
    for key, model in trainee.models.items():
        for path, module in model.named_modules(prefix=key):
            own = [each.requires_grad for each in module.parameters()]
            yield path, module, bool(own) and all(own)
