"""A trainee made of a Hugging Face ``Trainer``: its own loss, clipping, optimizer and scheduler.

The step is one turn of the loop in ``Trainer.train`` as the library documents it: ``training_step``
(train mode, forward, loss, backward) for each micro-batch of ``gradient_accumulation_steps``, the
clipping of ``max_grad_norm``, then optimizer, scheduler and ``zero_grad``. Callbacks do not run.
Evaluation and prediction are ``Trainer.prediction_step``. Tested with transformers 5.23.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torchproof.errors import UsageError
from torchproof.proofs.trainee import Trainee


if TYPE_CHECKING:
    from collections.abc import Mapping

_MANY_STEPS = 1_000  # a schedule needs a length; a proof takes far fewer steps


def from_trainer(trainer: Any, batch: Any = None, **options: Any) -> Trainee:
    """Return the trainee that a ``transformers.Trainer`` trains.

    Args:
        trainer: A fresh ``Trainer``, made in ``build``; subclasses with a ``compute_loss`` of
            their own are what this is for.
        batch: One training batch as the collator makes it; the first of the train dataloader if
            not given.
        **options: Further arguments of ``torchproof.Trainee``; they win over what is found here.

    Raises:
        UsageError: There is neither a batch nor a train dataset.
    """
    model, optimizer = _prepare(trainer)
    batch = dict(_first_batch(trainer) if batch is None else batch)

    def step(batch: Any) -> Any:
        return _step(trainer, model, optimizer, batch)

    def predict(batch: Any) -> Any:
        return trainer.prediction_step(model.eval(), batch, prediction_loss_only=False)[1]

    def evaluate(batch: Any) -> Any:
        return trainer.prediction_step(model.eval(), batch, prediction_loss_only=True)[0]

    labels = next((name for name in trainer.label_names or ["labels"] if name in batch), None)
    found = {
        "predict": predict,
        "evaluate": evaluate if labels else None,
        "target": labels,
        "optimizer": trainer.optimizer,
        "scheduler": trainer.lr_scheduler,
    }
    return Trainee(trainer.model, batch, step, **{**found, **options})


def _prepare(trainer: Any) -> tuple[Any, Any]:
    """Let the trainer make its optimizer, and accelerate wrap what mixed precision needs."""
    trainer.create_optimizer_and_scheduler(num_training_steps=_MANY_STEPS)
    model, optimizer = trainer.accelerator.prepare(trainer.model, trainer.optimizer)
    trainer.model_wrapped = model
    return model, optimizer


def _first_batch(trainer: Any) -> Mapping[str, Any]:
    if trainer.train_dataset is None:
        what = "the Trainer has no train_dataset to take a batch from"
        raise UsageError(what, "Give one: torchproof.from_trainer(trainer, batch).")
    batch: Mapping[str, Any] = next(iter(trainer.get_train_dataloader()))
    return batch


def _step(trainer: Any, model: Any, optimizer: Any, batch: Any) -> Any:
    """Take one optimizer step; each micro-batch of an accumulation is the same batch."""
    micro_batches, device = trainer.args.gradient_accumulation_steps, trainer.args.device
    trainer.current_gradient_accumulation_steps = micro_batches
    batches, items = trainer.get_batch_samples(iter([batch] * micro_batches), micro_batches, device)
    loss = sum(trainer.training_step(model, each, items) for each in batches)
    if trainer.args.max_grad_norm:
        trainer.accelerator.clip_grad_norm_(model.parameters(), trainer.args.max_grad_norm)
    optimizer.step()
    trainer.lr_scheduler.step()
    model.zero_grad()
    return loss
