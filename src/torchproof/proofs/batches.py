"""What in a batch are inputs and what are labels, and batches in which one of them is changed."""

from __future__ import annotations

import copy
import dataclasses
from typing import TYPE_CHECKING, Any, Callable, NamedTuple, Optional

import torch

from torchproof.proofs.rule import Skip
from torchproof.proofs.tensors.bits import distinct
from torchproof.proofs.tensors.trees import clone, map_tensors, named_tensors
from torchproof.proofs.trainee import at, field_names


if TYPE_CHECKING:
    from collections.abc import Mapping

    from torchproof.proofs.trainee import Trainee

Change = Callable[[torch.Tensor], torch.Tensor]


class Parted(NamedTuple):
    """A copy of the batch in which no tensor is an input and a label at once.

    ``labels`` are those of the batch, by path; ``inputs`` all its other tensors that are neither
    sparse nor nested.
    """

    batch: Any
    inputs: dict[str, torch.Tensor]
    labels: dict[str, torch.Tensor]

    @property
    def rows(self) -> int:
        """The size of the batch, as far as inputs and labels agree on it.

        Raises:
            Skip: They do not.
        """
        first = {len(each) for each in self.labels.values() if each.dim()}
        shared = [each for each in self.inputs.values() if each.dim() and {len(each)} == first]
        if not shared:
            raise Skip("inputs and labels do not share a batch dimension")
        return len(shared[0])

    def has_own_inputs(self, *, dims: int = 1) -> bool:
        """Tell whether there are inputs beside the labels, masks (two values) and whole numbers.

        Whole numbers, one for each row, are no input of their own where a label is larger than one
        number: they are its length or its class.

        Args:
            dims: How many dimensions such an input has at least.
        """
        large = any(each.dim() > 1 for each in self.labels.values())
        return any(
            each.dim() >= dims
            and len(distinct(each)) > len(("hidden", "seen"))
            and (each.dim() > 1 or each.is_floating_point() or not large)
            for each in self.inputs.values()
        )

    def change(self, change: Change, *, labels: bool, only: Optional[str] = None) -> Any:
        """Return the batch with its labels changed, or with its inputs changed, or one of them."""
        named = self.labels if labels else self.inputs
        chosen = {id(each) for name, each in named.items() if only in (None, name)}
        return map_tensors(self.batch, lambda each: change(each) if id(each) in chosen else each)


def parted(trainee: Trainee) -> Parted:
    """Tell the labels of a batch from its inputs."""
    batch = clone(trainee.batch)
    labels: dict[str, torch.Tensor] = {}
    if trainee.labels is not None:
        fresh = clone(trainee.labels)
        try:
            batch = _with(batch, _key(trainee), fresh)
        except Exception as error:
            what = f"the labels of the batch cannot be replaced ({type(error).__name__}: {error})"
            raise Skip(what) from error
        labels = {name or str(trainee.target): each for name, each in plain_tensors(fresh).items()}
    known = {id(each) for each in labels.values()}
    inputs = {name: each for name, each in plain_tensors(batch).items() if id(each) not in known}
    return Parted(batch, inputs, labels)


def plain_tensors(tree: Any) -> dict[str, torch.Tensor]:
    """Return a tree's tensors by path, without sparse and nested ones."""
    return {
        name: each
        for name, each in named_tensors(tree).items()
        if each.layout == torch.strided and not each.is_nested
    }


def row_from(row: int, other: int, rows: int) -> Change:
    """Give a change that overwrites one row by another."""
    return rows_from({row: other}, rows)


def rows_from(others: Mapping[int, int], rows: int) -> Change:
    """Give a change that overwrites some rows, each by another."""

    def change(tensor: torch.Tensor) -> torch.Tensor:
        if tensor.dim() == 0 or len(tensor) != rows:
            return tensor
        copied = tensor.detach().clone()
        for row, other in others.items():
            copied[row] = tensor.detach()[other]
        return copied.requires_grad_(tensor.requires_grad)

    return change


def reversed_rows(rows: int) -> Change:
    """Give a change that turns the order of the rows round."""

    def change(tensor: torch.Tensor) -> torch.Tensor:
        whole = tensor.dim() and len(tensor) == rows
        turned = tensor.detach().flip(0) if whole else tensor.detach().clone()
        return turned.requires_grad_(tensor.requires_grad)

    return change


def every_row_from(row: int, rows: int) -> Change:
    """Give a change that puts one row in every place."""

    def change(tensor: torch.Tensor) -> torch.Tensor:
        if tensor.dim() == 0 or len(tensor) != rows:
            return tensor
        return tensor.detach()[[row] * rows].requires_grad_(tensor.requires_grad)

    return change


def another_row(tensors: dict[str, torch.Tensor], row: int, rows: int) -> Optional[int]:
    """Return a row that differs from the given one; None if all are alike."""
    whole = [each for each in tensors.values() if each.dim() and len(each) == rows]
    for other in range(rows):
        if any(not torch.equal(each[row], each[other]) for each in whole):
            return other
    return None


def _key(trainee: Trainee) -> Any:
    """Return the key of the labels; a pair has them in the second place."""
    try:
        at(trainee.batch, trainee.target)
    except (KeyError, IndexError, TypeError):
        return 1
    return trainee.target


def _with(batch: Any, key: Any, value: Any) -> Any:
    if isinstance(batch, tuple) and key in field_names(batch):
        named: Any = batch
        return named._replace(**{key: value})
    if isinstance(batch, tuple):
        items = [value if index == key else each for index, each in enumerate(batch)]
        return type(batch)(*items) if hasattr(batch, "_fields") else type(batch)(items)
    fresh = copy.copy(batch)
    if dataclasses.is_dataclass(fresh):
        object.__setattr__(fresh, key, value)
    else:
        fresh[key] = value
    return fresh
