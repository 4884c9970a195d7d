"""A trail of digests: the first operation at which two runs of the step differ."""

from __future__ import annotations

import hashlib
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple, Optional

import torch
from torch.overrides import TorchFunctionMode

from torchproof.proofs.process.places import user_line
from torchproof.proofs.tensors.trees import tensors


if TYPE_CHECKING:
    from collections.abc import Iterator


class Print(NamedTuple):
    """One operation: its name and line, digests of what went in and what came out.

    ``given`` is about the tensors among the arguments, ``numbers`` about python's numbers.
    """

    name: str
    location: Optional[str]
    given: bytes
    numbers: str
    returned: bytes


@contextmanager
def fingerprints() -> Iterator[list[Print]]:
    """Write down every operation of the block that returns tensors."""
    recorder = _Recorder()
    with recorder:
        yield recorder.prints


def first_difference(first: list[Print], second: list[Print]) -> Optional[tuple[Print, Print]]:
    """Return the first operation that differs, as each run has it."""
    for one, other in zip(first, second):
        if (one.name, one.given, one.returned) != (other.name, other.given, other.returned):
            return one, other
    return None


def digest(values: Any) -> bytes:
    """Return a digest of the tensors in a collection; other values do not count."""
    tree = values if isinstance(values, (list, tuple)) else [values]
    hashed = hashlib.blake2b(digest_size=16)
    for each in tensors(tree):
        hashed.update(str((each.dtype, each.shape)).encode())
        hashed.update(_bytes(each))
    return hashed.digest()


def _numbers(values: Any) -> list[Any]:
    """Return python's numbers among the values, those of slices and lists as well."""
    found: list[Any] = []
    for each in values:
        if isinstance(each, (list, tuple)):
            found.append(_numbers(each))
        elif isinstance(each, (int, float, slice)):
            found.append(each)
    return found


def _bytes(tensor: torch.Tensor) -> bytes:
    try:
        plain = tensor.detach().cpu()
        dense = plain.to_dense() if plain.layout != torch.strided else plain.contiguous()
        return dense.reshape(-1).view(torch.uint8).numpy().tobytes()
    except (RuntimeError, TypeError, NotImplementedError):
        return b""  # wrappers of torch.func and quantized tensors have no bytes of their own


class _Recorder(TorchFunctionMode):
    def __init__(self) -> None:
        super().__init__()
        self.prints: list[Print] = []

    def __torch_function__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        name = getattr(function, "__name__", "")
        values = (*args, *kwargs.values())
        given, numbers = digest(values), str(_numbers(values))
        result = function(*args, **kwargs)
        if isinstance(result, (torch.Tensor, tuple, list)) and name != "__get__":
            self.prints.append(Print(name, user_line(), given, numbers, digest(result)))
        return result
