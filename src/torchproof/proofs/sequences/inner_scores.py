"""The scores inside of a model that is given the labels and returns nothing but its loss."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, Optional

from torchproof.proofs.batches import parted, plain_tensors
from torchproof.proofs.prediction.probe import Call, undisturbed
from torchproof.proofs.sequences.sequences import sequences_in
from torchproof.proofs.step.inference import Arguments
from torchproof.proofs.tensors.bits import same
from torchproof.proofs.tensors.trees import clone, main_output


if TYPE_CHECKING:
    from collections.abc import Iterator

    import torch

    from torchproof.proofs.bench import Bench
    from torchproof.proofs.sequences.sequences import Sequence

_DIMS = len(("rows", "positions", "classes"))


def inner_sequences(bench: Bench) -> list[Sequence]:
    """Return what the parts of such models are trained to give for the tokens of their inputs.

    The labels are told from the tokens by the batch. Empty where a model returns its scores.
    """
    if bench.once(undisturbed).calls:
        return []
    labels = parted(bench.trainee).labels.values()
    return [
        each
        for each in sequences_in(bench.once(_inner_calls))
        if each.shift is not None and "label" not in each.name and not _is_one(each, labels)
    ]


def _is_one(seen: Sequence, labels: Any) -> bool:
    tokens = plain_tensors(seen.call.arguments)[seen.name]
    return any(same(tokens, each) for each in labels)


def _inner_calls(bench: Bench) -> list[Call]:
    with bench.trial() as trial, _watched(trial.trainee.models.values()) as found:
        trial.step()
    return [call for call in found if call.gradient is not None]


@contextmanager
def _watched(models: Any) -> Iterator[list[Call]]:
    """List the calls inside of models' calls in the block, with the arguments of the latter."""
    found: list[Call] = []
    with ExitStack() as stack:
        for model in models:
            listener = _Listener(found)
            handles = [model.register_forward_pre_hook(listener.enter, with_kwargs=True)]
            parts = [each for each in model.modules() if each is not model]
            handles += [each.register_forward_hook(listener.leave) for each in parts]
            for handle in handles:
                stack.callback(handle.remove)
        yield found


class _Listener:
    """Writes the outputs of a model's parts down, and the gradients that reach them."""

    def __init__(self, found: list[Call]) -> None:
        self.found = found
        self._given: Optional[Arguments] = None

    def enter(self, _: torch.nn.Module, args: Any, kwargs: Any) -> None:
        self._given = clone(Arguments(args, kwargs))

    def leave(self, _: torch.nn.Module, __: Any, output: Any) -> None:
        main = main_output(output)
        if self._given is None or main is None or main.dim() != _DIMS or not main.requires_grad:
            return
        call = Call("", self._given, main.detach().clone())

        def feed(gradient: torch.Tensor) -> None:
            call.gradient = gradient.detach().clone()

        untyped: Any = main
        untyped.register_hook(feed)
        self.found.append(call)
