"""The same seed must give the same training."""

from __future__ import annotations

import inspect
import random
import sys
from typing import TYPE_CHECKING, Any, Optional

import torch

from torchproof.proofs.finding import Finding
from torchproof.proofs.process.fingerprints import Print, digest, fingerprints, first_difference
from torchproof.proofs.process.places import defined_at
from torchproof.proofs.process.randomness import RANDOM
from torchproof.proofs.rule import rule
from torchproof.proofs.tensors.bits import different
from torchproof.proofs.tensors.trees import named_tensors


if TYPE_CHECKING:
    from collections.abc import Iterator

    from torchproof.proofs.bench import Bench

ID = "reproducible"


@rule(
    ID,
    summary="the same seed gives the same bits, run after run",
    source="PyTorch, Reproducibility; Karpathy, A Recipe for Training Neural Networks (2019)",
    needs=(),
    severity="error",
)
def reproducible(bench: Bench) -> Iterator[Finding]:
    """Building and training twice from one seed gives the same losses and weights, bit for bit.

    Decided by the runs that other rules have made anyway. If they differ, the step runs twice more
    and every operation's result is compared, to name the first one that differs. It is an error if
    that operation draws random numbers, or gets other tensors or numbers although nothing before it
    differed, or if the model or batch differs before the first call: something draws from a
    generator that no seed reaches. It is a warning if an operation gives another result for the
    same tensors and numbers (a non-deterministic kernel), or if ``build`` can see a generator older
    than itself, which goes on from call to call.

    Assumes that what ``build`` changes outside the trainee is the build's fault, not the model's.
    Skipped never.
    """
    reason = bench.reason_against("reproducible")
    if not reason:
        return
    early, pair = _first(bench)
    mark = pair[1] if pair else None
    severity = "error" if early or (pair is not None and _unseeded(*pair)) else "warning"
    if _older_generators(bench.build):
        severity = "warning"
    at = f", first seen in {mark.name}" if mark else ""
    yield Finding(
        ID,
        severity,
        f"Two runs from the same seed differ{early and ' before the first step'}{at}.",
        evidence={"difference": reason, "first operation": mark.name if mark else "not known"},
        location=mark.location if mark else defined_at(bench.build if early else None),
        remedy="numpy.random.default_rng(seed), torch.Generator().manual_seed(seed)  # in build",
    )


def _first(bench: Bench) -> tuple[str, Optional[tuple[Print, Print]]]:
    """Return what differs before the first call, and the first operation that differs."""
    starts: list[dict[str, torch.Tensor]] = []
    runs: list[list[Print]] = []
    for _ in range(2):
        with bench.trial() as trial:
            batch = named_tensors(trial.trainee.batch)
            starts.append(
                {**{f"batch {name}": each for name, each in batch.items()}, **trial.state()}
            )
            with fingerprints() as prints:
                for _ in bench.reference.losses:
                    trial.step()
        runs.append(prints)
    early = different(starts[0], starts[1])
    return (early[0] if early else ""), (None if early else first_difference(*runs))


def _unseeded(one: Print, other: Print) -> bool:
    """Tell whether an operation draws, or gets what differs from outside torch."""
    outside = (one.given, one.numbers) != (other.given, other.numbers)
    return other.name in RANDOM or outside or other.given == digest(())


def _older_generators(build: Any) -> bool:
    """Tell whether a function refers to a generator that was there before it was called."""
    variables = inspect.getclosurevars(build) if inspect.isfunction(build) else None
    if variables is None:
        return False
    named = {**variables.globals, **variables.nonlocals}.values()
    seen = [each for each in named if not inspect.ismodule(each)]
    inside = [value for each in seen for value in getattr(each, "__dict__", {}).values()]
    return any(isinstance(each, _generators()) for each in (*seen, *inside))


def _generators() -> tuple[type, ...]:
    numpy: Any = sys.modules.get("numpy")
    theirs = (numpy.random.Generator, numpy.random.RandomState) if numpy else ()
    return (random.Random, torch.Generator, *theirs)
