"""With which sign each loss enters the value that backward starts at.

A loss is the result of one of torch's loss functions, or the size of a difference from a tensor of
the batch. What is the opposite of one: the logarithm of the probability that a distribution of
torch gives a tensor of the batch, the logarithm of a softmax at the class ids of the batch, a
probability or its logarithm times the labels, a ``logsigmoid``, the logarithm of a share in a
running sum, or in a sum where the batch says which shares count or they are those of pairs, and the
cosine of the angle to a tensor of the batch. Its sign is that of the gradient that arrives at it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Optional

import torch

from torchproof.proofs.process.places import user_line
from torchproof.proofs.step.likelihoods import has_gradient
from torchproof.proofs.step.log_shares import is_log_share, of_pairs
from torchproof.proofs.step.loss_calls import is_wrapped, maker
from torchproof.proofs.step.picks import one_hot_axis, probability_by
from torchproof.proofs.tensors.trees import named_tensors


if TYPE_CHECKING:
    from torchproof.proofs.step.sources import Sources
    from torchproof.proofs.step.trial import Trial

# kl_div is left out: it also keeps things apart.
_OF_VALUES = (
    *("mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss", "gaussian_nll_loss"),
    *("poisson_nll_loss", "ctc_loss", "soft_margin_loss", "multilabel_soft_margin_loss"),
    *("multi_margin_loss", "multilabel_margin_loss", "triplet_margin_loss", "margin_ranking_loss"),
    *("hinge_embedding_loss", "cosine_embedding_loss"),
)
_OF_CLASSES = (
    *("cross_entropy", "nll_loss", "binary_cross_entropy", "binary_cross_entropy_with_logits"),
)
_LOGARITHMS = ("logsigmoid", "log_sigmoid")
_DIFFERENCES = ("sub", "__sub__", "rsub", "__rsub__", "subtract")
_SIZES = ("square", "abs", "absolute", "__abs__", "norm", "linalg_norm", "linalg_vector_norm")
_POWERS = ("pow", "__pow__")
_PRODUCTS = ("mul", "__mul__", "__rmul__", "multiply")
_PICKS = ("gather", "take_along_dim", "__getitem__")
_CHOICES = ("__getitem__", "masked_select")
_SQUARE = 2


class LossSign(NamedTuple):
    """The gradient that arrived at one loss in one backward pass.

    ``least`` and ``most``: the extremes of its elements that are not 0, turned around for what is
    the opposite of a loss. ``of_classes``: it is the logarithm of a probability, which may be
    weighed by what an action has gained. ``fixed``: that of a model's values under a distribution
    that does not learn.
    """

    name: str
    call: int
    location: Optional[str]
    least: float
    most: float
    of_classes: bool = False
    fixed: bool = False


class LossSigns:
    """Listens at the losses of one trial's steps."""

    def __init__(self, trial: Trial, sources: Sources) -> None:
        self.found: list[LossSign] = []
        self._trial = trial
        self._sources = sources
        # Tensors are kept alive with their ids, so that no other tensor can get the same id.
        self._differences: dict[int, torch.Tensor] = {}
        self._shares: dict[int, torch.Tensor] = {}

    def meet(self, name: str, args: Any, kwargs: Any, result: Any) -> None:
        """Listen at the result of a torch function if it is a loss or the opposite of one."""
        if not isinstance(result, torch.Tensor) or not result.requires_grad or is_wrapped(result):
            return
        values = [*args, *kwargs.values()]
        if name in _DIFFERENCES and self._with_batch(values):
            self._differences[id(result)] = result
        elif name in _OF_VALUES or self._is_size(name, values):
            self._listen(result, name, 1)
        elif name in _OF_CLASSES:
            self._listen(result, name, 1, of_classes=True)
        elif name in _LOGARITHMS:
            self._listen(result, name, -1, of_classes=True)
        elif name == "cosine_similarity" and self._with_batch(values):
            self._listen(result, name, -1)
        elif name in _PRODUCTS and self._agrees(values):
            self._listen(result, "probability times label", -1, of_classes=True)
        elif name in _PICKS and self._picks(values):
            self._listen(result, "log_softmax", -1, of_classes=True)
        else:
            self._meet_share(name, values, result)

    def _meet_share(self, name: str, values: list[Any], result: torch.Tensor) -> None:
        """Listen at a share in a running sum, and at shares in a sum that the batch has count."""
        if self._counts_shares(name, values):
            self._listen(result, "log_share", -1, of_classes=True)
        if name not in _DIFFERENCES or not all(map(_learns, values[:2])):
            return
        for one, other, sign in ((*values[:2], -1), (*values[1::-1], 1)):
            whole = is_log_share(one, other, running=False)
            if is_log_share(one, other, running=True) or (whole and of_pairs(one)):
                self._listen(result, "log_share", sign, of_classes=True)
            elif whole and sign < 0:
                self._shares[id(result)] = result

    def _counts_shares(self, name: str, values: list[Any]) -> bool:
        """Tell whether the batch says which of the shares count, by zeros and ones or a mask."""
        if not any(id(each) in self._shares for each in values[:2]):
            return False
        marks = [each for each in values[:2] if self._of_batch(each)]
        if not marks:
            return False
        mask = marks[0].dtype == torch.bool
        binary = mask or set(marks[0].unique().tolist()) <= {0, 1}
        return binary if name in _PRODUCTS else mask and name in _CHOICES

    def likelihood(self, distribution: Any, value: Any, result: Any) -> None:
        """Listen at a log-probability of the batch, or of a model under what does not learn."""
        if not all(isinstance(each, torch.Tensor) for each in (value, result)):
            return
        if not result.requires_grad or is_wrapped(result):
            return
        if value.requires_grad and not has_gradient(distribution):
            self._listen(result, "log_prob", -1, of_classes=True, fixed=True)
        elif self._of_batch(value):
            self._listen(result, "log_prob", -1, of_classes=True)

    def _of_batch(self, value: Any) -> bool:
        return isinstance(value, torch.Tensor) and self._sources.of_batch(value)

    def _with_batch(self, values: list[Any]) -> bool:
        return any(self._of_batch(each) for each in values)

    def _is_size(self, name: str, values: list[Any]) -> bool:
        if not values or id(values[0]) not in self._differences:
            return False
        squared = name in _POWERS and values[1:2] == [_SQUARE]
        product = name in _PRODUCTS and values[1:2] and values[1] is values[0]
        return name in _SIZES or squared or bool(product)

    def _agrees(self, values: list[Any]) -> bool:
        """Tell whether a probability or its logarithm is multiplied by the labels of its shape."""
        if not all(isinstance(each, torch.Tensor) for each in values[:2]):
            return False
        label, chance = sorted(values[:2], key=lambda each: each.requires_grad)
        if is_wrapped(chance) or label.requires_grad or label.shape != chance.shape:
            return False
        made_by = probability_by(chance)
        if not made_by:
            return False
        # A float for each class may be a cost; only where classes do not compete is it a label.
        alone = made_by in ("Sigmoid", "LogSigmoidForward") and set(label.unique().tolist()) <= {
            0,
            1,
        }
        return any(
            one_hot_axis(label, each) is not None
            or (alone and each.shape == label.shape and bool((each == label).all()))
            for each in named_tensors(self._trial.trainee.labels).values()
        )

    def _picks(self, values: list[Any]) -> bool:
        """Tell whether a log-softmax is read at class ids of the batch."""
        ids = [
            each
            for value in values[1:]
            for each in (value if isinstance(value, (tuple, list)) else [value])
            if isinstance(each, torch.Tensor) and each.dtype == torch.long
        ]
        return self._with_batch(ids) and maker(values[0])[0].name == "LogSoftmax"

    def _listen(self, result: torch.Tensor, name: str, sign: int, **facts: bool) -> None:
        location = user_line()

        def arrive(gradient: torch.Tensor) -> None:
            with torch._C.DisableTorchFunction(), torch.no_grad():  # noqa: SLF001 - torch has no public name for it
                extremes = _extremes(gradient, sign)
            if extremes is not None:
                call = len(self._trial.losses)
                self.found.append(LossSign(name, call, location, *extremes, **facts))

        with torch._C.DisableTorchFunction():  # noqa: SLF001 - torch has no public name for it
            untyped: Any = result
            untyped.register_hook(arrive)


def _learns(value: Any) -> bool:
    return isinstance(value, torch.Tensor) and value.requires_grad and not is_wrapped(value)


def _extremes(gradient: torch.Tensor, sign: int) -> Optional[tuple[float, float]]:
    if is_wrapped(gradient):
        return float("nan"), float("nan")
    moved = sign * gradient.detach()[gradient != 0].double()
    return (float(moved.min()), float(moved.max())) if moved.numel() else None
