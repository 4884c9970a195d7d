"""What a dispatch mode can tell of the operations that it meets."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from torchproof.proofs.step.loss_calls import is_wrapped
from torchproof.proofs.tensors.trees import tensors


class Watcher(TorchDispatchMode):  # type: ignore[no-untyped-call] # torch leaves it untyped
    """Meets the operations of a block; a composition, as inference mode shows it, by its parts."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]

    def __torch_dispatch__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        """Meet an operation."""
        kwargs = kwargs or {}
        if _composed(function):
            with self:
                return function.decompose(*args, **kwargs)
        return self.meet(function, args, kwargs)

    def meet(self, function: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        """Run one operation and return its result."""
        raise NotImplementedError


def written(function: Any, args: Any, kwargs: dict[str, Any]) -> list[torch.Tensor]:
    """Return the arguments that an operation writes to."""
    targets = _targets(function)
    return tensors(args[at] if at < len(args) else kwargs.get(name) for at, name in targets)


def memory(tensor: torch.Tensor) -> int:
    """Return where a tensor's memory begins, which its views share; 0 for one that has none."""
    plain = type(tensor) in (torch.Tensor, torch.nn.Parameter) and not tensor.is_nested
    strided = plain and tensor.layout == torch.strided and not is_wrapped(tensor)
    return tensor.untyped_storage().data_ptr() if strided else 0


@lru_cache(maxsize=1024)
def _composed(function: Any) -> bool:
    kernel = torch._C._dispatch_has_kernel_for_dispatch_key  # noqa: SLF001 - torch has no public name for it
    found: bool = kernel(function.name(), "CompositeImplicitAutograd")
    return found


@lru_cache(maxsize=1024)
def _targets(function: Any) -> list[tuple[int, str]]:
    """Return the arguments that an operation writes to, by place and name."""
    arguments = enumerate(function._schema.arguments)  # noqa: SLF001 - torch has no public name for it
    return [
        (at, each.name) for at, each in arguments if each.alias_info and each.alias_info.is_write
    ]
