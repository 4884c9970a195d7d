"""What is predicted when a model is assumed to answer something else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torchproof.proofs.prediction.probe import module_at, substituted
from torchproof.proofs.prediction.replacement import predicted, restored
from torchproof.proofs.rule import Skip
from torchproof.proofs.tensors.trees import main_output


if TYPE_CHECKING:
    import torch

    from torchproof.proofs.bench import Bench


def predicted_from(bench: Bench, path: str, output: torch.Tensor) -> torch.Tensor:
    """Predict while this is the output of the model, or of the part of it, at a call's path.

    Raises:
        Skip: ``predict`` does not call it once with an output of this shape.
    """
    replaced = []

    def answer(_: Any, __: Any, own: Any) -> Any:
        main = main_output(own)
        fits = main is not None and main.shape == output.shape
        fresh = substituted(own, main, output.to(main)) if main is not None and fits else None
        replaced.append(fresh is not None)
        return fresh

    with restored(bench) as trial:
        handle = module_at(trial.trainee, path).register_forward_hook(answer)
        try:
            found = predicted(bench, trial)
        finally:
            handle.remove()
    if replaced != [True]:
        raise Skip("predict does not call the model once, as the step does")
    return found
