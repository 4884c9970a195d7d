"""What torch warns about is worth reading."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torchproof.proofs.finding import Finding
from torchproof.proofs.rule import rule


if TYPE_CHECKING:
    from collections.abc import Iterator

    from torchproof.proofs.bench import Bench

ID = "torch-warnings"
# The exact beginnings of torch's own sentences, and what to do.
_KNOWN = {
    "Using a target size (": "give prediction and target the same shape: prediction.squeeze(1)",
    "Detected call of `lr_scheduler.step()` before": "optimizer.step(); scheduler.step()",
    "None of the inputs have requires_grad=True": "checkpoint(..., use_reentrant=False)",
    "Implicit dimension choice for": "F.softmax(x, dim=1)  # say which axis",
    "reduction: 'mean' divides the total loss by both": "F.kl_div(..., reduction='batchmean')",
    "The .grad attribute of a Tensor that is not a leaf": "x.retain_grad(), or read a leaf's grad",
    "To copy construct from a tensor": "x.detach().clone()  # torch.tensor(x) cuts the gradient",
}


@rule(
    ID,
    summary="none of torch's own warnings about silent mistakes was given",
    source="the sentences in torch/nn/functional.py, torch/optim and torch/utils/checkpoint.py",
    needs=("observation",),
    severity="warning",
)
def torch_warnings(bench: Bench) -> Iterator[Finding]:
    """The step gives none of the warnings by which torch points out a silent mistake.

    Decided by the beginnings of torch's sentences, which are known by heart here. It is a warning,
    as torch itself is not sure: the order of scheduler and optimizer is misjudged when a GradScaler
    skips an update, a target of one element broadcasts on purpose.

    Assumes that the sentences do not change. Skipped if the step cannot be watched.
    """
    told = set()
    for warning in bench.observation.warned:
        start = next((each for each in _KNOWN if warning.text.startswith(each)), None)
        if start is None or (start, warning.location) in told:
            continue
        told.add((start, warning.location))
        yield Finding(
            ID,
            "warning",
            f"torch warns: {' '.join(warning.text.split())[:300]}",
            evidence={"times": sum(each.text == warning.text for each in bench.observation.warned)},
            location=warning.location,
            remedy=_KNOWN[start],
        )
