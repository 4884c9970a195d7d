"""The calls of the parts of models, seen at outputs and gradients as `probe` sees whole models."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, Optional

from torchproof.proofs.prediction.probe import Call
from torchproof.proofs.step.inference import Arguments
from torchproof.proofs.tensors.trees import clone, main_output


if TYPE_CHECKING:
    from collections.abc import Iterator

    import torch

    from torchproof.proofs.trainee import Trainee


@contextmanager
def parts_called(trainee: Trainee) -> Iterator[list[Call]]:
    """List the calls of models' parts in the block that lead to the loss, the innermost first.

    The arguments are those of the model that the part belongs to; ``path`` names that model.
    """
    found: list[Call] = []
    with ExitStack() as stack:
        for key, model in trainee.models.items():
            listener = _Listener(key, found)
            early = model.register_forward_pre_hook(listener.enter, with_kwargs=True)
            stack.callback(early.remove)
            for part in (each for each in model.modules() if each is not model):
                stack.callback(part.register_forward_hook(listener.leave).remove)
        yield found
    found[:] = [call for call in found if call.gradient is not None]


class _Listener:
    """Writes the outputs of a model's parts down, and the gradients that reach them."""

    def __init__(self, path: str, found: list[Call]) -> None:
        self._path = path
        self._found = found
        self._given: Optional[Arguments] = None

    def enter(self, _: torch.nn.Module, args: Any, kwargs: Any) -> None:
        self._given = clone(Arguments(args, kwargs))

    def leave(self, _: torch.nn.Module, __: Any, output: Any) -> None:
        main = main_output(output)
        if self._given is None or main is None or not main.requires_grad:
            return
        call = Call(self._path, self._given, main.detach().clone())

        def feed(gradient: torch.Tensor) -> None:
            call.gradient = gradient.detach().clone()

        untyped: Any = main
        untyped.register_hook(feed)
        self._found.append(call)
