"""What a generator returns: the tensors, their version and fingerprint, and the best metric."""

from __future__ import annotations

import ctypes
import hashlib
import sys
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Union

import torch
from torch.utils.data import Dataset


if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from torchproof.synthetic.draws import Source


@dataclass(frozen=True)
class Best:
    """The best value of a metric that any model can reach on fresh rows.

    Attributes:
        name: The metric, such as ``accuracy`` or ``mse``.
        value: What the best possible model reaches.
        chance: What the best answer reaches that does not look at the input.
        better: ``higher`` or ``lower``.
        known: How the value is known: ``closed form`` or ``computed``.
    """

    name: str
    value: float
    chance: float
    better: str
    known: str = "closed form"

    def gap(self, value: float) -> float:
        """Return how far a value is from the best: 0 at the best, 1 at chance.

        Sampling noise of the rows that it was measured on can make it negative.
        """
        return (self.value - value) / (self.value - self.chance)

    def reached(self, value: float, *, within: float = 0.02) -> bool:
        """Tell whether a value is optimal but for a share of the way from chance to the best."""
        return self.gap(value) <= within


@dataclass(frozen=True, eq=False, repr=False)
class SyntheticDataset(Dataset[Any]):
    """Rows of tensors; a ``torch.utils.data.Dataset``, and a batch wherever one is taken.

    ``data["x"]`` is a tensor, ``{**data}`` a batch with all rows, ``data[3]`` one row as a
    dictionary, ``data[:100]`` a part that is a data set itself.

    Attributes:
        source: Generator, version and seed.
        tensors: By name: ``x``, ``y`` and what else the generator has; rows first.
        ideal: What the best possible model answers for each row.
        best: What it reaches with that.
    """

    source: Source
    tensors: Mapping[str, torch.Tensor]
    ideal: torch.Tensor
    best: Best

    @property
    def name(self) -> str:
        """The generator's name."""
        return self.source.name

    @property
    def version(self) -> int:
        """The generator's version: it rises when the bytes change."""
        return self.source.version

    @property
    def x(self) -> torch.Tensor:
        """The inputs."""
        return self.tensors["x"]

    @property
    def y(self) -> torch.Tensor:
        """The targets."""
        return self.tensors["y"]

    @property
    def fingerprint(self) -> str:
        """``NAME/VERSION:sha256:HEX`` of the tensors as they are now."""
        hashed = hashlib.sha256()
        for name, tensor in sorted(self.tensors.items()):
            hashed.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
            hashed.update(octets(tensor))
        return f"{self.name}/{self.version}:sha256:{hashed.hexdigest()}"

    def keys(self) -> Iterable[str]:
        """Return the names of the tensors."""
        return self.tensors.keys()

    def split(self, rows: int) -> tuple[SyntheticDataset, SyntheticDataset]:
        """Return the first rows and the rest, such as for training and for validation."""
        return self[:rows], self[rows:]

    def __len__(self) -> int:
        return len(self.ideal)

    def __getitem__(self, key: Union[str, int, slice, torch.Tensor]) -> Any:
        if isinstance(key, str):
            return self.tensors[key]
        chosen = {name: tensor[key] for name, tensor in self.tensors.items()}
        if isinstance(key, int):
            return chosen
        return replace(self, tensors=chosen, ideal=self.ideal[key])

    def __repr__(self) -> str:
        tensors = ", ".join(
            f"{name} {tuple(tensor.shape)} {str(tensor.dtype).removeprefix('torch.')}"
            for name, tensor in self.tensors.items()
        )
        best = f"best {self.best.name} {self.best.value:.6g} ({self.best.known})"
        return f"<{self.name}/{self.version} seed {self.source.seed}: {tensors}; {best}>"


def octets(tensor: torch.Tensor, *, byteorder: str = sys.byteorder) -> bytes:
    """Return a tensor's values as bytes, the lowest byte of each first."""
    flat = tensor.detach().cpu().contiguous().reshape(-1)
    parts = flat.view(torch.uint8).view(-1, flat.element_size())
    parts = parts.flip(1).contiguous() if byteorder == "big" else parts
    # Tensor.numpy() would need numpy, which torch can do without.
    return ctypes.string_at(parts.data_ptr(), parts.numel()) if parts.numel() else b""
