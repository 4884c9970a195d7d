"""What a test author imports: proofs about training code that run on a CPU in seconds.

Names are found when they are first used (PEP 562), so that collecting tests never imports torch.
"""

from __future__ import annotations

import importlib
import importlib.util
from typing import TYPE_CHECKING, Any

from torchproof.errors import HostError, TorchproofError


if TYPE_CHECKING:
    from torchproof import synthetic
    from torchproof.adapters.huggingface import from_trainer
    from torchproof.adapters.lightning import from_lightning
    from torchproof.contracts.architecture import architecture
    from torchproof.contracts.lock import Architecture
    from torchproof.proofs.finding import Cost, Finding
    from torchproof.proofs.overfit import Overfit, overfit
    from torchproof.proofs.process.seeds import fix_seed
    from torchproof.proofs.prove import Proof, prove
    from torchproof.proofs.rule import Rule, rules
    from torchproof.proofs.trainee import Trainee
    from torchproof.proofs.weights import constant_weights, set_constant_weights

__version__ = "0.1.0"

__all__ = [
    "Architecture",
    "Cost",
    "Finding",
    "Overfit",
    "Proof",
    "Rule",
    "TorchproofError",
    "Trainee",
    "__version__",
    "architecture",
    "constant_weights",
    "fix_seed",
    "from_lightning",
    "from_trainer",
    "overfit",
    "prove",
    "rules",
    "set_constant_weights",
    "synthetic",
]

_HOMES = {
    "Architecture": "contracts.lock",
    "Cost": "proofs.finding",
    "Finding": "proofs.finding",
    "Overfit": "proofs.overfit",
    "Proof": "proofs.prove",
    "Rule": "proofs.rule",
    "Trainee": "proofs.trainee",
    "architecture": "contracts.architecture",
    "constant_weights": "proofs.weights",
    "fix_seed": "proofs.process.seeds",
    "from_lightning": "adapters.lightning",
    "from_trainer": "adapters.huggingface",
    "overfit": "proofs.overfit",
    "prove": "proofs.prove",
    "rules": "proofs.rule",
    "set_constant_weights": "proofs.weights",
}
_ROOMS = ("synthetic",)


def __getattr__(name: str) -> Any:
    if name not in _HOMES and name not in _ROOMS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if importlib.util.find_spec("torch") is None:
        what = "torch is not installed in this environment"
        raise HostError(what, f"torchproof.{name} needs it: install the torch your project uses.")
    module = importlib.import_module(f"torchproof.{_HOMES.get(name, name)}")
    value = module if name in _ROOMS else getattr(module, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
