"""What the user's step did: operations, backward passes, optimizer steps.

The step runs as it is under a `TorchFunctionMode` and global hooks, all of which are gone after the
block. Rules read an `Observation`; none installs hooks of its own.
"""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, Optional

import torch
from torch.overrides import TorchFunctionMode

from torchproof.proofs.process.outside_draws import outside_draws
from torchproof.proofs.process.places import user_line
from torchproof.proofs.process.randomness import RANDOM, Draw, generator_state
from torchproof.proofs.process.switches import switches
from torchproof.proofs.process.warned import warned
from torchproof.proofs.step.attention import Attention
from torchproof.proofs.step.events import Chronicle, held_by
from torchproof.proofs.step.likelihoods import likelihoods
from torchproof.proofs.step.loss_calls import LOSSES, arguments, loss_call
from torchproof.proofs.step.loss_signs import LossSigns
from torchproof.proofs.step.module_calls import ModuleCalls
from torchproof.proofs.step.observation import Observation, Operation, OptimizerStep
from torchproof.proofs.step.operands import Operands, tensors_among
from torchproof.proofs.step.optimizers import optimizer_hooks
from torchproof.proofs.step.picks import Picks
from torchproof.proofs.step.sources import Sources
from torchproof.proofs.step.spent_gradients import SpentGradients
from torchproof.proofs.step.trial import parameters
from torchproof.proofs.step.unread_gradients import UnreadGradients
from torchproof.proofs.step.updates import watch_updates
from torchproof.proofs.tensors.graph import flat_leaves, leaves
from torchproof.proofs.tensors.hidden import hidden_tensors


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
    seen.misweighed = recorder.attention.found
    seen.after = trial.state()


class _Recorder(TorchFunctionMode):
    """Writes what happens into an observation."""

    def __init__(self, seen: Observation) -> None:
        super().__init__()
        self._seen = seen
        learning = [*parameters(seen.trial.trainee).values(), *seen.hidden.values()]
        self._learning = {id(each) for each in learning}
        sources = Sources(seen.trial)
        self.chronicle = Chronicle(seen.trial)
        self.signs = LossSigns(seen.trial, sources)
        self.picks = Picks(seen.trial, sources)
        self.attention = Attention()
        self.unread = UnreadGradients()
        self._spent = SpentGradients()
        self._operands = Operands(sources)
        self._modules = ModuleCalls(seen, self.chronicle, self._operands)

    def hooks(self) -> Iterator[Any]:
        yield from self._modules.hooks()
        for parameter in parameters(self._seen.trial.trainee).values():
            if parameter.requires_grad:
                untyped: Any = parameter
                yield untyped.register_post_accumulate_grad_hook(self._feed)

    def before_step(self, optimizer: Optimizer) -> None:
        self.chronicle.update(optimizer)
        step = OptimizerStep(optimizer, len(self._seen.trial.losses), user_line())
        self._seen.steps.append(step)
        held = held_by([optimizer])
        self._seen.fed.update((id(each), each) for each in held if each.grad is not None)
        self._spent.before_update(held, renewed=self._renews(optimizer))
        self.unread.read(each.grad for each in held)

    def _renews(self, optimizer: Optimizer) -> bool:
        """Tell whether an update has a closure make its gradients before it reads any."""
        ours = type(optimizer).__module__.startswith("torch.optim")
        return ours and self._seen.updates[-1].closure

    def after_step(self, optimizer: Optimizer) -> None:
        self.chronicle.updated()
        self._spent.after_update(held_by([optimizer]))

    def __torch_function__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        reached = leaves(function, args, kwargs)
        if reached is not None:
            self._backward(reached, flat_leaves(function, args, kwargs), args, kwargs)
            return function(*args, **kwargs)
        name = getattr(function, "__name__", "")
        self.chronicle.operation(name)
        result = self._called(function, name, args, kwargs)
        self._spent.operation(function, name, args, len(self._seen.trial.losses))
        self.unread.operation(name, args)
        tensors = tensors_among((*args, *kwargs.values()))
        if tensors and name != "__get__" and isinstance(result, (torch.Tensor, tuple, list)):
            self._record(name, args, kwargs, tensors, result)
        return result

    def drew(self, name: str, state: bytes, shape: Optional[tuple[int, ...]]) -> None:
        call, trains = len(self._seen.trial.losses), torch.is_grad_enabled()
        self._seen.draws.append(Draw(name, call, user_line(), state, trains, shape))

    def _backward(self, reached: Any, flat: set[int], args: Any, kwargs: dict[str, Any]) -> None:
        """Note a backward pass that is about to begin."""
        self._seen.backwards.append(user_line())
        self._seen.flat |= flat
        self._seen.sloped |= {id(leaf) for leaf in reached} - flat
        self._seen.fed.update((id(leaf), leaf) for leaf in reached)
        self._seen.rewrites += self._spent.backward(reached)
        self.unread.backward(reached, kwargs)
        begin = args[0] if args else kwargs.get("tensors")
        self.chronicle.backward(begin, reached)
        self.picks.backward(begin)
        self.attention.clear()

    def _called(self, function: Any, name: str, args: Any, kwargs: dict[str, Any]) -> Any:
        """Call the function; note what it draws."""
        generator = kwargs.get("generator")
        state = generator_state(generator) if name in RANDOM else b""
        result = function(*args, **kwargs)
        if state and generator_state(generator) != state:
            shape = tuple(result.shape) if isinstance(result, torch.Tensor) else None
            self.drew(name, state, shape)
        return result

    def _record(
        self, name: str, args: Any, kwargs: Any, tensors: list[torch.Tensor], result: Any
    ) -> None:
        location = user_line()
        for tensor in tensors:
            if id(tensor) in self._learning:
                self._seen.used.setdefault(id(tensor), location)
        if name in LOSSES:
            self._loss(name, arguments(args, kwargs), result, location)
        self.signs.meet(name, args, kwargs, result)
        self.picks.meet(name, args, kwargs, result)
        self.attention.meet(name, args, kwargs, result)
        operands = tuple(self._operands.of(tensor) for tensor in tensors)
        inside = self._modules.innermost
        self._seen.operations.append(Operation(name.strip("_"), operands, inside, location))
        if inside is None:
            self.picks.squash(name, args)
            self._operands.made(name, args, operands, result, location)

    def _loss(self, name: str, given: Any, result: Any, location: Optional[str]) -> None:
        count = len(self._seen.trial.losses)
        call = loss_call(name, given, result, call=count, location=location)
        if call is not None:
            self._seen.losses.append(call)

    def _feed(self, leaf: torch.Tensor) -> None:
        self._seen.fed[id(leaf)] = leaf
        self.chronicle.delivered(leaf)
        self.unread.delivered(leaf)
