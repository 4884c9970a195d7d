"""What a loss written by hand reads at the class ids of the batch: which axis a softmax runs over.

``log_softmax(x, 0).gather(1, y)``, ``p.log()[rows, y]`` and ``(one_hot * p.log()).sum(1)`` read the
classes on one axis; the softmax before them has to run over the same one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Optional

import torch

from torchproof.proofs.process.places import user_line
from torchproof.proofs.step.loss_calls import AFFINE, is_wrapped, maker
from torchproof.proofs.tensors.axes import signed
from torchproof.proofs.tensors.graph import operation, parents


if TYPE_CHECKING:
    from torchproof.proofs.step.sources import Sources
    from torchproof.proofs.step.trial import Trial

_GATHERS = ("gather", "take_along_dim")
_OF_LOGITS = ("sigmoid", "log_softmax")
_PRODUCTS = ("mul", "__mul__", "__rmul__", "multiply")
# They treat each element for itself.
_ELEMENTWISE = ("Log", "Add", "Clamp", "ClampMin", "ToCopy", "Clone", "Alias", "Neg")
# Where what they are given grows, so does what they return.
_GROWING = (
    "Log",
    "Add",
    "Clamp",
    "ClampMin",
    "ToCopy",
    "Clone",
    "Alias",
    "View",
    "Squeeze",
    "Unsqueeze",
)
_VIEWS = ("View", "UnsafeView", "ReshapeAlias", "Squeeze", "Unsqueeze", "Clone", "Alias")
_LINEAR = (*_VIEWS, "Mean", "Sum", "Neg", "Mul", "Div", "ToCopy")
_NODES = 12


class Pick(NamedTuple):
    """Class ids of the batch that choose on axis ``along`` of a softmax that runs over ``over``."""

    over: int
    along: int
    location: Optional[str]


class Squashed(NamedTuple):
    """A function of logits that is applied, outside the models, to probabilities."""

    function: str
    made_by: str
    location: Optional[str]


class Bare(NamedTuple):
    """Bare outputs of a layer at class ids of the batch; backward starts at their weighted sum."""

    location: Optional[str]


class Picks:
    """The choices by class ids in one trial's steps."""

    def __init__(self, trial: Trial, sources: Sources) -> None:
        self.found: list[Pick] = []
        self.bare: list[Bare] = []
        self.squashed: list[Squashed] = []
        self._trial = trial
        self._sources = sources
        # By node, which also keeps it alive: torch may make another object of one that is gone.
        self._from_layers: dict[Any, Optional[str]] = {}
        self._probabilities: dict[Any, Pick] = {}

    def meet(self, name: str, args: Any, kwargs: Any, result: Any) -> None:
        """Look at the result of a torch function that may read a tensor at class ids."""
        if not isinstance(result, torch.Tensor) or not result.requires_grad or is_wrapped(result):
            return
        if name == "log":
            self._logarithm(result)
        values, along = self._read(name, [*args, *kwargs.values()])
        if values is None:
            return
        over, logs = _normalised(values)
        if over is not None and _differ(values, over, along):
            pick = Pick(over, along, user_line())
            if logs or name in _PRODUCTS:
                self.found.append(pick)
            else:
                self._probabilities[result.grad_fn] = pick
        elif name not in _PRODUCTS and _from_learning_layer(values):
            self._from_layers[result.grad_fn] = user_line()

    def squash(self, name: str, args: Any) -> None:
        """Look at what a torch function that takes logits is given outside the models."""
        given = args[0] if args else None
        if name in _OF_LOGITS and isinstance(given, torch.Tensor) and given.requires_grad:
            made = maker(given)[0].name
            if made in ("Sigmoid", "Softmax"):
                self.squashed.append(Squashed(name, made.lower(), user_line()))

    def _logarithm(self, result: torch.Tensor) -> None:
        """Take probabilities that were chosen, as weights of attention may be, for likelihoods."""
        node = result.grad_fn
        for _ in range(_NODES):
            if node in self._probabilities:
                self.found.append(self._probabilities[node])
            node = _only_one(node) if operation(node) in (*_ELEMENTWISE, "Squeeze") else None

    def backward(self, root: Any) -> None:
        """Follow the value that backward starts at, as long as it is a sum of weighted elements."""
        node = getattr(root, "grad_fn", None)
        for _ in range(_NODES):
            if node in self._from_layers:
                self.bare.append(Bare(self._from_layers[node]))
            node = _only_one(node) if operation(node) in _LINEAR else None

    def _read(self, name: str, values: list[Any]) -> tuple[Optional[torch.Tensor], int]:
        """Return the tensor that is read and the axis that class ids of the batch choose on."""
        if name in _GATHERS and len(values) > len(("input", "dim")):
            axis, ids = sorted(values[1:3], key=lambda each: isinstance(each, torch.Tensor))
            if isinstance(axis, int) and self._are_ids(ids):
                return values[0], axis % values[0].dim()
        if name == "__getitem__" and isinstance(values[1], tuple):
            places = [at for at, each in enumerate(values[1]) if self._are_ids(each)]
            tensors = all(isinstance(each, torch.Tensor) for each in values[1])
            return (values[0], places[0]) if tensors and len(places) == 1 else (None, 0)
        if name in _PRODUCTS and all(isinstance(each, torch.Tensor) for each in values[:2]):
            one, other = sorted(values[:2], key=lambda each: not each.requires_grad)
            axis = self._one_hot(other) if one.shape == other.shape else None
            return (one, axis) if axis is not None else (None, 0)
        return None, 0

    def _are_ids(self, tensor: Any) -> bool:
        """Tell whether these are class ids of the batch, not one id expanded to many."""
        if not isinstance(tensor, torch.Tensor) or tensor.dtype != torch.long:
            return False
        axes = zip(tensor.shape, tensor.stride())
        expanded = any(size > 1 and not stride for size, stride in axes)
        return not expanded and self._sources.of_batch(tensor)

    def _one_hot(self, tensor: torch.Tensor) -> Optional[int]:
        if tensor.requires_grad or self._sources.of(tensor) != "batch":
            return None
        axes = (one_hot_axis(tensor, each) for each in self._trial.given.values())
        return next((axis for axis in axes if axis is not None), None)


def one_hot_axis(tensor: torch.Tensor, ids: torch.Tensor) -> Optional[int]:
    """Return the axis along which a tensor is 1 at these class ids, and 0 elsewhere."""
    if ids.dtype != torch.long or tensor.dim() != ids.dim() + 1:
        return None
    numbers = tensor.double()  # booleans have no argmax
    for axis in range(tensor.dim()):
        shape = (*tensor.shape[:axis], *tensor.shape[axis + 1 :])
        if ids.shape == shape and torch.equal(numbers.argmax(axis), ids):
            summed = (numbers != 0).sum(axis), numbers.sum(axis)
            return axis if all(bool((one == 1).all()) for one in summed) else None
    return None


def _normalised(values: torch.Tensor) -> tuple[Optional[int], bool]:
    """Return the axis of the softmax that made the values, element by element, and if in logs."""
    node, logs = values.grad_fn, False
    for _ in range(_NODES):
        name = operation(node)
        logs = logs or name in ("Log", "LogSoftmax")
        if name in ("Softmax", "LogSoftmax"):
            axis = getattr(node, "_saved_dim", None)
            return (None if axis is None else signed(axis) % values.dim()), logs
        if name not in (*_ELEMENTWISE, "Div", "Expand"):
            break
        # Divided by their own sum, as `Categorical` does, they keep the axis of the softmax.
        node = parents(node)[0] if name == "Div" else _only_one(node)
    return None, False


def probability_by(values: torch.Tensor) -> str:
    """Name what made the probabilities, or logarithms of these, that a tensor holds, if it does."""
    node = values.grad_fn
    for _ in range(_NODES):
        if operation(node) in ("Softmax", "LogSoftmax", "Sigmoid", "LogSigmoidForward"):
            return operation(node)
        node = _only_one(node) if operation(node) in _GROWING else None
    return ""


def _differ(values: torch.Tensor, over: int, along: int) -> bool:
    """Tell whether the axes differ; of as many rows as classes both may be classes."""
    sizes = values.shape[over], values.shape[along]
    return over != along and min(sizes) > 1 and sizes[0] != sizes[1]


def _from_learning_layer(values: torch.Tensor) -> bool:
    """Tell whether a linear layer made the values whose weights learn."""
    node = _behind_views(values.grad_fn)
    if operation(node) == "Add":  # of a bias, where the input is not contiguous
        node = _behind_views(next((each for each in _inputs(node) if not _learns(each)), None))
    return operation(node) in AFFINE and any(_learns(_behind_views(each)) for each in _inputs(node))


def _behind_views(node: Any) -> Any:
    while operation(node) in (*_VIEWS, "T", "Transpose", "Expand"):
        node = _only_one(node)
    return node


def _inputs(node: Any) -> list[Any]:
    return [each for each in parents(node) if each is not None] if node is not None else []


def _learns(node: Any) -> bool:
    return hasattr(node, "variable")


def _only_one(node: Any) -> Any:
    """Return the only node behind another; None if there are several."""
    behind = _inputs(node)
    return behind[0] if len(behind) == 1 else None
