"""Transcripts that CTC aligns with a sequence which other rows have a part in.

A label meets every place of its row's sequence there, so that it is not enough if the row has made
some of them, as it has where (row, place) is viewed as (place, row).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Optional

from torchproof.proofs.batches import parted
from torchproof.proofs.labels.crossed import Crossed
from torchproof.proofs.prediction.pairing import label_changes, reach
from torchproof.proofs.step.losses_seen import OF_CLASSES, OF_VALUES


if TYPE_CHECKING:
    from torchproof.proofs.bench import Bench
    from torchproof.proofs.prediction.pairing import LabelChange


def mixed_sequence(bench: Bench) -> Optional[Crossed]:
    """Find a place that a row's transcript acts on, that other rows have made and it has not.

    Raises:
        Skip: There are no labels, they are all alike, or the step does not run on others.
    """
    if bench.reason_against("observation"):
        return None
    losses = {each.name for each in bench.observation.operations}
    if "ctc_loss" not in losses or losses & (OF_CLASSES | OF_VALUES):
        return None
    found = (_strange(bench, change) for change in bench.once(label_changes))
    return next((each for each in found if each is not None), None)


def _strange(bench: Bench, change: LabelChange) -> Optional[Crossed]:
    own = reach(bench, [change.row]).outputs
    strange = {index: mask & ~own[index] for index, mask in change.told.items()}
    if not any(bool(mask.any()) for mask in strange.values()):
        return None
    for row in range(parted(bench.trainee).rows):
        reached = reach(bench, [row]).outputs
        for index, mask in strange.items():
            if bool((mask & reached[index]).any()):
                return Crossed(int((mask & reached[index]).nonzero()[0, 0]), [row], change.row)
    return None
