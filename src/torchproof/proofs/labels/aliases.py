"""Labels that are a part of the inputs' own memory, written to in place."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Optional

import torch
from torch.nn.modules.module import register_module_forward_pre_hook
from torch.overrides import TorchFunctionMode

from torchproof.proofs.process.places import user_line
from torchproof.proofs.step.loss_calls import LOSSES, arguments
from torchproof.proofs.tensors.trees import named_tensors


if TYPE_CHECKING:
    from torchproof.proofs.bench import Bench


class Alias:
    """A write into a part of a batch's tensor, ``location`` being its line."""

    def __init__(self, written: torch.Tensor, location: Optional[str]) -> None:
        self.written = written
        self.location = location
        self.is_target = self.is_read = False


def labels_in_the_inputs(bench: Bench) -> Optional[Alias]:
    """Find a write in place to what the loss is given as target, which a model reads as well.

    The target is a part of a tensor of the batch, and a model is given another part of it, or the
    whole: who writes to labels has inputs written to.
    """
    with bench.trial() as trial, ExitStack() as stack:
        writes = _Writes()
        stack.callback(register_module_forward_pre_hook(writes.read).remove)
        stack.enter_context(writes)
        trial.step()
        memory = {storage(each) for each in trial.given.values()}
    found = [each for each in writes.found if storage(each.written) in memory]
    return next((each for each in found if each.is_target and each.is_read), None)


class _Writes(TorchFunctionMode):
    """Notes writes in place, targets of losses and what modules are given."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[Alias] = []

    def __torch_function__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        name = getattr(function, "__name__", "")
        result = function(*args, **kwargs)
        in_place = name == "__setitem__" or (name.endswith("_") and not name.endswith("__"))
        if in_place and args and isinstance(args[0], torch.Tensor):
            self.found.append(Alias(args[0].detach(), user_line()))
        if name in LOSSES:
            self._asked(arguments(args, kwargs).get("target"))
        return result

    def read(self, _: Any, given: Any) -> None:
        """Note what a module is given of the memory that is written to."""
        for tensor in named_tensors(given).values():
            for each in self.found:
                inside = storage(tensor) == storage(each.written)
                each.is_read |= inside and _part(tensor) != _part(each.written)

    def _asked(self, target: Any) -> None:
        for each in self.found:
            alike = isinstance(target, torch.Tensor) and target.numel() == each.written.numel()
            each.is_target |= alike and torch.equal(
                target.detach().flatten(), each.written.flatten().to(target)
            )


def storage(tensor: torch.Tensor) -> int:
    """Return where a tensor's memory begins, which its views share; its id if it has none."""
    strided = tensor.layout == torch.strided and not tensor.is_nested
    return tensor.untyped_storage().data_ptr() if strided else id(tensor)


def _part(tensor: torch.Tensor) -> tuple[Any, ...]:
    return tensor.storage_offset(), tuple(tensor.shape), tensor.stride()
