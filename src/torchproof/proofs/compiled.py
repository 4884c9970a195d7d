"""Models that ``torch.compile`` runs: found, and run without it."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any, Optional

import torch


if TYPE_CHECKING:
    from torchproof.proofs.trainee import Trainee


def compiled_part(trainee: Trainee) -> Optional[torch.nn.Module]:
    """Return the first model, or part of one, that is compiled."""
    for model in trainee.models.values():
        for part in model.modules():
            compiled = getattr(part, "_compiled_call_impl", None) is not None
            inner: Any = getattr(part, "_orig_mod", part if compiled else None)
            if isinstance(inner, torch.nn.Module):
                return inner
    return None


def interpreted(trainee: Trainee) -> AbstractContextManager[Any]:
    """Run the trainee's compiled models as they are written; before torch 2.6 nothing changes.

    Hooks and modes of an experiment would be compiled too, once for each, until dynamo gives up.
    """
    compiler: Any = torch.compiler
    if compiled_part(trainee) is None or not hasattr(compiler, "set_stance"):
        return nullcontext()
    stance: AbstractContextManager[Any] = compiler.set_stance("force_eager")
    return stance
