"""One call of the step on a batch of our choice, seen at the models' inputs and outputs.

The gradient of the loss at a model's output says which elements of it the loss compares with what,
however the loss is computed. To see a change of the labels alone, the outputs can be *held*: the
models run as usual, and the loss is given the bits of another run in place of theirs.
"""

from __future__ import annotations

import copy
import sys
from collections.abc import Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Callable, Optional

import torch

from torchproof.proofs.batches import parted
from torchproof.proofs.process.seeds import fix_seed
from torchproof.proofs.rule import Skip
from torchproof.proofs.step.inference import Arguments
from torchproof.proofs.tensors.graph import LAYOUTS, VIEWS, makers
from torchproof.proofs.tensors.trees import clone, main_output, named_tensors


if TYPE_CHECKING:
    from collections.abc import Iterator

    from torchproof.proofs.bench import Bench
    from torchproof.proofs.step.trial import Trial
    from torchproof.proofs.trainee import Trainee

# Private, and the only way to know that a module runs again for a checkpoint, inside backward.
_backward_running: Callable[[], int] = getattr(torch._C, "_current_graph_task_id", lambda: -1)  # noqa: SLF001


@dataclass
class Call:
    """One call of a model, or of a part of it that the step calls itself.

    ``output`` is the tensor that its output is about, ``gradient`` that of the loss with respect to
    it (None if none arrived), ``made_by`` the name of the operation that made it in the autograd
    graph; ``maps`` are the gradients at the convolutions of whose numbers it consists in whatever
    layout, ``products`` those at the matrix product of which it is a view. ``held``: the loss was
    given other bits; ``has_loss``: the model computed a loss itself, which cannot be held.
    """

    path: str
    arguments: Arguments
    output: Optional[torch.Tensor] = None
    gradient: Optional[torch.Tensor] = None
    made_by: str = ""
    maps: list[torch.Tensor] = field(default_factory=list)
    products: list[torch.Tensor] = field(default_factory=list)
    held: bool = False
    has_loss: bool = False

    @property
    def channels_second(self) -> bool:
        """Tell whether the output has channels in its second axis and places behind it."""
        return any(name in self.made_by for name in ("Convolution", "Upsample"))


@dataclass
class Probe:
    """What one call of the step did: its loss and its calls of models."""

    loss: float = float("nan")
    calls: list[Call] = field(default_factory=list)

    @property
    def judged(self) -> list[Call]:
        """The calls whose outputs the loss depends on."""
        return [call for call in self.calls if call.gradient is not None]


def probe(bench: Bench, batch: Any, *, held: Optional[Probe] = None, seed: int = -1) -> Probe:
    """Run the first call of the step on a batch.

    Args:
        bench: Where the trainee comes from.
        batch: The batch to run it on.
        held: A run whose outputs the loss is to be given.
        seed: Fixed before the step, where it is not to go on with the build's.

    Raises:
        Skip: The step does not run on this batch.
    """
    with bench.trial() as trial:
        trial.trainee.batch = batch
        with ExitStack() as stack:
            if seed >= 0:
                stack.enter_context(fix_seed(seed))
            found = stack.enter_context(watch(trial.trainee, held))
            found.loss = _step(trial)
    return found


def undisturbed(bench: Bench) -> Probe:
    """Run the first call of the step on the batch as it is."""
    return probe(bench, parted(bench.trainee).batch)


@contextmanager
def watch(trainee: Trainee, held: Optional[Probe] = None) -> Iterator[Probe]:
    """Watch the calls of the trainee's models in the block."""
    watcher = _Watcher(held)
    with ExitStack() as stack:
        for path, module in _watched(trainee).items():
            for handle in watcher.hooks(path, module):
                stack.callback(handle.remove)
        yield watcher.found


def module_at(trainee: Trainee, path: str) -> torch.nn.Module:
    """Return the module that a call's path names."""
    return _watched(trainee)[path]


def _step(trial: Trial) -> float:
    try:
        return trial.step()
    except Exception as error:
        what = f"the step fails on a batch with other values ({type(error).__name__}: {error})"
        raise Skip(what) from error


def _watched(trainee: Trainee) -> dict[str, torch.nn.Module]:
    """Return the modules by path, each once; of a compiled model only itself."""
    found: dict[str, torch.nn.Module] = {}
    for key, model in trainee.models.items():
        compiled = hasattr(model, "_orig_mod")
        parts = {key: model} if compiled else dict(model.named_modules(prefix=key))
        found.update(
            (path, part)
            for path, part in parts.items()
            if not isinstance(part, torch.jit.ScriptModule)
        )
    return found


class _Watcher:
    """Writes the outermost calls of modules into a probe."""

    def __init__(self, held: Optional[Probe]) -> None:
        self.found = Probe()
        self._held = held
        self._open: list[Optional[Call]] = []

    def hooks(self, path: str, module: torch.nn.Module) -> Iterator[Any]:
        def enter(_: Any, args: Any, kwargs: Any) -> None:
            outermost = not self._open and _backward_running() < 0
            self._open.append(Call(path, clone(Arguments(args, kwargs))) if outermost else None)

        def leave(_: Any, __: Any, output: Any) -> Any:
            call = self._open.pop() if self._open else None
            return None if call is None or output is None else self._record(call, output)

        yield module.register_forward_pre_hook(_eager(enter), prepend=True, with_kwargs=True)
        yield module.register_forward_hook(_eager(leave), always_call=True)

    def _record(self, call: Call, output: Any) -> Any:
        main = main_output(output)
        if main is None or torch._C._functorch.is_functorch_wrapped_tensor(main):  # noqa: SLF001 - torch has no public name for it
            return None
        call.output = main.detach().clone()
        call.has_loss = any("loss" in name for name in named_tensors(output))
        index = len(self.found.calls)
        self.found.calls.append(call)
        if not main.requires_grad:
            return None
        call.made_by = type(main.grad_fn).__name__

        def feed(gradient: torch.Tensor) -> None:
            known = call.gradient
            fresh = gradient.detach().clone()
            call.gradient = fresh if known is None else known + fresh

        untyped: Any = main
        untyped.register_hook(feed)
        for node in makers(main, ("Convolution",), LAYOUTS):
            node.register_prehook(partial(_keep, call.maps))
        for node in makers(main, ("Addmm", "Mm", "Add"), VIEWS):
            node.register_prehook(partial(_keep, call.products))
        return self._replaced(index, call, output, main)

    def _replaced(self, index: int, call: Call, output: Any, main: torch.Tensor) -> Any:
        if self._held is None or call.has_loss or index >= len(self._held.calls):
            return None
        other = self._held.calls[index]
        if other.path != call.path or other.output is None or other.output.shape != main.shape:
            return None
        replaced = substituted(output, main, _hold(main, other.output))
        call.held = replaced is not None
        return replaced


def _keep(maps: list[torch.Tensor], gradients: tuple[Optional[torch.Tensor], ...]) -> None:
    maps.extend(each.detach().clone() for each in gradients if each is not None)


class _Held(torch.autograd.Function):
    """Other values at the same place of the graph."""

    @staticmethod
    def forward(ctx: Any, output: torch.Tensor, values: torch.Tensor) -> torch.Tensor:  # noqa: ARG004 - torch's signature
        return values.clone()

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:  # noqa: ARG004 - torch's signature
        return gradients[0], None


def _hold(output: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
    untyped: Any = _Held
    held: torch.Tensor = untyped.apply(output, values)
    return held


def substituted(output: Any, main: Optional[torch.Tensor], value: Any) -> Any:
    """Return the output with its main tensor replaced; None if it is of another kind."""
    if output is main:
        return value
    if isinstance(output, Mapping):
        fresh: Any = copy.copy(output)
        for key, each in output.items():
            if each is main:
                fresh[key] = value
        return fresh
    if isinstance(output, (tuple, list)):
        items = [value if each is main else each for each in output]
        return type(output)(*items) if hasattr(output, "_fields") else type(output)(items)
    return None


def _eager(hook: Any) -> Any:
    """Keep a hook out of compiled code; where nothing is compiled, dynamo is not loaded for it."""
    compiler: Any = torch.compiler
    return compiler.disable(hook) if "torch._dynamo" in sys.modules else hook
