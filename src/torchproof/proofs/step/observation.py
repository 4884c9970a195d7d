"""What watching some calls of the step brought: operations, updates, gradients, losses, draws."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, Optional

from torch.optim import Optimizer


if TYPE_CHECKING:
    import torch

    from torchproof.proofs.process.randomness import Draw
    from torchproof.proofs.process.warned import Warned
    from torchproof.proofs.step.attention import Misweighed
    from torchproof.proofs.step.checkpoints import Resumption
    from torchproof.proofs.step.events import Event
    from torchproof.proofs.step.loss_calls import LossCall
    from torchproof.proofs.step.loss_signs import LossSign
    from torchproof.proofs.step.picks import Bare, Pick, Squashed
    from torchproof.proofs.step.spent_gradients import Rewrite
    from torchproof.proofs.step.trial import Trial
    from torchproof.proofs.step.updates import Marks, Update


class Operand(NamedTuple):
    """One tensor that went into an operation.

    ``axis_added`` is the line that gave it a new axis; ``is_output``: a model returned it, or it is
    such an output after operations that keep the shape. ``source``: where the values come from,
    as far as operations outside the models tell, ``model``, ``batch`` or nothing that is known.
    """

    shape: tuple[int, ...]
    requires_grad: bool
    axis_added: Optional[str]
    is_output: bool
    source: str = ""


class Operation(NamedTuple):
    """One torch function that was called; ``inside`` names the model's module that called it."""

    name: str
    operands: tuple[Operand, ...]
    inside: Optional[str]
    location: Optional[str]


class OptimizerStep(NamedTuple):
    """One call of ``optimizer.step``, counted from the first call of the user's step, 0."""

    optimizer: Optimizer
    call: int
    location: Optional[str]


@dataclass
class Observation:
    """What some calls of the step did.

    ``fed`` holds, by id, every leaf that got a gradient, ``flat`` the ids of those that a backward
    pass reached through step functions only, ``sloped`` of those that it reached otherwise;
    ``used`` the line that first read a parameter; ``hidden`` the tensors that modules hold without
    having registered them, by path; ``before`` and ``after`` are the models' states, ``left`` the
    switches of torch that the step left in another position: what they were and are.
    ``learning_inputs`` tells, by the id of a batch norm, whether its input required a gradient;
    ``passing`` holds, by id, the parameters of modules that a model calls and does not hold, each
    with the first call of the step that did; ``unread`` the places, among the backward passes, of
    those whose gradients nothing read; ``resumptions`` reach back to where ``build`` began.
    """

    trial: Trial
    before: dict[str, torch.Tensor]
    after: dict[str, torch.Tensor] = field(default_factory=dict)
    hidden: dict[str, torch.Tensor] = field(default_factory=dict)
    operations: list[Operation] = field(default_factory=list)
    backwards: list[Optional[str]] = field(default_factory=list)
    steps: list[OptimizerStep] = field(default_factory=list)
    fed: dict[int, torch.Tensor] = field(default_factory=dict)
    flat: set[int] = field(default_factory=set)
    sloped: set[int] = field(default_factory=set)
    used: dict[int, Optional[str]] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    updates: list[Update] = field(default_factory=list)
    marks: dict[int, Marks] = field(default_factory=dict)
    losses: list[LossCall] = field(default_factory=list)
    signs: list[LossSign] = field(default_factory=list)
    picks: list[Pick] = field(default_factory=list)
    bare: list[Bare] = field(default_factory=list)
    squashed: list[Squashed] = field(default_factory=list)
    misweighed: list[Misweighed] = field(default_factory=list)
    draws: list[Draw] = field(default_factory=list)
    warned: list[Warned] = field(default_factory=list)
    left: dict[str, tuple[Any, Any]] = field(default_factory=dict)
    learning_inputs: dict[int, bool] = field(default_factory=dict)
    passing: dict[int, tuple[torch.Tensor, int]] = field(default_factory=dict)
    rewrites: list[Rewrite] = field(default_factory=list)
    unread: list[int] = field(default_factory=list)
    resumptions: list[Resumption] = field(default_factory=list)

    @property
    def first_backward(self) -> Optional[str]:
        """The line of the first backward pass, if it is known."""
        return next((line for line in self.backwards if line), None)

    @property
    def optimizers(self) -> dict[Optimizer, Optional[str]]:
        """Every optimizer that was built, declared or seen to step, with the line that made it."""
        declared = self.trial.trainee.optimizer
        several = declared if isinstance(declared, (list, tuple)) else [declared]
        known = [each for each in several if isinstance(each, Optimizer)]
        known += [step.optimizer for step in self.steps]
        return {**dict.fromkeys(known), **dict(self.trial.optimizers)}
