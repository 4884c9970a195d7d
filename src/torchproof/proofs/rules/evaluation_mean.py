"""An evaluation must count every row once."""

from __future__ import annotations

from functools import partial
from math import fsum, isfinite, nan
from typing import TYPE_CHECKING, Callable, NamedTuple, Optional

from torchproof.proofs.batches import Parted, parted
from torchproof.proofs.finding import Finding
from torchproof.proofs.prediction.replacement import restored
from torchproof.proofs.process.drawings import Drawing, drawings
from torchproof.proofs.process.places import defined_at
from torchproof.proofs.process.randomness import DROPOUT
from torchproof.proofs.process.seeds import fix_seed
from torchproof.proofs.rule import Skip, rule
from torchproof.proofs.step.trial import largest_eps
from torchproof.proofs.tensors.trees import map_tensors


if TYPE_CHECKING:
    from collections.abc import Iterator

    import torch

    from torchproof.proofs.bench import Bench
    from torchproof.proofs.step.trial import Trial

    Evaluated = Callable[[list[int]], float]

ID = "evaluation-mean"
_FEWEST = 4
_MOST = 32
_TRIED = 4
_IGNORED = -100
# Some operations with one rounding each stand between two of the values that are compared.
_ROUNDINGS = 8


class _Pair(NamedTuple):
    """Two rows, what evaluate returns for batches of each alone, and the rounding of a weight."""

    rows: tuple[int, int]
    values: tuple[float, float]
    rounding: float

    @property
    def gap(self) -> float:
        return self.values[1] - self.values[0]


@rule(
    ID,
    summary="evaluate gives all rows the same weight, wherever in the batch they stand",
    source="drop_last=True and means of unequal batches in evaluation; transformers #34191",
    needs=("reproducible",),
    severity="error",
)
def evaluation_mean(bench: Bench) -> Iterator[Finding]:
    """What ``evaluate`` returns is a mean over all rows, not a mean of means of unequal parts.

    Decided by evaluating batches that hold one row many times and another one once: how far the
    other moves the value is the weight of its place. It is an error if the weights are those of

    * parts of one size and a smaller last one, whose means are averaged without their sizes, or
    * such parts without the last one (``drop_last``), also in a smaller batch.

    Where positions have labels, some of them ignored (-100, or without negative labels the one that
    most rows end with), two rows with unequal numbers of labels are put in two orders. It is an
    error if both values are the plain mean of the means of parts of one size, and one differs from
    the mean over all labels.

    Assumes that rows are independent of each other. Skipped without ``evaluate`` and labels, if it
    returns no number or draws random numbers, if it gives all rows the same value, and if the step
    is not reproducible.
    """
    if bench.trainee.evaluate is None:
        raise Skip("Trainee(evaluate=...) does not say how it is evaluated")
    whole = parted(bench.trainee)
    rows = min(whole.rows, _MOST)
    if rows < _FEWEST:
        raise Skip("the batch has too few rows to tell their weights")
    with restored(bench) as trial, drawings() as drawn:
        of = partial(_value, trial, whole)
        pair = _pair(of, rows, largest_eps(bench.trainee, default=1.0))
        message = _uneven(of, pair, rows) or _uneven(of, pair, rows - 1)
        message = message or _by_tokens(of, whole, rows, largest_eps(bench.trainee, default=1.0))
        noise = _noise(bench, of, rows, drawn)
    if noise:
        raise Skip(f"evaluate draws random numbers ({noise})")
    if message:
        yield Finding(
            ID,
            "error",
            message,
            evidence={"rows tried": rows, "values of two rows": pair.values},
            location=defined_at(bench.trainee.evaluate),
            remedy="total += loss.item() * len(y); count += len(y)  # then total / count, for all "
            "rows",
        )


def _noise(bench: Bench, of: Evaluated, rows: int, drawn: list[Drawing]) -> str:
    """Name an operation whose numbers the value may depend on; empty if it depends on none."""
    # Dropout that is off draws nothing; a generator of one's own moves unseen.
    own = [each.name for each in drawn if not each.moved and each.name not in DROPOUT]
    moved = [each.name for each in drawn if each.moved]
    values = []
    for offset in (0, 1) if moved and not own else ():
        with fix_seed(bench.seed + offset):
            values.append(of(list(range(rows))))
    return next(iter(own or (moved if len(set(values)) > 1 else [])), "")


def _value(trial: Trial, whole: Parted, order: list[int]) -> float:
    """Evaluate a batch of these rows."""

    def chosen(tensor: torch.Tensor) -> torch.Tensor:
        is_whole = tensor.dim() and len(tensor) == whole.rows
        return tensor.detach()[order] if is_whole else tensor.detach().clone()

    value = trial.evaluate_on(map_tensors(whole.batch, chosen))
    try:
        return float(value)
    except (TypeError, ValueError, RuntimeError) as error:
        raise Skip(f"evaluate returns no number but a {type(value).__name__}") from error


def _pair(of: Evaluated, size: int, eps: float, among: Optional[list[int]] = None) -> _Pair:
    """Choose the two rows whose values lie farthest apart.

    Raises:
        Skip: They lie so near to each other that rounding hides the weight of a row.
    """
    values = {row: of([row] * size) for row in (among or range(min(size, _TRIED)))}
    low, high = min(values, key=lambda row: values[row]), max(values, key=lambda row: values[row])
    gap, largest = values[high] - values[low], max(map(abs, values.values()))
    rounding = _ROUNDINGS * size * eps * largest / gap if gap else nan
    if not rounding * _ROUNDINGS < size**-2:
        raise Skip("evaluate gives all rows the same value")
    return _Pair((low, high), (values[low], values[high]), rounding)


def _uneven(of: Evaluated, pair: _Pair, size: int) -> str:
    """Say which rows of a batch count more than others; empty if none do."""
    ends = [_weight(of, pair, size, place) for place in (0, size - 1)]
    if not abs(ends[0] - ends[1]) > pair.rounding:
        return ""
    weights = [_weight(of, pair, size, place) for place in range(size)]
    for part in range(2, size):
        last = size % part
        parts = size // part + 1
        means = [1 / (parts * part)] * (size - last) + [1 / (parts * (last or 1))] * last
        if last and _near(weights, means, pair.rounding):
            return (
                f"evaluate averages the means of {parts} parts: the last {last} of {size} rows "
                f"count {part / last:g} times as much as each of the others."
            )
    for last in range(1, size // 2):
        kept = size - last
        if _near(weights, [1 / kept] * kept + [0.0] * last, pair.rounding):
            dropped = _drops(of, pair, kept - 1)
            return f"evaluate leaves out the last {last} of {size} rows." if dropped else ""
    return ""


def _weight(of: Evaluated, pair: _Pair, size: int, place: int) -> float:
    low, high = pair.rows
    order = [high if each == place else low for each in range(size)]
    return (of(order) - pair.values[0]) / pair.gap


def _drops(of: Evaluated, pair: _Pair, size: int) -> bool:
    """Tell whether the last row of a batch does not count, or a batch of this size has no value."""
    try:
        weight = _weight(of, pair, size, size - 1)
    except Exception:  # noqa: BLE001 - a mean of no parts, as by ZeroDivisionError
        return True
    return not isfinite(weight) or abs(weight) <= pair.rounding


def _near(first: list[float], second: list[float], bound: float) -> bool:
    return all(abs(one - other) <= bound for one, other in zip(first, second))


def _by_tokens(of: Evaluated, whole: Parted, rows: int, eps: float) -> str:
    """Say if means over unequal numbers of labels are averaged; empty if not."""
    labels = [each for each in whole.labels.values() if each.dim() > 1]
    if not labels or labels[0].is_floating_point():
        return ""
    negative = bool((labels[0] < 0).any())
    ignored = _IGNORED if negative else int(labels[0][:, -1].flatten().long().mode().values)
    size = rows - rows % 2
    for first in (0, 1):  # a model that gives the next token is not asked for the first one
        counts = (labels[0][:, first:] != ignored).flatten(1).sum(1).tolist()
        few, many = counts.index(min(counts)), counts.index(max(counts))
        if not 0 < counts[few] < counts[many]:
            continue
        pair = _pair(of, size, eps, [few, many])
        asked = {row: counts[row] for row in pair.rows}
        orders = [list(pair.rows) * (size // 2), sorted(list(pair.rows) * (size // 2))]
        for part in (each for each in range(2, size) if size % each == 0):
            if _is_mean_of_means(of, pair, asked, orders, part):
                return (
                    f"evaluate averages the means of {size // part} parts of {part} rows: a label "
                    f"counts more in a part that has few of them."
                )
    return ""


def _is_mean_of_means(
    of: Evaluated, pair: _Pair, asked: dict[int, int], orders: list[list[int]], part: int
) -> bool:
    value = dict(zip(pair.rows, pair.values))

    def mean(rows: list[int]) -> float:
        return fsum(asked[row] * value[row] for row in rows) / sum(asked[row] for row in rows)

    bound = abs(pair.gap) * pair.rounding
    differs = False
    for order in orders:
        parts = [order[start : start + part] for start in range(0, len(order), part)]
        expected = fsum(map(mean, parts)) / len(parts)
        if abs(of(order) - expected) > bound:
            return False
        differs |= abs(expected - mean(order)) > bound
    return differs
