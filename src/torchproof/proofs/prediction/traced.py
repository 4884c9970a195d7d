"""What each module of a model was given and returned, in order: where two predictions part."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple, Optional

from torchproof.proofs.tensors.bits import different, same
from torchproof.proofs.tensors.trees import clone, named_tensors


if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import torch

    from torchproof.proofs.trainee import Trainee

    Tensors = dict[str, torch.Tensor]


class Passed(NamedTuple):
    """One call of a module: its path and object, what went in and what came out."""

    path: str
    module: Any
    given: Tensors
    returned: Tensors


class Trace(NamedTuple):
    """The calls of modules in the order in which they ended, and the states they began with."""

    calls: list[Passed]
    states: dict[str, Tensors]


@contextmanager
def traced(trainee: Trainee) -> Iterator[Trace]:
    """Write down the calls of every module of the trainee's models in the block."""
    trace = Trace([], {})
    with ExitStack() as stack:
        for key, model in trainee.models.items():
            early = model.register_forward_pre_hook(_state_keeper(trace, key))
            stack.callback(early.remove)
            for path, module in model.named_modules(prefix=key):
                late = module.register_forward_hook(_keeper(trace, path), with_kwargs=True)
                stack.callback(late.remove)
        yield trace


def parting(first: Trace, second: Trace) -> Optional[tuple[Passed, Passed]]:
    """Return the first calls of a module that got the same and returned something else."""
    for one, other in zip(first.calls, second.calls):
        if one.path != other.path:
            return None
        if _alike(one.given, other.given) and not _alike(one.returned, other.returned):
            return one, other
    return None


def with_state(trace: Trace, states: Mapping[str, Mapping[str, torch.Tensor]]) -> bool:
    """Tell whether every model that was called had these weights."""
    return bool(trace.states) and not any(
        different(_tensors(states[key]), state) for key, state in trace.states.items()
    )


def _state_keeper(trace: Trace, key: str) -> Any:
    def keep(module: Any, *_: Any) -> None:
        trace.states.setdefault(key, clone(_tensors(module.state_dict())))

    return keep


def _keeper(trace: Trace, path: str) -> Any:
    def keep(module: Any, args: Any, kwargs: Any, output: Any) -> None:
        given, returned = named_tensors((args, kwargs)), named_tensors(output)
        trace.calls.append(Passed(path, module, clone(given), clone(returned)))

    return keep


def _tensors(state: Mapping[str, Any]) -> Tensors:
    return {name: value for name, value in state.items() if hasattr(value, "is_quantized")}


def _alike(first: Tensors, second: Tensors) -> bool:
    return first.keys() == second.keys() and all(
        same(value, second[name]) for name, value in first.items()
    )
