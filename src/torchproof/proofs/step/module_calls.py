"""The modules of the trainee that run during a step: which one inside which, in which mode."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Optional

import torch
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.module import (
    register_module_forward_hook,
    register_module_forward_pre_hook,
)

from torchproof.proofs.process.places import user_line
from torchproof.proofs.step.modes import modes
from torchproof.proofs.step.operands import tensors_among
from torchproof.proofs.tensors.trees import named_tensors


if TYPE_CHECKING:
    from collections.abc import Iterator

    from torchproof.proofs.step.events import Chronicle
    from torchproof.proofs.step.observation import Observation
    from torchproof.proofs.step.operands import Operands


class ModuleCalls:
    """Follows the calls of modules into an observation."""

    def __init__(self, seen: Observation, chronicle: Chronicle, operands: Operands) -> None:
        self._seen = seen
        self._chronicle = chronicle
        self._operands = operands
        models = seen.trial.trainee.models.items()
        self._known = {
            id(module): (key, model, part)
            for key, model in models
            for part, module in model.named_modules()
        }
        self._known.update((id(model), (key, model, "")) for key, model in models)
        self._running: list[str] = []

    @property
    def innermost(self) -> Optional[str]:
        """The path of the module that runs, None outside of all models."""
        return self._running[-1] if self._running else None

    def hooks(self) -> Iterator[Any]:
        """Install the hooks; yield their handles."""
        yield register_module_forward_pre_hook(self._enter)
        yield register_module_forward_hook(self._leave, always_call=True)

    def _enter(self, module: torch.nn.Module, given: Any) -> None:
        if id(module) in self._known:
            self._enter_known(module, given)
        elif self._running:
            call = len(self._seen.trial.losses)
            for each in module.parameters(recurse=False):
                self._seen.passing.setdefault(id(each), (each, call))
                self._seen.used.setdefault(id(each), user_line())

    def _enter_known(self, module: torch.nn.Module, given: Any) -> None:
        key, model, part = self._known[id(module)]
        if isinstance(module, _BatchNorm):
            learns = any(each.requires_grad for each in tensors_among(given))
            self._seen.learning_inputs[id(module)] = learns
        if not self._running and torch.is_grad_enabled():
            facts = {"model": key, "part": part, "training": model.training, "modes": modes(model)}
            self._chronicle.note("part" if part else "forward", model.parameters(), **facts)
        self._running.append(f"{key}.{part}".strip("."))

    def _leave(self, module: torch.nn.Module, _: Any, output: Any) -> None:
        if id(module) not in self._known or not self._running:
            return
        self._running.pop()
        if not self._running:
            for tensor in named_tensors(output).values():
                self._operands.returned(tensor)
