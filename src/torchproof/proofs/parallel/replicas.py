"""Another replica of data-parallel training, seen without a second process.

Replicas see different rows and share nothing but the results of collectives. So a run is made on
other rows, in which each collective returns what it returned in the first run: what that leaves in
a parameter is what another replica would hold. Where replicas agree, it is the same bits.
"""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING, Any, Callable, NamedTuple, Optional

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from torchproof.proofs.rule import Skip
from torchproof.proofs.step.trial import parameters
from torchproof.proofs.tensors.bits import different, distance, same
from torchproof.proofs.tensors.trees import clone, map_tensors, named_tensors


if TYPE_CHECKING:
    from torchproof.proofs.bench import Bench
    from torchproof.proofs.step.trial import Trial

    State = dict[str, torch.Tensor]
    Result = tuple[str, list[torch.Tensor]]
    Exchange = Callable[[int, str, list[torch.Tensor]], None]

_SILENT = ("send", "barrier", "monitored_barrier_")


class Replicas(NamedTuple):
    """What another replica holds after the first update.

    ``apart`` are the parameters that it holds with other values, by how much; ``agreed`` those that
    the update moved to the same bits; ``alone`` are those apart whose values no collective
    reaches; ``wrapped`` those that a ``DistributedDataParallel`` is to keep equal; ``sent`` those
    whose gradient, as it is, is given to a collective.
    """

    apart: dict[str, float]
    agreed: list[str]
    alone: list[str]
    wrapped: list[str]
    sent: list[str]
    collectives: int


def replicas(bench: Bench) -> Replicas:
    """Compare the first update with that of another replica.

    Raises:
        Skip: The step is not distributed, or another replica cannot be had.
    """
    _check()
    calls = _calls(bench)
    results: list[Result] = []
    with bench.trial() as trial:
        wrapped = _wrapped(trial)
        collectives = _Collectives(_recorder(results), _learning(trial))
        before, after = _first_update(trial, calls, collectives)
    moved = different(before, after)
    if not results and not wrapped:
        raise Skip("the step exchanges nothing with other processes")
    with bench.trial() as trial:
        trial.trainee.batch = _other_rows(trial.trainee.batch)
        _, other = _first_update(trial, calls, _Collectives(_player(results)))
    apart = {name: distance(after[name], other[name]) for name in different(after, other)}
    agreed = [name for name in moved if name not in apart]
    alone = _alone(bench, calls, after, apart)
    return Replicas(apart, agreed, alone, wrapped, sorted(collectives.sent), len(results))


class _Collectives(TorchDispatchMode):  # type: ignore[no-untyped-call] # torch leaves it untyped
    """Hands the tensors that each collective has filled to a function that may overwrite them.

    ``sent`` are those of some parameters whose gradient a collective was given as it is.
    """

    def __init__(
        self, exchange: Exchange, learning: Optional[dict[str, torch.nn.Parameter]] = None
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._exchange = exchange
        self._learning = learning or {}
        self.count = 0
        self.sent: set[str] = set()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Optional[dict[str, Any]] = None
    ) -> Any:
        if "c10d" in func.namespace:
            self._send(list(named_tensors(args).values()))
        result = func(*args, **(kwargs or {}))
        name = func.name().partition("::")[2].partition(".")[0]
        if func.namespace == "c10d" and name not in _SILENT:
            _wait(result)
            self._pass_on(name, args[0])
        elif func.namespace == "_c10d_functional" and name == "wait_tensor":
            self._pass_on(name, result)
        return result

    def _send(self, given: list[torch.Tensor]) -> None:
        for name, each in self._learning.items():
            if each.grad is not None and each.grad.any():
                gradient = each.grad.detach()
                self.sent |= {name for one in given if same(one.detach(), gradient)}

    def _pass_on(self, name: str, filled: Any) -> None:
        self._exchange(self.count, name, list(named_tensors(filled).values()))
        self.count += 1


def _wait(result: Any) -> None:
    """Let a collective end, as its tensors are filled in the background."""
    work = result[-1] if isinstance(result, (tuple, list)) else result
    if hasattr(work, "wait"):
        work.wait()


def _recorder(results: list[Result]) -> Exchange:
    def write_down(_: int, name: str, filled: list[torch.Tensor]) -> None:
        results.append((name, [each.detach().clone() for each in filled]))

    return write_down


def _player(results: list[Result]) -> Exchange:
    def play(index: int, name: str, filled: list[torch.Tensor]) -> None:
        known = results[index] if index < len(results) else ("", [])
        shapes = [each.shape for each in filled]
        if known[0] != name or [each.shape for each in known[1]] != shapes:
            raise Skip("what the step exchanges depends on its rows")
        for each, value in zip(filled, known[1]):
            each.detach().copy_(value)

    return play


def _negate(_: int, __: str, filled: list[torch.Tensor]) -> None:
    for each in filled:
        if each.is_floating_point():
            each.detach().neg_()


def _first_update(trial: Trial, calls: int, collectives: _Collectives) -> tuple[State, State]:
    """Run the step until its first update; return the parameters before and after."""
    before = _parameters(trial)
    try:
        with collectives:
            for _ in range(calls):
                trial.step()
    except Skip:
        raise
    except Exception as error:
        what = f"the step fails on other rows ({type(error).__name__}: {error})"
        raise Skip(what) from error
    return before, _parameters(trial)


def _alone(bench: Bench, calls: int, after: State, apart: dict[str, float]) -> list[str]:
    """Name the parameters apart that stay as they are when collectives return something else."""
    if not apart:
        return []
    with bench.trial() as trial:
        _, negated = _first_update(trial, calls, _Collectives(_negate))
    return [name for name in apart if same(after[name], negated[name])]


def _check() -> None:
    group: Any = torch.distributed
    if not group.is_available() or not group.is_initialized():
        raise Skip("there is no process group of torch.distributed")
    if group.get_world_size() > 1:
        raise Skip("several processes run this proof; one with a group of its own is needed")


def _calls(bench: Bench) -> int:
    """Return in how many calls of the step the first update comes."""
    first = next(iter(bench.observation.updates), None)
    if first is None:
        raise Skip("no optimizer stepped")
    return first.call + 1


def _learning(trial: Trial) -> dict[str, torch.nn.Parameter]:
    return {name: each for name, each in parameters(trial.trainee).items() if each.requires_grad}


def _parameters(trial: Trial) -> State:
    return {name: each.detach().clone() for name, each in _learning(trial).items()}


def _other_rows(batch: Any) -> Any:
    """Return the batch with its first row in every place."""

    def repeat(tensor: torch.Tensor) -> torch.Tensor:
        if tensor.dim() == 0 or tensor.layout != torch.strided or tensor.is_nested:
            return tensor
        return tensor.detach()[[0] * len(tensor)].requires_grad_(tensor.requires_grad)

    changed = map_tensors(batch, repeat)
    if not different(named_tensors(batch), named_tensors(changed)):
        raise Skip("all rows of the batch are alike")
    return clone(changed)


def _wrapped(trial: Trial) -> list[str]:
    """Name the trainee's parameters that some ``DistributedDataParallel`` is to keep equal."""
    kind = torch.nn.parallel.DistributedDataParallel
    held = {
        id(parameter)
        for wrapper in gc.get_objects()
        if issubclass(type(wrapper), kind)  # isinstance would ask deprecated objects
        for name, parameter in wrapper.module.named_parameters()
        if name not in wrapper.parameters_to_ignore
    }
    return [name for name, each in parameters(trial.trainee).items() if id(each) in held]
