"""What a loss function of torch was given: logits, probabilities or log-probabilities.

Two things tell: the operation that made the input, read from the autograd graph through views and
casts, and the values themselves.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Optional

import torch

from torchproof.proofs.tensors.axes import signed
from torchproof.proofs.tensors.graph import operation


# A view, a copy, a cast or a choice of rows changes no value.
_TRANSPARENT = (
    *("View", "UnsafeView", "ReshapeAlias", "Transpose", "T", "Permute", "Squeeze", "Unsqueeze"),
    *("Slice", "Select", "Index", "IndexSelect", "MaskedSelect", "ToCopy", "Clone", "Alias"),
    *("Expand", "Split", "Unbind"),
)
# These also keep all values.
_REARRANGING = (
    *("View", "UnsafeView", "ReshapeAlias", "Transpose", "T", "Permute", "Squeeze", "Unsqueeze"),
    *("Clone", "Alias"),
)
AFFINE = ("Addmm", "Linear", "Mm", "Bmm", "Baddbmm", "Addbmm", "Convolution", "Mv")
_NEEDED = ("input", "target")
_MATRIX = 2


class Maker(NamedTuple):
    """The operation that made a tensor: its name, its axis (None: not certain) and that axis' size.

    ``whole``: the tensor holds all that the operation made, in whatever order.
    """

    name: str
    axis: Optional[int]
    size: int
    whole: bool = False


class LossCall(NamedTuple):
    """One call of a loss function whose input requires a gradient.

    ``maker`` made the input, ``before`` the input of that; ``distribution``: the values along the
    class axis are probabilities; ``over_rows``: their exponentials are, but along the rows and not
    along the classes; ``scattered``: they are all that a ``log_softmax`` made, but not along the
    classes; ``log_total`` is the largest logarithm of the classes' summed probabilities where the
    input is read as log-probabilities; ``negative``: the target holds negative numbers; ``asked``
    counts its class ids that are not ignored; ``own_classes`` counts them where each is the class
    of the input's own largest value, and is 0 otherwise.
    """

    name: str
    call: int
    location: Optional[str]
    reduction: str
    classes: int
    rows: int
    maker: Maker
    before: Maker
    target: Maker
    log_target: bool
    distribution: bool
    over_rows: bool
    scattered: bool
    log_total: float
    negative: bool
    asked: int
    own_classes: int
    result: Optional[float]


LOSSES = (
    *("cross_entropy", "nll_loss", "binary_cross_entropy_with_logits", "kl_div"),
    *("binary_cross_entropy", "mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss"),
    "log_sigmoid",
)


def arguments(args: Any, kwargs: Any) -> dict[str, Any]:
    """Return the arguments of a loss function by name."""
    return {**dict(zip(_NEEDED, args)), **kwargs}


def maker(tensor: Any) -> tuple[Maker, Maker]:
    """Return the operation that made a tensor's values, and the one that made its input."""
    first, node = _made(getattr(tensor, "grad_fn", None), tensor)
    if node is None or not node.next_functions:
        return first, Maker("", None, 0)
    return first, _made(node.next_functions[0][0], None)[0]


def loss_call(
    name: str, given: dict[str, Any], result: Any, *, call: int, location: Optional[str]
) -> Optional[LossCall]:
    """Read the facts of one call; None if it trains nothing or its values cannot be read.

    Args:
        name: The loss function.
        given: Its arguments by name, as `arguments` tells them.
        result: What it returned.
        call: The call of the step.
        location: The user's line.
    """
    values, target = given.get("input"), given.get("target")
    if not isinstance(values, torch.Tensor) or not values.requires_grad:
        return None
    plain = values.detach().double()
    if is_wrapped(plain) or not plain.numel():
        return None
    # kl_div knows no class axis; distributions lie along the last one.
    axis = values.dim() - 1 if name == "kl_div" or values.dim() < _MATRIX else 1
    first, before = maker(values)
    numbers = isinstance(target, torch.Tensor) and target.is_floating_point()
    compared = target is not None and isinstance(result, torch.Tensor)
    single = compared and result.numel() == 1
    return LossCall(
        name=name,
        call=call,
        location=location,
        reduction=str(given.get("reduction", "mean")),
        classes=values.shape[axis] if values.dim() else 1,
        rows=values.shape[0] if values.dim() >= _MATRIX else 1,
        maker=first,
        before=before,
        target=maker(target)[0],
        log_target=bool(given.get("log_target", False)),
        distribution=_distribution(plain, axis, values.dtype) if values.dim() else False,
        over_rows=_over_rows(plain, values.dtype),
        scattered=first.name == "LogSoftmax" and first.whole and _apart(plain, axis, values.dtype),
        log_total=float(plain.logsumexp(axis).max()) if values.dim() else 0.0,
        negative=bool((target < 0).any()) if numbers and target is not None else False,
        asked=_asked(given),
        own_classes=_own_classes(plain, given, axis),
        result=float(result.detach()) if single else None,
    )


def _asked(given: dict[str, Any]) -> int:
    """Count the class ids among the targets that are not ignored."""
    target = given.get("target")
    if not isinstance(target, torch.Tensor) or target.is_floating_point():
        return 0
    return int((target != given.get("ignore_index", -100)).sum())


def _own_classes(values: torch.Tensor, given: dict[str, Any], axis: int) -> int:
    """Count the class ids of a target that is what the values themselves are largest at."""
    target = given.get("target")
    if not isinstance(target, torch.Tensor) or target.is_floating_point() or not values.dim():
        return 0
    largest, asked = values.argmax(axis), target != given.get("ignore_index", -100)
    own = largest.shape == target.shape and largest[asked].equal(target[asked])
    return int(asked.sum()) if own else 0


def is_wrapped(tensor: torch.Tensor) -> bool:
    """Tell whether a tensor is a wrapper of torch.func, whose values cannot be read."""
    functorch: Any = getattr(torch._C, "_functorch", None)  # noqa: SLF001 - no public name
    return functorch is not None and bool(functorch.is_functorch_wrapped_tensor(tensor))


def rounding(classes: int, dtype: torch.dtype) -> float:
    """Bound the rounding error of a sum of so many probabilities: n·eps, twice for the softmax."""
    return 2 * (classes + 1) * torch.finfo(dtype).eps


def _distribution(values: torch.Tensor, axis: int, dtype: torch.dtype) -> bool:
    """Tell whether the values along an axis are probabilities: none negative, their sum 1."""
    gap = (values.sum(axis) - 1).abs().max()
    return bool(values.min() >= 0) and float(gap) <= rounding(values.shape[axis], dtype)


def _over_rows(values: torch.Tensor, dtype: torch.dtype) -> bool:
    """Tell whether log-probabilities are those of rows, not of classes."""
    if values.dim() != _MATRIX or values.shape[0] in (1, values.shape[1]):
        return False
    shares = values.exp()
    return _distribution(shares, 0, dtype) and not _distribution(shares, 1, dtype)


def _apart(logarithms: torch.Tensor, axis: int, dtype: torch.dtype) -> bool:
    """Tell whether the probabilities along an axis do not sum to 1 somewhere."""
    gaps = (logarithms.exp().sum(axis) - 1).abs()
    return bool((gaps > rounding(logarithms.shape[axis], dtype)).any())


def _made(node: Any, tensor: Any) -> tuple[Maker, Any]:
    moved, whole = False, True
    while node is not None:
        name = operation(node)
        if name not in _TRANSPARENT or not node.next_functions:
            break
        moved = moved or name not in ("ToCopy", "Clone", "Alias")
        whole = whole and name in _REARRANGING
        node = node.next_functions[0][0]
    if node is None:
        return Maker("", None, 0), None
    axis = getattr(node, "_saved_dim", None)
    if moved or not isinstance(axis, int):
        return Maker(name, None, 0, whole), node
    return _with_axis(name, axis, tensor)._replace(whole=whole), node


def _with_axis(name: str, axis: int, tensor: Any) -> Maker:
    shape = getattr(tensor, "shape", None)
    if shape is None or not len(shape):
        return Maker(name, None, 0)
    place = signed(axis) % len(shape)
    return Maker(name, place, shape[place])


def affine(made: Maker) -> bool:
    """Tell whether the values come straight from a linear layer or a convolution."""
    return made.name in AFFINE
