"""The trainee: what a proof looks at."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Callable, Optional, Union

from torchproof.errors import UsageError


if TYPE_CHECKING:
    from collections.abc import Iterable

    import torch

_LABELS = "y"


class Trainee:
    """A model, one batch and the project's own training step, made by ``build()``.

    ``build`` takes nothing and returns a *fresh* trainee at each call: it makes the model, the
    optimizer and everything else the step changes. torchproof fixes the seed before every call.

    Args:
        model: A ``torch.nn.Module``, or a tuple or dict of them (GAN, teacher and student).
        batch: One training batch: any nesting of tensors, batch dimension first. The step gets a
            copy at each call.
        step: ``(batch) -> loss``, a tensor with one element or a float: forward, backward and
            optimizer step as the project does them.
        predict: ``(batch) -> tensor(s)``, the inference path. Without it the model is called as
            the step calls it, in eval mode and without gradients.
        target: Key, index or field of the labels in the batch; None if there are none. The default
            finds ``batch["y"]`` and the second item of a pair.
        optimizer: An optimizer or several; usually discovered from ``build`` and the step.
        scheduler: The learning-rate scheduler, if there is one.
        loader: An iterable of batches, for rules about loaders.
        evaluate: ``(batch) -> loss`` without an update.
        causal: True or False declares whether outputs may see later tokens; None: discovered.
        serve: ``() -> Module``, the model as the inference service builds it; the trained weights
            are loaded into it.
        frozen: fnmatch patterns of parameters that are meant not to move. With several models a
            parameter's name starts with its model's key: ``teacher.fc.weight``.
        waive: ``{rule: reason}``, findings the team accepts; they are shown and do not fail.

    Raises:
        UsageError: An argument is not what it has to be.
    """

    def __init__(
        self,
        model: Union[torch.nn.Module, Sequence[torch.nn.Module], Mapping[str, torch.nn.Module]],
        batch: Any,
        step: Callable[[Any], Any],
        *,
        predict: Optional[Callable[[Any], Any]] = None,
        target: Union[str, int, None] = _LABELS,
        optimizer: Any = None,
        scheduler: Any = None,
        loader: Optional[Iterable[Any]] = None,
        evaluate: Optional[Callable[[Any], Any]] = None,
        causal: Optional[bool] = None,
        serve: Optional[Callable[[], torch.nn.Module]] = None,
        frozen: Union[str, Iterable[str]] = (),
        waive: Optional[Mapping[str, str]] = None,
    ) -> None:
        self.model = model
        self.models = _models(model)
        self.batch = batch
        self.step = _function("step", step)
        self.predict = _function("predict", predict, optional=True)
        self.target = target
        self.optimizer = optimizer
        self.scheduler = scheduler
        self.loader = loader
        self.evaluate = _function("evaluate", evaluate, optional=True)
        self.causal = causal
        self.serve = _function("serve", serve, optional=True)
        self.frozen = _patterns(frozen)
        self.waive = _waivers({} if waive is None else waive)
        self.labels = _labels(batch, target)


def at(batch: Any, key: Any) -> Any:
    """Return what a batch holds at a key or an index, or in a field of that name.

    Raises:
        KeyError, IndexError, TypeError: Nothing.
    """
    return getattr(batch, key) if key in field_names(batch) else batch[key]


def field_names(batch: Any) -> tuple[str, ...]:
    """Return the names of a record's fields: of a dataclass or a named tuple."""
    if dataclasses.is_dataclass(batch):
        return tuple(field.name for field in dataclasses.fields(batch))
    return tuple(getattr(batch, "_fields", ()))


def _models(model: Any) -> dict[str, torch.nn.Module]:
    """Return the models by key; the only one has the key ""."""
    from torch.nn import Module

    if isinstance(model, (Module, Mapping, list, tuple)) and not isinstance(model, Module):
        named = dict(model) if isinstance(model, Mapping) else dict(enumerate(model))
    else:
        named = {"": model}
    for key, value in named.items():
        if not isinstance(value, Module):
            where = f"model[{key!r}]" if key != "" else "model"
            what = f"{where} is a {type(value).__name__}, not a torch.nn.Module"
            raise UsageError(what, "Trainee takes a module, or a tuple or dict of modules.")
    if not named:
        raise UsageError("model holds no module", "Give Trainee the models that the step trains.")
    return {str(key): value for key, value in named.items()}


def _function(name: str, value: Any, *, optional: bool = False) -> Any:
    if not callable(value) and not (optional and value is None):
        what = f"{name} is a {type(value).__name__}, not a function"
        raise UsageError(what, f"Pass the function itself: {name}={name}, without calling it.")
    return value


def _patterns(frozen: Union[str, Iterable[str]]) -> tuple[str, ...]:
    patterns = (frozen,) if isinstance(frozen, str) else tuple(frozen)
    if not all(isinstance(pattern, str) for pattern in patterns):
        what = "frozen holds something that is not a pattern"
        raise UsageError(what, 'Name parameters by fnmatch patterns: frozen=("encoder.*",).')
    return patterns


def _waivers(waive: Any) -> dict[str, str]:
    good = isinstance(waive, Mapping) and all(
        isinstance(reason, str) and reason.strip() for reason in waive.values()
    )
    if not good:
        what = "waive does not give a reason for each rule"
        raise UsageError(what, 'Write waive={"rule-id": "why the team accepts it"}.')
    return dict(waive)


def _labels(batch: Any, target: Union[str, int, None]) -> Any:
    """Return the labels in the batch; None if there are none."""
    if target is None or (target == _LABELS and hasattr(batch, "shape")):
        return None
    try:
        return at(batch, target)
    except (KeyError, IndexError, TypeError):
        if target != _LABELS:
            what = f"the batch has no target {target!r}"
            raise UsageError(what, "target is the key or index of the labels, or None.") from None
    pair = isinstance(batch, (list, tuple)) and len(batch) == len(("inputs", "labels"))
    return batch[1] if pair else None
