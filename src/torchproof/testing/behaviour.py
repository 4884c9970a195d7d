"""`proof.behaviour` and `proof.trained`: the trained model as the unit of a test."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable, Optional, Union

import pytest

from torchproof.behaviour import cache
from torchproof.behaviour.capability import Capability, capability
from torchproof.behaviour.drawing import draw
from torchproof.behaviour.kinds import Limits, judge
from torchproof.behaviour.predictions import predictor
from torchproof.behaviour.trained import identity, loaded, untrained
from torchproof.behaviour.trained import trained as train_once
from torchproof.data.fingerprint import fingerprint
from torchproof.errors import UsageError
from torchproof.testing import machine
from torchproof.testing.fingerprinting import watch_of
from torchproof.testing.naming import id_of


if TYPE_CHECKING:
    from collections.abc import Mapping

    from torchproof.testing.fixture import ProofFixture

MODEL = "trained_model"
_DIRECTORY = pytest.StashKey[Path]()


def behaviour(
    proof: ProofFixture,
    item: pytest.Item,
    emit: Callable[..., None],
    name: str,
    *,
    kind: str,
    inputs: Any,
    expect: Any = None,
    predict: Optional[Callable[[Any], Any]] = None,
    model: Any = None,
    perturb: Any = None,
    within: float = 0.0,
    at_least: Optional[float] = None,
    at_most: Optional[float] = None,
    slices: Optional[Mapping[str, Any]] = None,
    allow: float = 0.0,
    tolerance: Any = None,
    show: Callable[[Any], str] = draw,
) -> Capability:
    """Do what `ProofFixture.behaviour` says.

    Args:
        proof: Records the metrics.
        item: The test; its fixture `MODEL` answers where neither predict nor model is given.
        emit: Writes one event.
        name: Of the capability.
        kind: MFT, INV or DIR.
        inputs: See `torchproof.behaviour.kinds.judge`, as for expect and perturb.
        expect: What is right.
        predict: Takes all inputs at once, returns one answer each.
        model: What answers if predict is not given.
        perturb: Changes one input, or the changed inputs.
        within: The distance up to which two numbers are the same answer.
        at_least: How far a number must move.
        at_most: How far a number may move.
        slices: By name a mask, or labels: a rate for each subgroup.
        allow: The failure rate that is accepted.
        tolerance: The change of the rate that does not count, as for `ProofFixture.metric`.
        show: Writes one input for a reader.
    """
    __tracebackhide__ = True
    if model is None:
        model = getattr(item, "funcargs", {}).get(MODEL)
    answers = judge(
        kind,
        predictor(predict, model),
        inputs,
        expect,
        perturb=perturb,
        limits=Limits(within, at_least, at_most),
    )
    found = capability(name, kind, answers, slices=slices or {}, allow=allow, show=show)
    test = id_of(item.config, item.nodeid)
    for shown, expected, got in found.examples():
        emit("example", test=test, name=found.name, shown=shown, expected=expected, got=got)
    _record(proof, found, tolerance)
    # The mode of fingerprints hands out untrained models; the test may ask for another one yet.
    if not found.passed and watch_of(item) is None:
        pytest.fail(f"torchproof: {found}")
    return found


def _record(proof: ProofFixture, found: Capability, tolerance: Any) -> None:
    """Write the rates as metrics, and the interval's ends as numbers beside them."""
    name = f"behaviour/{found.name}"
    low, high = found.rate.interval()
    proof.metric(f"{name}/95% low", low, unit="ratio")
    proof.metric(f"{name}/95% high", high, unit="ratio")
    rates = {name: found.rate, **{f"{name}/{part}": rate for part, rate in found.slices.items()}}
    for each, rate in rates.items():
        proof.metric(each, rate.value, better="lower", unit="ratio", tolerance=tolerance)


def directory(config: pytest.Config) -> Path:
    """Return where trained models are kept: pytest's cache, or a directory of this session."""
    cache = getattr(config, "cache", None)
    if cache is not None:
        return Path(cache.mkdir("torchproof"))
    if _DIRECTORY not in config.stash:
        made = tempfile.TemporaryDirectory(prefix="torchproof-")
        config.add_cleanup(made.cleanup)
        config.stash[_DIRECTORY] = Path(made.name)
    return config.stash[_DIRECTORY]


def trained(
    proof: ProofFixture,
    item: pytest.Item,
    seed: int,
    train: Optional[Callable[..., Any]] = None,
    *,
    build: Callable[[], Any],
    name: str = "model",
    config: Optional[Mapping[str, Any]] = None,
    data: Any = None,
    checkpoint: Union[str, Path, None] = None,
) -> Any:
    """Do what `ProofFixture.trained` says.

    Args:
        proof: Records the fingerprints.
        item: The test.
        seed: The session's base seed: the same for every test.
        train: Trains a model in place; see `torchproof.behaviour.trained.trained`.
        build: Returns an untrained model.
        name: Of the model.
        config: Keyword arguments of train.
        data: Second argument of train; a text is a path, as for `ProofFixture.dataset`.
        checkpoint: A file of weights to use instead of training.
    """
    root = item.config.rootpath
    watch = watch_of(item)
    if checkpoint is not None and train is None:
        state = cache.load(root / checkpoint)
        version = proof.dataset(f"{name} checkpoint", root / checkpoint)
        if watch:
            watch.model(fingerprint(["checkpoint", version]))
        return loaded(build, state, seed)
    if train is None or checkpoint is not None:
        what = "it is not said where the trained weights come from"
        raise UsageError(what, "Give either train, a function, or checkpoint=, a file.")
    version = "" if data is None else proof.dataset(f"{name} data", data)
    facts: dict[str, Any] = {
        "build": build,
        "config": config,
        "version": version,
        "seed": seed,
        "environment": machine.fingerprint(),
    }
    if watch:
        watch.model(identity(train, **facts))
        return untrained(build, seed)
    model, known = train_once(
        train, name=name, data=data, directory=directory(item.config), **facts
    )
    when = "before, its weights were read" if known else "now"
    item.add_report_section("call", "torchproof: trained model", f"{name} was trained {when}")
    return model
