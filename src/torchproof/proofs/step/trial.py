"""One isolated use of a fresh trainee: its seed fixed, its cost counted, its batch protected."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Optional

import torch

from torchproof.errors import UsageError
from torchproof.proofs.rule import Skip
from torchproof.proofs.step.inference import Arguments, call_in_eval, first_call
from torchproof.proofs.tensors.trees import clone, named_tensors


if TYPE_CHECKING:
    from collections.abc import Mapping

    from torchproof.proofs.finding import Cost
    from torchproof.proofs.trainee import Trainee


class Trial:
    """A fresh trainee and what was done with it.

    Args:
        trainee: What ``build`` returned.
        optimizers: The optimizers that came to be in ``build``, with the lines that made them.
        cost: Where calls are counted.
    """

    def __init__(
        self,
        trainee: Trainee,
        optimizers: Mapping[torch.optim.Optimizer, Optional[str]],
        cost: Cost,
    ) -> None:
        self.trainee = trainee
        self.optimizers = optimizers
        self.losses: list[float] = []
        self.given: dict[str, torch.Tensor] = {}  # the very tensors that the last step got
        self._cost = cost
        self._arguments: list[Arguments] = []

    def step(self) -> float:
        """Run the user's step on a copy of the batch and return its loss."""
        __tracebackhide__ = True
        self._cost.steps += 1
        batch = clone(self.trainee.batch)
        self.given = named_tensors(batch)
        model = _default_model(self.trainee)
        if model is None:
            loss = self.trainee.step(batch)
        else:
            with first_call(model) as self._arguments:
                loss = self.trainee.step(batch)
        self.losses.append(_number(loss))
        return self.losses[-1]

    def predict(self, inputs: Any = None) -> Any:
        """Predict for the trainee's inputs, or for others of the same kind.

        Raises:
            Skip: The trainee brings no predict and none can be made.
        """
        __tracebackhide__ = True
        self._cost.predicts += 1
        given = self.inputs if inputs is None else inputs
        if self.trainee.predict is not None:
            return self.trainee.predict(clone(given))
        return call_in_eval(self._model(), given)

    @property
    def inputs(self) -> Any:
        """What is predicted for: the batch, or what the last step called the model with.

        A step may mix its rows before the model sees them (mixup, noise), so that without a
        ``predict`` the model's own arguments are the inputs, not the batch.

        Raises:
            Skip: The trainee brings no predict and none can be made.
        """
        if self.trainee.predict is not None:
            return self.trainee.batch
        self._model()
        if not self._arguments:
            raise Skip("the step does not call the model itself; give Trainee a predict")
        return self._arguments[0]

    def _model(self) -> torch.nn.Module:
        model = _default_model(self.trainee)
        if model is None:
            raise Skip("there are several models; give Trainee a predict")
        return model

    def evaluate(self) -> None:
        """Run the user's evaluation on a copy of the batch."""
        __tracebackhide__ = True
        if self.trainee.evaluate is not None:
            self.evaluate_on(clone(self.trainee.batch))

    def evaluate_on(self, batch: Any) -> Any:
        """Run the user's evaluation, which there has to be, on this very batch."""
        __tracebackhide__ = True
        self._cost.predicts += 1
        evaluate: Any = self.trainee.evaluate
        return evaluate(batch)

    def state(self) -> dict[str, torch.Tensor]:
        """Copy every parameter and buffer, by name."""
        tensors = state_tensors(self.trainee)
        return {name: tensor.detach().clone() for name, tensor in tensors.items()}


def parameters(trainee: Trainee) -> dict[str, torch.nn.Parameter]:
    """Return the parameters of all models by name, each once."""
    named = {
        name: parameter
        for key, model in trainee.models.items()
        for name, parameter in model.named_parameters(prefix=key)
    }
    first = {id(parameter): name for name, parameter in reversed(list(named.items()))}
    return {name: named[name] for name in named if first[id(named[name])] == name}


def largest_eps(trainee: Trainee, *, default: float) -> float:
    """Return the rounding error of one operation in the narrowest type that a parameter has.

    Args:
        trainee: Whose parameters.
        default: Where no parameter holds floating-point numbers.
    """
    floats = [each for each in parameters(trainee).values() if each.is_floating_point()]
    return max((torch.finfo(each.dtype).eps for each in floats), default=default)


def state_tensors(trainee: Trainee) -> dict[str, torch.Tensor]:
    """Return the parameters and buffers of all models by name."""
    return {**parameters(trainee), **_buffers(trainee)}


def _buffers(trainee: Trainee) -> dict[str, torch.Tensor]:
    return {
        name: buffer
        for key, model in trainee.models.items()
        for name, buffer in model.named_buffers(prefix=key)
    }


def _default_model(trainee: Trainee) -> Optional[torch.nn.Module]:
    """Return the model that a default prediction calls; None where the trainee must say it."""
    if trainee.predict is not None or len(trainee.models) > 1:
        return None
    return next(iter(trainee.models.values()))


def _number(loss: Any) -> float:
    single = not isinstance(loss, torch.Tensor) or loss.numel() == 1
    try:
        if single:
            return float(loss.detach() if isinstance(loss, torch.Tensor) else loss)
    except (TypeError, ValueError, RuntimeError):
        pass
    shape = f" of shape {tuple(loss.shape)}" if isinstance(loss, torch.Tensor) else ""
    what = f"step returned a {type(loss).__name__}{shape}, not a loss"
    raise UsageError(what, "Let it end with `return loss`, a tensor with one element or a float.")
