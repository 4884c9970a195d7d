"""Training and evaluation mode, where it makes a difference."""

from __future__ import annotations

from typing import Any

import torch
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.dropout import _DropoutNd


def modes(model: torch.nn.Module) -> dict[str, tuple[bool, float]]:
    """Return, for the modules whose mode matters, their mode and the share they drop."""
    return {
        name: (module.training, _share(module))
        for name, module in model.named_modules()
        if isinstance(module, _BatchNorm) or _share(module) > 0
    }


def _share(module: Any) -> float:
    """Return the share of values that a module drops in training."""
    if isinstance(module, _DropoutNd):
        return float(module.p)
    if isinstance(module, (torch.nn.RNNBase, torch.nn.MultiheadAttention)):
        return float(module.dropout)
    return 0.0
