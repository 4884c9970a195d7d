"""A trainee made of a Lightning module: its own training step, optimizers and hooks.

Lightning runs its modules without a ``Trainer`` on a ``Fabric``, which answers ``self.log``,
``self.optimizers()`` and ``self.manual_backward``. Around the module's ``training_step`` the step
calls the hooks in the order that Lightning's documentation gives for one batch. Callbacks and the
``Trainer``'s plugins do not run. Tested with Lightning 2.6.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any, Callable, Optional

from torchproof.errors import UsageError
from torchproof.proofs.trainee import Trainee


_FABRICS = {"pytorch_lightning": "lightning_fabric", "lightning": "lightning.fabric"}


def from_lightning(
    module: Any,
    batch: Any,
    *,
    gradient_clip_val: Optional[float] = None,
    gradient_clip_algorithm: str = "norm",
    **options: Any,
) -> Trainee:
    """Return the trainee that a ``LightningModule`` is.

    Args:
        module: A fresh module, made in ``build``.
        batch: One training batch, as the dataloader gives it.
        gradient_clip_val: As the ``Trainer`` is given it.
        gradient_clip_algorithm: As the ``Trainer`` is given it: ``norm`` or ``value``.
        **options: Further arguments of ``torchproof.Trainee``; they win over what is found here.

    Raises:
        UsageError: It is no Lightning module, or it configures several optimizers and leaves
            their order to Lightning.
    """
    fabric = _fabric(module)
    optimizers, schedulers = _configured(module.configure_optimizers())
    wrapped = [fabric.setup_optimizers(each) for each in optimizers]
    module.fabric, module._fabric_optimizers = fabric, wrapped  # noqa: SLF001 - as Fabric sets it
    if module.automatic_optimization and len(optimizers) != 1:
        what = f"the module configures {len(optimizers)} optimizers and optimizes automatically"
        raise UsageError(what, "Set automatic_optimization = False, as Lightning asks for.")

    def clip(optimizer: Any) -> None:
        module.configure_gradient_clipping(optimizer, gradient_clip_val, gradient_clip_algorithm)

    def step(batch: Any) -> Any:
        _ = fabric  # the module holds but a weak reference
        module.on_train_batch_start(batch, 0)
        run = _automatic if module.automatic_optimization else _manual
        loss = run(module, batch, clip if gradient_clip_val else _nothing)
        module.on_train_batch_end(loss, batch, 0)
        for scheduler in schedulers if module.automatic_optimization else ():
            module.lr_scheduler_step(scheduler, None)
        return loss

    found = {"optimizer": optimizers, "scheduler": schedulers[0] if schedulers else None}
    if _overridden(module, "validation_step"):
        found["evaluate"] = lambda batch: _loss(_evaluated(module, "validation_step", batch))
    if _overridden(module, "predict_step"):
        found["predict"] = lambda batch: _evaluated(module, "predict_step", batch)
    return Trainee(module, batch, step, **{**found, **options})


def _evaluated(module: Any, name: str, batch: Any) -> Any:
    """Run a step as Lightning's evaluation loop does: in eval mode, which it puts back."""
    import torch

    modes = [(each, each.training) for each in module.modules()]
    module.eval()
    try:
        with torch.no_grad():
            return getattr(module, name)(batch, 0)
    finally:
        for each, training in modes:
            each.training = training


def _automatic(module: Any, batch: Any, clip: Callable[[Any], None]) -> Any:
    """Take a step as automatic optimization does: all in a closure that the optimizer calls."""
    optimizer = module.optimizers()
    losses = []

    def closure() -> Any:
        loss = _loss(module.training_step(batch, 0))
        module.on_before_zero_grad(optimizer)
        module.optimizer_zero_grad(0, 0, optimizer)
        module.on_before_backward(loss)
        module.backward(loss)
        module.on_after_backward()
        module.on_before_optimizer_step(optimizer)
        clip(optimizer)
        losses.append(loss)
        return loss

    module.optimizer_step(0, 0, optimizer, closure)
    return losses[0]


def _manual(module: Any, batch: Any, clip: Callable[[Any], None]) -> Any:
    """Let the module's step do everything; Lightning clips nothing here either."""
    del clip
    return _loss(module.training_step(batch, 0))


def _nothing(optimizer: Any) -> None:
    """Stand where no clipping is wanted."""


def _fabric(module: Any) -> Any:
    """Make a Fabric of the distribution that the module comes from: Lightning has two."""
    for kind in type(module).__mro__:
        home = _FABRICS.get(kind.__module__.partition(".")[0])
        if kind.__name__ == "LightningModule" and home:
            fabric = importlib.import_module(home).Fabric
            return fabric(accelerator="cpu", devices=1, loggers=[])
    what = f"the module is a {type(module).__name__}, not a LightningModule"
    raise UsageError(what, "Make a torchproof.Trainee of it.")


def _configured(answer: Any) -> tuple[list[Any], list[Any]]:
    """Read what ``configure_optimizers`` may return: its documentation lists six forms."""
    if answer is None:
        return [], []
    pair = isinstance(answer, (tuple, list)) and answer and isinstance(answer[0], (tuple, list))
    if pair:
        return list(answer[0]), [_scheduler(each) for each in answer[1] if _each_step(each)]
    optimizers, schedulers = [], []
    for item in answer if isinstance(answer, (tuple, list)) else [answer]:
        found = item if isinstance(item, Mapping) else {"optimizer": item}
        optimizers.append(found["optimizer"])
        if _each_step(found.get("lr_scheduler")):
            schedulers.append(_scheduler(found["lr_scheduler"]))
    return optimizers, schedulers


def _scheduler(config: Any) -> Any:
    return config["scheduler"] if isinstance(config, Mapping) else config


def _each_step(config: Any) -> bool:
    """Return True for a scheduler that moves after each batch; the default is each epoch."""
    return isinstance(config, Mapping) and config.get("interval") == "step"


def _loss(answer: Any) -> Any:
    if isinstance(answer, Mapping):
        answer = answer.get("loss")
    if answer is None:
        what = "the step returned no loss"
        raise UsageError(what, 'Return the loss, or a dict with the key "loss".')
    return answer


def _overridden(module: Any, name: str) -> bool:
    for kind in type(module).__mro__:
        if name in vars(kind):
            return kind.__module__.partition(".")[0] not in _FABRICS
    return False
