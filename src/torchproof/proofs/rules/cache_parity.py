"""Going on from a cache must say what the whole sequence says."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, Optional

import torch

from torchproof.proofs.finding import Finding, listed
from torchproof.proofs.prediction.probe import module_at
from torchproof.proofs.prediction.promoted import SHRINKS
from torchproof.proofs.prediction.replacement import persists, restored, widen
from torchproof.proofs.process.places import defined_at
from torchproof.proofs.rule import Skip, rule
from torchproof.proofs.sequences.sequences import sequence
from torchproof.proofs.sequences.stepwise import Parting, parting_of_ways
from torchproof.proofs.step.inference import Arguments, call_in_eval
from torchproof.proofs.tensors.bits import distance, same
from torchproof.proofs.tensors.trees import main_output


if TYPE_CHECKING:
    from collections.abc import Iterator

    from torchproof.proofs.bench import Bench
    from torchproof.proofs.sequences.sequences import Sequence

ID = "cache-parity"
_CACHES = ("cache", "past")
_SWITCHES = ("use_cache", "return_cache")
_OPTIONS = ("output_", "return_")
_REMEDY = "positions = torch.arange(past, past + tokens.shape[1])  # past: the cache's length"
_LABELS = ("labels", "targets", "target", "label", "y")


class _Protocol(NamedTuple):
    """How a model takes a cache: its name among the arguments, the name of the switch for it."""

    tokens: str
    cache: str
    switch: Optional[str]


@rule(
    ID,
    summary="token by token from a cache, a model predicts what it predicts for the whole sequence",
    source="transformers #48770 (Doge: cached and full forward pass differ)",
    needs=("reproducible",),
    severity="error",
)
def cache_parity(bench: Bench) -> Iterator[Finding]:
    """A model that returns a cache predicts the same with it as without.

    Decided by calling the trained model in eval mode on the whole sequence, and on its first half
    and then each later token alone, with the cache that the call before returned. The outputs have
    to agree. If they do not, it is repeated in float64, as the shapes differ and rounding may.

    A ``predict`` that is made token by token is compared with the model's own output for the whole
    sequence, in float64. It is an error if they agree at the first position and part later, where
    ``predict`` depends on each token that the model does (a window that is cut on purpose does not)
    or on none but the newest. It is not judged if a call in it gives all positions, or if its
    shape is another one.

    Assumes that a parameter of ``forward`` named ``cache`` or ``past...`` that is None by default
    takes what a call returns beside its output, and that a mask which is None by default and which
    the step does not give can be left out. Skipped where there is no cache or ``forward`` takes
    something else than tokens, labels and the cache (positions, a mask that the step gives), as the
    caller has to know what to pass then; if the step does not train the next token or with
    ``causal=False``, if the first half alone is predicted otherwise (`causality`), if float64 is
    needed and cannot be used, or if the step is not reproducible.
    """
    if bench.trainee.causal is False:
        raise Skip("Trainee(causal=False) says that outputs may see later tokens")
    seen = bench.once(sequence)
    trained_ahead = seen is not None and seen.shift is not None and seen.shift >= 1
    if seen is None or not (bench.trainee.causal or trained_ahead):
        raise Skip("no model is trained to give the next token")
    parting = _by_step(bench, seen)
    if parting is not None:
        yield _apart(bench, seen, parting)
        return
    path, arguments = seen.call.path, seen.call.arguments
    model = module_at(bench.trainee, path)
    protocol = _protocol(model, arguments)
    _, gap = _gaps(bench, path, protocol, arguments)
    wide: list[float] = []

    def in_double() -> float:
        wide.extend(_gaps(bench, path, protocol, arguments, double=True))
        return wide[1]

    if not gap or not persists(gap, in_double):
        return
    if wide[0] >= gap * SHRINKS:
        raise Skip("the first half of the sequence alone is predicted otherwise than in the whole")
    length = _tokens(protocol, arguments).shape[1]
    yield Finding(
        ID,
        "error",
        f"Going on from its cache, {type(model).__name__} predicts something else than for the "
        f"whole sequence: by {gap:.3g}.",
        evidence={"largest difference": gap, "positions compared": length - length // 2},
        location=defined_at(type(model).forward),
        remedy=_REMEDY,
    )


def _by_step(bench: Bench, seen: Sequence) -> Optional[Parting]:
    try:
        return parting_of_ways(bench, seen)
    except Exception:  # noqa: BLE001 - predict need not work in float64, or for other tokens
        return None


def _apart(bench: Bench, seen: Sequence, parting: Parting) -> Finding:
    model = type(module_at(bench.trainee, seen.call.path))
    return Finding(
        ID,
        "error",
        f"Token by token, predict says something else than {model.__name__} for the whole "
        f"sequence, from position {parting.position} on: by {parting.gap:.3g}.",
        evidence={
            "largest difference": parting.gap,
            "first position that differs": parting.position,
        },
        location=defined_at(bench.trainee.predict),
        remedy=_REMEDY,
    )


def _protocol(model: torch.nn.Module, arguments: Arguments) -> _Protocol:
    """Read from the signature of ``forward`` how it takes a cache."""
    takes = inspect.signature(model.forward).parameters
    tokens, *others = takes
    switch = next((name for name in others if name in _SWITCHES), None)
    call = inspect.signature(model.forward).bind_partial(*arguments.args, **arguments.kwargs)
    given = call.arguments
    idle = {name for name in others if name not in given and _may_be_left(takes[name])}
    others = [name for name in others if name not in {switch, *_LABELS, *idle}]
    caches = [name for name in others if any(part in name for part in _CACHES)]
    if len(caches) != 1 or takes[caches[0]].default is not None:
        raise Skip("forward takes no cache that is None by default")
    if len(others) > 1:
        foreign = listed([name for name in others if name not in caches])
        raise Skip(f"forward takes {foreign} too; what belongs there beside a cache is not known")
    if not isinstance(_value(tokens, arguments), torch.Tensor):
        raise Skip("the first argument of forward is no tensor")
    return _Protocol(tokens, caches[0], switch)


def _may_be_left(parameter: inspect.Parameter) -> bool:
    """Tell whether a call may leave a parameter alone if the step's call does: a mask, a switch."""
    if parameter.kind is inspect.Parameter.VAR_KEYWORD:
        return True
    empty = parameter.default is None or parameter.default is False
    return empty and ("mask" in parameter.name or parameter.name.startswith(_OPTIONS))


def _value(name: str, arguments: Arguments) -> Any:
    return arguments.args[0] if arguments.args else arguments.kwargs.get(name)


def _tokens(protocol: _Protocol, arguments: Arguments) -> torch.Tensor:
    tokens: torch.Tensor = _value(protocol.tokens, arguments)
    return tokens


def _gaps(
    bench: Bench, path: str, protocol: _Protocol, arguments: Arguments, *, double: bool = False
) -> tuple[float, float]:
    """Return how far the first half alone, and the rest from the cache, lie from the whole."""
    with restored(bench) as trial:
        given = widen(trial, arguments) if double else arguments
        model, tokens = module_at(trial.trainee, path), _tokens(protocol, given)
        whole = _output(call_in_eval(model, Arguments((tokens,), {})))
        half = tokens.shape[1] // 2
        first, cache = _call(model, protocol, tokens[:, :half], None)
        later = []
        for position in range(half, tokens.shape[1]):
            output, cache = _call(model, protocol, tokens[:, position : position + 1], cache)
            later.append(output)
    return _gap(first, whole[:, :half]), _gap(torch.cat(later, 1), whole[:, half:])


def _call(
    model: torch.nn.Module, protocol: _Protocol, tokens: torch.Tensor, cache: Any
) -> tuple[torch.Tensor, Any]:
    named = {} if cache is None else {protocol.cache: cache}
    if protocol.switch:
        named[protocol.switch] = True
    result = call_in_eval(model, Arguments((tokens,), named))
    found = _cache(result, protocol.cache)
    if found is None:
        raise Skip("the model returns no cache beside its output")
    return _output(result), found


def _cache(result: Any, name: str) -> Any:
    if isinstance(result, tuple) and len(result) == len(("output", "cache")):
        return result[1]
    return result.get(name) if isinstance(result, Mapping) else getattr(result, name, None)


def _output(result: Any) -> torch.Tensor:
    output = main_output(result)
    if output is None:
        raise Skip("in eval mode the model gives no output for each position")
    return output.detach().clone()


def _gap(first: torch.Tensor, second: torch.Tensor) -> float:
    if first.shape != second.shape:
        raise Skip("in eval mode the model does not give one output for each position")
    return 0.0 if same(first, second) else distance(first, second)
