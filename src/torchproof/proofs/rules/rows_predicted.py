"""A prediction must not leave rows of its batch out."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from torchproof.proofs.batches import parted
from torchproof.proofs.finding import Finding
from torchproof.proofs.prediction.replacement import all_rows, predicted, restored
from torchproof.proofs.process.places import defined_at
from torchproof.proofs.rule import Skip, rule


if TYPE_CHECKING:
    from collections.abc import Iterator

    from torchproof.proofs.bench import Bench

ID = "rows-predicted"
_MOST_ROWS = 8


@rule(
    ID,
    summary="predict returns something for every row of its batch",
    source="drop_last=True in evaluation; metrics over fewer samples than there are",
    needs=("predict", "reproducible"),
    severity="error",
)
def rows_predicted(bench: Bench) -> Iterator[Finding]:
    """However many rows a batch has, ``predict`` leaves none of them out.

    Decided by predicting for 1, 2, ... copies of the first row, up to as many as the batch has (8
    at most), and for twice as many. An error if two of these numbers come back as the number of
    predictions, so that there is one for each row, a number between them or above is too large by
    some rows, and that for the most copies is larger again. Copies, as rows may be selected by
    their values; the last condition, as a predict may be for the first few rows only.

    Assumes that the first dimension of inputs and predictions is the batch. Skipped if the trainee
    brings no ``predict``, if the tensors disagree on the number of rows, or if the step is not
    reproducible. Numbers of rows for which predict fails are passed over.
    """
    if bench.trainee.predict is None:
        raise Skip("the model itself predicts; Trainee(predict=...) would say how it is done")
    few = min(_rows(bench), _MOST_ROWS)
    returned = _returned(bench, [*range(1, few + 1), 2 * few])
    whole = [count for count, got in returned.items() if got == count]
    short = [count for count, got in returned.items() if 0 < got < count]
    if len(whole) > 1 and short and returned.get(2 * few, 0) > returned[short[0]]:
        yield _finding(bench, short[0], returned[short[0]])


def _finding(bench: Bench, count: int, got: int) -> Finding:
    return Finding(
        ID,
        "error",
        f"Predict leaves rows out: for {count} of them it returns {got} predictions.",
        evidence={"rows": count, "predictions": got},
        location=defined_at(bench.trainee.predict),
        remedy="DataLoader(..., drop_last=False)  # and keep a last part that is smaller",
    )


def _rows(bench: Bench) -> int:
    """Return the size of the batch.

    Raises:
        Skip: Its tensors disagree on it.
    """
    whole = parted(bench.trainee)
    sizes = {len(each) for each in (*whole.inputs.values(), *whole.labels.values()) if each.dim()}
    if len(sizes) != 1:
        raise Skip("the tensors of the batch do not have the same first dimension")
    return sizes.pop()


def _returned(bench: Bench, counts: list[int]) -> dict[int, int]:
    """Return how many predictions there are for so many copies of the first row, if it works."""
    batch = parted(bench.trainee).batch
    returned = {}
    with restored(bench) as trial:
        for count in counts:
            with suppress(Skip):
                returned[count] = len(predicted(bench, trial, all_rows(batch, 0, count)))
    return returned
