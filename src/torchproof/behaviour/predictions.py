"""Predictions as plain values: what a model answers, input by input, and when two answers agree."""

from __future__ import annotations

import math
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Callable, Optional

from torchproof.errors import UsageError


if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

MAX_WORDS = 200


def predictor(predict: Optional[Callable[[Any], Any]], model: Any) -> Callable[[Any], Any]:
    """Return the function that answers a batch of inputs.

    Args:
        predict: The user's own; it comes first.
        model: Something with a method ``predict``, or that can be called. A module answers in
            evaluation mode and without gradients; of scores ``(inputs, classes)`` the index of
            the largest counts.

    Raises:
        UsageError: Neither can answer.
    """
    if predict is not None:
        return predict
    own: Optional[Callable[[Any], Any]] = getattr(model, "predict", None) or model
    if own is None or not callable(own):
        what = "there is no model to ask"
        remedy = "Give predict= or model=, or let the test use a fixture named trained_model."
        raise UsageError(what, remedy)
    torch = sys.modules.get("torch")
    if torch is None or not isinstance(model, torch.nn.Module):
        return own

    def answer(inputs: Any) -> Any:
        with evaluating(model):
            return own(inputs) if own is not model else _forward(torch, model, inputs)

    return answer


def items(values: Any, what: str) -> list[Any]:
    """Return the rows of a tensor or array, or the items of a list.

    Raises:
        UsageError: It is neither, or empty.
    """
    sequence = isinstance(values, (list, tuple)) or len(getattr(values, "shape", ())) > 0
    if not sequence or not hasattr(values, "__iter__") or hasattr(values, "columns"):
        what = f"{what} is {type(values).__name__}"
        raise UsageError(what, "Give a list, or a tensor or array with one row an input.")
    found = list(values)
    if not found:
        raise UsageError(f"{what} is empty", "Give at least one.")
    return found


def regroup(rows: Sequence[Any], like: Any) -> Any:
    """Put rows together as the batch they came from: a tensor, an array or a list."""
    kind = type(like).__module__.partition(".")[0]
    if kind in ("torch", "numpy") and not isinstance(like, (list, tuple)):
        library: Any = sys.modules[kind]
        return library.stack(list(rows))
    return list(rows)


def answers(predict: Callable[[Any], Any], rows: Sequence[Any], like: Any) -> list[Any]:
    """Ask for all rows at once and return one plain value a row.

    Raises:
        UsageError: There is not one answer an input.
    """
    given = predict(regroup(rows, like))
    found = [plain(each) for each in items(given, "what predict returns")]
    if len(found) != len(rows):
        what = f"predict gives {len(found)} answers to {len(rows)} inputs"
        raise UsageError(what, "It gets all inputs at once and returns one answer each.")
    return found


def plain(value: Any) -> Any:
    """Return a tensor or array as Python numbers; one with a single element as its number."""
    value = value.tolist() if hasattr(value, "tolist") else value
    if isinstance(value, (list, tuple)):
        value = [plain(each) for each in value]
        return value[0] if len(value) == 1 and isinstance(value[0], (int, float)) else value
    return value


def agree(one: Any, other: Any, within: float) -> bool:
    """Return True if two plain answers are the same, numbers within an absolute distance.

    What is not a finite number agrees with nothing, not even with itself.
    """
    if isinstance(one, (list, tuple)) and isinstance(other, (list, tuple)):
        pairs = zip(one, other)
        return len(one) == len(other) and all(agree(a, b, within) for a, b in pairs)
    if is_number(one) and is_number(other):
        return math.isfinite(one) and math.isfinite(other) and abs(one - other) <= within
    return bool(one == other)


def is_number(value: Any) -> bool:
    """Return True for an int or a float; a bool is a label."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def words(value: Any) -> str:
    """Write an answer for a reader."""
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(words, value[:10]))}{', …' if len(value) > 10 else ''}]"  # noqa: PLR2004 - enough to see
    text = str(value)
    return text if len(text) <= MAX_WORDS else text[: MAX_WORDS - 1] + "…"


def _forward(torch: Any, model: Any, inputs: Any) -> Any:
    if isinstance(inputs, list) and all(isinstance(row, torch.Tensor) for row in inputs):
        inputs = torch.stack(inputs)
    if isinstance(inputs, torch.Tensor):
        place = next((each.device for each in model.parameters()), inputs.device)
        inputs = inputs.to(place)
    scores = model(inputs)
    if not isinstance(scores, torch.Tensor):
        what = f"the model returns {type(scores).__name__}"
        raise UsageError(what, "Give predict=, a function from inputs to one answer each.")
    classes = scores.ndim == 2 and scores.shape[1] > 1 and scores.is_floating_point()  # noqa: PLR2004 - a matrix
    return _largest(scores) if classes else scores


def _largest(scores: Any) -> list[Any]:
    """Return each row's class; a row with a score that is not finite has none and stays NaN."""
    finite = scores.isfinite().all(dim=1).tolist()
    return [best if good else math.nan for best, good in zip(scores.argmax(1).tolist(), finite)]


@contextmanager
def evaluating(model: Any) -> Iterator[None]:
    """Put a module into evaluation mode, without gradients, and each part back as it was."""
    import torch

    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for module, training in modes:
            module.training = training
