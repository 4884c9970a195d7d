"""Attention as it is computed: over which axis its weights add up to 1, and which is summed up.

Read from the autograd graph behind a weighted sum: from the weights back to their softmax, and from
the scores before it to the layers that made queries and keys. Whatever else is done on the way ends
it, such as dividing by a sum, as attention between slots and inputs does.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Optional

import torch

from torchproof.proofs.process.places import user_line
from torchproof.proofs.step.loss_calls import is_wrapped
from torchproof.proofs.tensors.axes import Axes, axes_behind, signed
from torchproof.proofs.tensors.graph import VIEWS, ends, operation, parents
from torchproof.proofs.tensors.trees import tensors


_LAYERS = ("linear", "conv1d", "conv2d", "conv3d")
_MATRICES = ("matmul", "__matmul__", "bmm")
_TIMES = ("mul", "__mul__", "__rmul__", "multiply")
_MOVED = (*VIEWS, "Transpose", "T", "Permute", "Clone", "Expand", "ToCopy")
# They keep the sums of weights, but for those that are dropped or masked.
_WEIGHED = (*_MOVED, "Mul", "MaskedFill", "Where", "NativeDropout", "NanToNum")
_SCORED = (*_WEIGHED, "Div", "Add", "Sub", "Clamp", "Tanh")
_PROJECTED = (*_SCORED, "Cat", "Stack", "Neg", "Split", "SplitWithSizes", "Unbind", "Slice")
_NODES = 30
_UNKNOWN = 0


class Misweighed(NamedTuple):
    """Weights that add up to 1 over one axis and are summed up with values over another.

    ``size`` is the number of weights that add up to 1; of a single one, each is 1.
    """

    size: int
    location: Optional[str]


class _Weights(NamedTuple):
    """The softmax of weights: its node, its size, and the axis of the weights that it ran over."""

    node: Any
    size: int
    axis: Optional[int]


class Attention:
    """The weighted sums of some calls of the step."""

    def __init__(self) -> None:
        self.found: list[Misweighed] = []
        # By node, which also keeps it alive: what a layer was given, the shape that a softmax
        # returned, and the axis of weights each of which is 1.
        self._projected: dict[Any, torch.Tensor] = {}
        self._normalised: dict[Any, torch.Size] = {}
        self._ones: dict[Any, Optional[int]] = {}

    def meet(self, name: str, args: Any, kwargs: Any, result: Any) -> None:
        """Look at the result of a torch function that may project, or sum up what is weighed."""
        if not isinstance(result, torch.Tensor) or not result.requires_grad or is_wrapped(result):
            return
        given = tensors((*args, *kwargs.values()))
        if name in _LAYERS or (name in _MATRICES and isinstance(given[-1], torch.nn.Parameter)):
            self._projected[result.grad_fn] = given[0]
        elif name in _MATRICES or name == "einsum":
            for one, other, axes in _summed(name, args, given):
                self._product(one, other, axes)
        elif name == "softmax":
            self._normalised[result.grad_fn] = result.shape
        elif name in _TIMES:
            self._multiplied(given, result)
        elif name == "sum":
            self._sum(given[0], kwargs.get("dim", args[1] if len(args) > 1 else None))

    def clear(self) -> None:
        """Forget what is known of the graph: a backward pass has used it up."""
        self._projected.clear()
        self._normalised.clear()
        self._ones.clear()

    def _product(self, tensor: torch.Tensor, values: torch.Tensor, axes: list[int]) -> None:
        """Look at what is summed up over some axes in a product with values."""
        weights = self._weights(tensor)
        some = any(tensor.shape[axis] > 1 for axis in axes)
        if weights is None or weights.axis in axes or not some:
            return
        if weights.size == 1 or (weights.axis is not None and self._of_one(weights.node, values)):
            self.found.append(Misweighed(weights.size, user_line()))

    def _of_one(self, node: Any, values: torch.Tensor) -> bool:
        """Tell whether layers made queries, keys and values of one tensor."""
        products = _products(node)
        if len(products) != 1 or products[0] in self._projected:
            return False
        made = [self._sources(each) for each in (*parents(products[0]), values.grad_fn)]
        return (
            len(made[0]) == 1 and _UNKNOWN not in made[0] and all(each == made[0] for each in made)
        )

    def _sources(self, node: Any) -> set[int]:
        """Return the ids of the tensors that layers made of what a node holds."""
        return {
            id(self._projected[each]) if each in self._projected else _UNKNOWN
            for each in ends([node], _PROJECTED, stops=self._projected)
            if not hasattr(each, "variable")
        }

    def _weights(self, tensor: torch.Tensor) -> Optional[_Weights]:
        """Return the softmax that weights come from."""
        node: Any = tensor.grad_fn
        axes = Axes(tuple(tensor.shape), tuple(range(tensor.dim())))
        for _ in range(_NODES):
            shape = self._normalised.get(node)
            if shape is not None:
                axis = signed(node._saved_dim) % len(shape)  # noqa: SLF001 - torch has no public name for it
                alike = len(shape) == len(axes.labels)
                return _Weights(node, shape[axis], axes.labels[axis]) if alike else None
            behind = [each for each in parents(node) if each is not None] if node else []
            moved = axes_behind(node, axes) if operation(node) in _WEIGHED else None
            if moved is None or len(behind) != 1:
                return None
            node, axes = behind[0], moved
        return None

    def _multiplied(self, given: list[torch.Tensor], result: torch.Tensor) -> None:
        """Note a product with weights each of which is 1."""
        for each in given:
            weights = self._weights(each) if each.requires_grad else None
            if weights is not None and weights.size == 1:
                axis = weights.axis
                self._ones[result.grad_fn] = None if axis is None else axis - each.dim()

    def _sum(self, product: torch.Tensor, axis: Any) -> None:
        """Look at a sum over an axis of what was multiplied by weights each of which is 1."""
        if product.grad_fn not in self._ones or not isinstance(axis, int) or not product.dim():
            return
        over = axis % product.dim() - product.dim()
        if product.shape[over] > 1 and over != self._ones[product.grad_fn]:
            self.found.append(Misweighed(1, user_line()))


def _products(node: Any) -> list[Any]:
    """Return the products of matrices that the scores behind a softmax are made of."""
    made = ends(parents(node), _SCORED)
    return [each for each in made if operation(each) in ("Bmm", "Mm")]


def _summed(
    name: str, args: Any, given: list[torch.Tensor]
) -> list[tuple[torch.Tensor, torch.Tensor, list[int]]]:
    """Give each factor of a product of two, with the other and the axes that are summed up."""
    if len(given) != len(("weights", "values")):
        return []
    one, other = given
    if name == "einsum":
        *terms, product = _letters(args[0])
        sums = [[at for at, each in enumerate(term) if each not in product] for term in terms]
        return [(one, other, sums[0]), (other, one, sums[1])] if sums else []
    return [(one, other, [one.dim() - 1]), (other, one, [max(other.dim() - 2, 0)])]


def _letters(equation: Any) -> list[str]:
    """Return the letters of the factors and of their product; of it alone if some have no name."""
    if not isinstance(equation, str) or "." in equation or "->" not in equation:
        return [""]
    factors, product = equation.replace(" ", "").split("->")
    return [*factors.split(","), product]
