"""Why a service answers otherwise than training did: the first place where the two part.

An answer passes through preprocessing, weights, the network and what is made of its output. The
two observations (`serving.observe`) are compared in that order, so that a later difference is never
blamed for an earlier one. Where no module call was seen, as in an exported model, only the answers
can tell.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Optional


if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_CLASSES = 1_000
_SCALES = {255.0: "255 times as large", 1 / 255.0: "255 times as small"}


class Skew(NamedTuple):
    """A cause in a word, what is seen of it, and what to do."""

    cause: str
    message: str
    remedy: str


def distance(one: Any, other: Any) -> Optional[float]:
    """Return the largest difference between two answers, None where they have another shape.

    It is absolute for values up to 1 and relative above; for labels the part that differs.
    """
    import torch

    one, other = _tensor(one), _tensor(other)
    if isinstance(one, torch.Tensor) and isinstance(other, torch.Tensor):
        if one.shape != other.shape:
            return None
        if one.numel() == 0:
            return 0.0
        scale = one.double().abs().clamp(min=1)
        apart = ((one.double() - other.double()).abs() / scale).max().item()
        return apart if apart == apart else float("inf")  # noqa: PLR0124 - NaN agrees with nothing
    if isinstance(one, list) and isinstance(other, list) and one:
        same = [a == b for a, b in zip(one, other)]
        return None if len(one) != len(other) else 1 - sum(same) / len(same)
    return 0.0 if one == other else None


def diagnose(train: Mapping[str, Any], serve: Mapping[str, Any], within: float) -> Skew:
    """Return the first place where two observations of different answers part."""
    if not _finite(train["answers"]):
        what = "training's own answers are NaN or infinite"
        return Skew("not finite", what, "Mend the model, or ask it something else.")
    seen = train["entered"] is not None and serve["entered"] is not None
    if not seen:
        return _from_answers(train, serve, within)
    entered = _rounded(train["entered"], serve["entered"])
    if _apart(entered, serve["entered"], within):
        return _preprocessing(train["entered"], serve["entered"])
    found = _network(train, serve) if _apart(train["left"], serve["left"], within) else None
    return found or _from_answers(train, serve, within)


def _apart(one: Any, other: Any, within: float) -> bool:
    apart = distance(one, other)
    return apart is None or apart > within


def _finite(answers: Any) -> bool:
    answers = _tensor(answers)
    return not hasattr(answers, "isfinite") or bool(answers.isfinite().all())


def _rounded(one: Any, other: Any) -> Any:
    """Return inputs in the other's precision: rounding is the dtype's doing."""
    return one.to(other.dtype) if one.is_floating_point() and other.is_floating_point() else one


def _preprocessing(one: Any, other: Any) -> Skew:
    return Skew(
        "preprocessing",
        f"the model gets other inputs when it serves: {_changed(one, other)}",
        "Let training and service import one preprocessing function.",
    )


def _changed(one: Any, other: Any) -> str:
    """Say how one tensor became the other, where that is a known mistake."""
    import torch

    if one.shape != other.shape:
        moved = sorted(one.shape) == sorted(other.shape)
        order = ", the same numbers in another order" if moved else ""
        return f"shape {list(one.shape)} in training, {list(other.shape)} in service{order}"
    one, other = one.double(), other.double()
    for scale, words in _SCALES.items():
        if torch.allclose(one * scale, other, rtol=1e-3, atol=1e-6):
            return words
    for dim in range(1, one.ndim):
        if torch.allclose(one.flip(dim), other, atol=1e-6):
            return f"reversed in dimension {dim}, as RGB and BGR are"
    shift = (other - one).mean().item()
    if torch.allclose(one + shift, other, atol=1e-5):
        return f"shifted by {shift:.4g}"
    means = (
        f"mean {one.mean().item():.4g} and spread {one.std(correction=0).item():.4g} in training"
    )
    return f"{means}, {other.mean().item():.4g} and {other.std(correction=0).item():.4g} in service"


def _network(train: Mapping[str, Any], serve: Mapping[str, Any]) -> Skew:
    """Explain a network that gives other numbers for the same inputs."""
    if train["training"] is False and serve["training"]:
        return Skew("training mode", "the service answers in training mode", "Call model.eval().")
    if train["dtype"] != serve["dtype"]:
        kinds = f"{train['dtype']} in training, {serve['dtype']} in service"
        return Skew("dtype", f"the weights are {kinds}", "Use one dtype, or allow more by within=.")
    if train["weights"] != serve["weights"]:
        return _weights(train["weights"], serve["weights"])
    if train["device"] != serve["device"]:
        places = f"{train['device']} in training, {serve['device']} in service"
        return Skew("device", f"the weights are on {places}", "Allow for its rounding by within=.")
    changed = _versions(train["versions"], serve["versions"])
    if changed:
        return Skew("version", f"the versions differ: {changed}", "Pin both to the same versions.")
    what = "the same weights and inputs give other numbers: the network is built otherwise"
    return Skew("architecture", what, "Let training and service import one model definition.")


def _weights(one: Mapping[str, str], other: Mapping[str, str]) -> Skew:
    missing = sorted(one.keys() - other.keys())
    changed = sorted(name for name in one.keys() & other.keys() if one[name] != other[name])
    parts = [f"{', '.join(names[:3])}{' …' if len(names) > 3 else ''} {what}"  # noqa: PLR2004 - enough to see
             for names, what in ((changed, "differ"), (missing, "missing")) if names]  # fmt: skip
    what = f"the service has other weights: {'; '.join(parts) or 'more than training has'}"
    return Skew("weights", what, "Load with strict=True, and the file that training saved.")


def _versions(one: Mapping[str, str], other: Mapping[str, str]) -> str:
    both = [name for name in one if name in other and one[name] != other[name]]
    return ", ".join(f"{name} {one[name]} → {other[name]}" for name in both)


def _from_answers(train: Mapping[str, Any], serve: Mapping[str, Any], within: float) -> Skew:
    """Explain answers that differ although the network agrees, or was not seen."""
    one, other = _tensor(train["answers"]), _tensor(serve["answers"])
    order = _label_order(one, other, within)
    if order:
        return Skew("label order", order, "Save the list of labels with the weights.")
    changed = _versions(train["versions"], serve["versions"])
    if train["entered"] is not None and serve["entered"] is not None:
        what = f"the network agrees, what is made of its output does not: {_kinds(one, other)}"
        return Skew("postprocessing", what, "Let both import one function for it.")
    if changed:
        return Skew("version", f"the versions differ: {changed}", "Pin both to the same versions.")
    what = f"the service answers otherwise: {_kinds(one, other)}"
    return Skew("unknown", what, "Call a torch module in both, so that the two can be followed.")


def _label_order(one: Any, other: Any, within: float) -> str:
    """Say which label stands for which, if that is all that differs."""
    import torch

    if isinstance(one, torch.Tensor) and isinstance(other, torch.Tensor):
        if one.shape == other.shape and one.ndim == 2 and one.shape[1] <= MAX_CLASSES:  # noqa: PLR2004 - scores by class
            columns = _matching(one.double(), other.double(), within)
            return f"column i of training is column {columns} of the service" if columns else ""
        one, other = one.reshape(-1).tolist(), other.reshape(-1).tolist()
        if not all(float(each).is_integer() for each in (*one, *other)):
            return ""
    if not isinstance(one, list) or not isinstance(other, list) or len(one) != len(other):
        return ""
    pairs = sorted({(str(a), str(b)) for a, b in zip(one, other)})
    names = {a for a, _ in pairs}
    if len(names) == len({b for _, b in pairs}) == len(pairs) > 1:
        return ", ".join(f"{a} is answered as {b}" for a, b in pairs[:10] if a != b)
    return ""


def _matching(one: Any, other: Any, within: float) -> list[int]:
    """Return for each column the one equal to it, empty unless only their order differs."""
    import torch

    apart = torch.cdist(one.T.contiguous(), other.T.contiguous(), p=float("inf"))
    nearest = apart.argmin(dim=1).tolist()
    scale = max(1.0, one.abs().max().item())
    order = sorted(nearest) == list(range(len(nearest))) != nearest
    return nearest if order and apart.min(dim=1).values.max().item() <= within * scale else []


def _kinds(one: Any, other: Any) -> str:
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        pairs = enumerate(zip(one, other), 1)
        at, (one, other) = next(pair for pair in pairs if distance(*pair[1]) != 0)
        return f"answer {at} is {_kind(one)} in training, {_kind(other)} in service"
    return f"{_kind(one)} in training, {_kind(other)} in service"


def _kind(value: Any) -> str:
    if hasattr(value, "dtype"):
        first = value.reshape(-1)[:3].tolist()
        return f"{str(value.dtype).replace('torch.', '')}{list(value.shape)} {first}"
    return f"{value!r:.80}"


def _tensor(value: Any) -> Any:
    """Return numbers as a tensor, whatever they stand in; labels as they are."""
    import torch

    if isinstance(value, list) and value:
        if all(isinstance(each, torch.Tensor) for each in value):
            shapes = {each.shape for each in value}
            return torch.stack(value) if len(shapes) == 1 else value
        if all(isinstance(each, (int, float)) and not isinstance(each, bool) for each in value):
            return torch.tensor(value)
    return value
