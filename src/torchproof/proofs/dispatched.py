"""What a dispatch mode can tell of the operations that it meets."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import torch


if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


def tensors(values: Iterable[Any]) -> list[torch.Tensor]:
    """Return the tensors among the values, and in lists and tuples of them."""
    return list(_walk(values))


def written(function: Any, args: Any, kwargs: dict[str, Any]) -> list[torch.Tensor]:
    """Return the arguments that an operation writes to."""
    targets = _targets(function)
    return tensors(args[at] if at < len(args) else kwargs.get(name) for at, name in targets)


def memory(tensor: torch.Tensor) -> int:
    """Return where a tensor's memory begins, which its views share; 0 for one that has none."""
    plain = type(tensor) in (torch.Tensor, torch.nn.Parameter) and not tensor.is_nested
    strided = plain and tensor.layout == torch.strided
    return tensor.untyped_storage().data_ptr() if strided else 0


@lru_cache(maxsize=1024)
def composed(function: Any) -> bool:
    """Tell whether an operation is a composition of others, as inference mode shows them."""
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


def _walk(values: Iterable[Any]) -> Iterator[torch.Tensor]:
    for value in values:
        if isinstance(value, torch.Tensor):
            yield value
        elif isinstance(value, (list, tuple)):
            yield from _walk(value)
