"""What the user's step did: operations, backward passes, optimizer steps.

The step runs as it is under a `TorchFunctionMode` and global hooks, all of which are gone after the
block. Rules read an `Observation`; none installs hooks of its own.
"""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, Optional

import torch
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.module import (
    register_module_forward_hook,
    register_module_forward_pre_hook,
)
from torch.overrides import TorchFunctionMode

from torchproof.proofs.process.outside_draws import outside_draws
from torchproof.proofs.process.places import user_line
from torchproof.proofs.process.randomness import RANDOM, Draw, generator_state
from torchproof.proofs.process.switches import switches
from torchproof.proofs.process.warned import warned
from torchproof.proofs.step.events import Chronicle, held_by
from torchproof.proofs.step.likelihoods import likelihoods
from torchproof.proofs.step.loss_calls import LOSSES, arguments, loss_call
from torchproof.proofs.step.loss_signs import LossSigns
from torchproof.proofs.step.modes import modes
from torchproof.proofs.step.observation import Observation, Operand, Operation, OptimizerStep
from torchproof.proofs.step.optimizers import optimizer_hooks
from torchproof.proofs.step.picks import Picks
from torchproof.proofs.step.sources import Sources
from torchproof.proofs.step.spent_gradients import SpentGradients
from torchproof.proofs.step.trial import parameters
from torchproof.proofs.step.unread_gradients import UnreadGradients
from torchproof.proofs.step.updates import watch_updates
from torchproof.proofs.tensors.graph import flat_leaves, leaves
from torchproof.proofs.tensors.hidden import hidden_tensors
from torchproof.proofs.tensors.trees import named_tensors


if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch.optim import Optimizer

    from torchproof.proofs.step.trial import Trial


@contextmanager
def observe(trial: Trial) -> Iterator[Observation]:
    """Watch what the trial's steps do inside the block."""
    seen = Observation(trial, trial.state(), hidden=hidden_tensors(trial.trainee.models))
    recorder = _Recorder(seen)
    before = switches()
    with ExitStack() as stack:
        for handle in recorder.hooks():
            stack.callback(handle.remove)
        log = stack.enter_context(watch_updates(trial))
        seen.updates, seen.marks = log.updates, log.marks
        stack.enter_context(optimizer_hooks(before=recorder.before_step, after=recorder.after_step))
        stack.enter_context(recorder.chronicle.listening())
        stack.enter_context(likelihoods(recorder.signs.likelihood))
        seen.warned = stack.enter_context(warned())
        stack.enter_context(outside_draws(recorder.drew))
        stack.enter_context(recorder)
        yield seen
    after = switches()
    seen.left = {name: (old, after[name]) for name, old in before.items() if after[name] != old}
    seen.events = recorder.chronicle.events
    seen.unread = recorder.unread.unread()
    seen.signs = recorder.signs.found
    seen.picks, seen.bare = recorder.picks.found, recorder.picks.bare
    seen.squashed = recorder.picks.squashed
    seen.after = trial.state()


class _Recorder(TorchFunctionMode):
    """Writes what happens into an observation."""

    def __init__(self, seen: Observation) -> None:
        super().__init__()
        self._seen = seen
        self._names = {
            id(module): f"{key}.{name}".strip(".")
            for key, model in seen.trial.trainee.models.items()
            for name, module in model.named_modules()
        }
        learning = [*parameters(seen.trial.trainee).values(), *seen.hidden.values()]
        self._learning = {id(each) for each in learning}
        self._inside: list[str] = []
        models = seen.trial.trainee.models.items()
        self._places = {
            id(module): (key, model, name)
            for key, model in models
            for name, module in model.named_modules()
        }
        self._places.update((id(model), (key, model, "")) for key, model in models)
        self.chronicle = Chronicle(seen.trial)
        self._spent = SpentGradients()
        self.unread = UnreadGradients()
        # Tensors are kept alive with their ids, so that no other tensor can get the same id.
        self._new_axes: dict[int, tuple[torch.Tensor, Optional[str]]] = {}
        self._outputs: dict[int, torch.Tensor] = {}
        self._sources = Sources(seen.trial)
        self.signs = LossSigns(seen.trial, self._sources)
        self.picks = Picks(seen.trial, self._sources)

    def hooks(self) -> Iterator[Any]:
        yield register_module_forward_pre_hook(self._enter)
        yield register_module_forward_hook(self._leave, always_call=True)
        for parameter in parameters(self._seen.trial.trainee).values():
            if parameter.requires_grad:
                untyped: Any = parameter
                yield untyped.register_post_accumulate_grad_hook(self._feed)

    def before_step(self, optimizer: Optimizer) -> None:
        self.chronicle.update(optimizer)
        step = OptimizerStep(optimizer, len(self._seen.trial.losses), user_line())
        self._seen.steps.append(step)
        for group in optimizer.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._seen.fed[id(parameter)] = parameter
        held = held_by([optimizer])
        self._spent.before_update(held)
        self.unread.read(each.grad for each in held)

    def after_step(self, optimizer: Optimizer) -> None:
        self._spent.after_update(held_by([optimizer]))

    def __torch_function__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        reached = leaves(function, args, kwargs)
        if reached is not None:
            self._seen.backwards.append(user_line())
            flat = flat_leaves(function, args, kwargs)
            self._seen.flat |= flat
            self._seen.sloped |= {id(leaf) for leaf in reached} - flat
            for leaf in reached:
                self._seen.fed[id(leaf)] = leaf
            self._seen.rewrites += self._spent.backward(reached)
            self.unread.backward(reached, kwargs)
            self.chronicle.backward(args[0] if args else kwargs.get("tensors"), reached)
            self.picks.backward(args[0] if args else kwargs.get("tensors"))
            return function(*args, **kwargs)
        name = getattr(function, "__name__", "")
        self.chronicle.operation(name)
        generator = kwargs.get("generator")
        state = generator_state(generator) if name in RANDOM else b""
        result = function(*args, **kwargs)
        if state and generator_state(generator) != state:
            self.drew(
                name, state, tuple(result.shape) if isinstance(result, torch.Tensor) else None
            )
        self._spent.operation(function, name, args, len(self._seen.trial.losses))
        self.unread.operation(name, args)
        if isinstance(result, (torch.Tensor, tuple, list)):
            self._record(name, args, kwargs, result)
        return result

    def drew(self, name: str, state: bytes, shape: Optional[tuple[int, ...]]) -> None:
        call, trains = len(self._seen.trial.losses), torch.is_grad_enabled()
        self._seen.draws.append(Draw(name, call, user_line(), state, trains, shape))

    def _record(self, name: str, args: Any, kwargs: dict[str, Any], result: Any) -> None:
        tensors = _tensors((*args, *kwargs.values()))
        if not tensors or name == "__get__":
            return
        location = user_line()
        for tensor in tensors:
            if id(tensor) in self._learning:
                self._seen.used.setdefault(id(tensor), location)
        if name in LOSSES:
            self._loss(name, args, kwargs, result, location)
        self.signs.meet(name, args, kwargs, result)
        self.picks.meet(name, args, kwargs, result)
        operands = tuple(self._operand(tensor) for tensor in tensors)
        inside = self._inside[-1] if self._inside else None
        self._seen.operations.append(Operation(name.strip("_"), operands, inside, location))
        if inside is None:
            self.picks.squash(name, args)
            self._sources.trace({operand.source for operand in operands}, result)
        if inside is not None or not isinstance(result, torch.Tensor):
            return
        if _adds_axis(name, args):
            self._new_axes[id(result)] = (result, location)
        if len(tensors) == 1 and operands[0].is_output and result.shape == tensors[0].shape:
            self._outputs[id(result)] = result

    def _loss(self, name: str, args: Any, kwargs: Any, result: Any, location: Any) -> None:
        call = loss_call(
            name,
            arguments(args, kwargs),
            result,
            call=len(self._seen.trial.losses),
            location=location,
        )
        if call is not None:
            self._seen.losses.append(call)

    def _operand(self, tensor: torch.Tensor) -> Operand:
        return Operand(
            tuple(tensor.shape),
            tensor.requires_grad,
            self._new_axes.get(id(tensor), (tensor, None))[1],
            id(tensor) in self._outputs,
            self._sources.of(tensor),
        )

    def _enter(self, module: torch.nn.Module, given: Any) -> None:
        if isinstance(module, _BatchNorm) and id(module) in self._names:
            learns = any(each.requires_grad for each in _tensors(given))
            self._seen.learning_inputs[id(module)] = learns
        if not self._inside and id(module) in self._places and torch.is_grad_enabled():
            self._note(*self._places[id(module)])
        if id(module) in self._names:
            self._inside.append(self._names[id(module)])
        elif self._inside:
            call = len(self._seen.trial.losses)
            for each in module.parameters(recurse=False):
                self._seen.passing.setdefault(id(each), (each, call))
                self._seen.used.setdefault(id(each), user_line())

    def _note(self, key: str, model: torch.nn.Module, part: str) -> None:
        facts = {"model": key, "part": part, "training": model.training, "modes": modes(model)}
        self.chronicle.note("part" if part else "forward", model.parameters(), **facts)

    def _leave(self, module: torch.nn.Module, _: Any, output: Any) -> None:
        if id(module) in self._names and self._inside:
            self._inside.pop()
        if id(module) in self._names and not self._inside:
            for tensor in named_tensors(output).values():
                self._outputs[id(tensor)] = tensor
                self._sources.trace({"model"}, tensor)

    def _feed(self, leaf: torch.Tensor) -> None:
        self._seen.fed[id(leaf)] = leaf
        self.chronicle.delivered(leaf)
        self.unread.delivered(leaf)


def _tensors(values: Any) -> list[torch.Tensor]:
    """Return the tensors among the values and in lists and tuples among them."""
    found: list[torch.Tensor] = []
    for value in values:
        if isinstance(value, torch.Tensor):
            found.append(value)
        elif isinstance(value, (list, tuple)):
            found += [item for item in value if isinstance(item, torch.Tensor)]
    return found


def _adds_axis(name: str, args: Any) -> bool:
    """Tell whether the user wrote a new axis: ``unsqueeze`` or an index with None."""
    if name in ("unsqueeze", "unsqueeze_"):
        return True
    index = args[1] if name == "__getitem__" and len(args) > 1 else ()
    return index is None or (isinstance(index, tuple) and any(item is None for item in index))
