"""The trained model: trained once for its code, data, configuration, seed and environment.

What makes two trainings the same one, and is assumed to be everything that matters: the user's
source files that ``train`` and ``build`` import (`sources`), the values bound to them, ``config``,
``data``, the base seed, and the environment (`torchproof.testing.machine`: Python, torch, the
versions of all packages, device kind). Whatever else training reads, such as a file it opens itself
or an environment variable, must come in through ``config`` or ``data``.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Callable, Optional

from torchproof.behaviour import cache
from torchproof.behaviour.code import computation
from torchproof.errors import UsageError


if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")


def trained(
    train: Callable[..., Any],
    *,
    build: Callable[[], Any],
    name: str,
    config: Optional[Mapping[str, Any]],
    data: Any,
    version: str,
    seed: int,
    environment: Mapping[str, Any],
    directory: Path,
) -> tuple[Any, bool]:
    """Return a freshly built model with the trained weights, in evaluation mode.

    Every call builds a model of its own, so that no test sees what another did to it; also the
    test that trained gets the weights out of the file.

    Args:
        train: Trains a model in place; called as ``train(model)``, with the data as second
            argument where there is some and the configuration as keywords. If it returns something
            with a state dict (an averaged copy), that counts.
        build: Returns an untrained model with ``state_dict`` and ``load_state_dict``.
        name: Part of the file's name.
        config: Keyword arguments of train.
        data: Second argument of train.
        version: Of the data: its fingerprint.
        seed: Fixed around build and train.
        environment: What else the result depends on.
        directory: Where the weights are kept.

    Returns:
        The model, and True if it had been trained before.

    Raises:
        UsageError: The name cannot be a file's; see `identity` too.
    """
    if not _NAME.fullmatch(name):
        what = f"the model's name is {name!r:.60}"
        raise UsageError(what, "Give up to 64 letters, digits, dots, dashes or underscores.")
    key = identity(
        train, build=build, config=config, version=version, seed=seed, environment=environment
    )
    state, known = cache.obtain(
        directory, name, key, lambda: _train(train, build, config, data, seed)
    )
    return loaded(build, state, seed), known


def identity(
    train: Callable[..., Any],
    *,
    build: Callable[[], Any],
    config: Optional[Mapping[str, Any]],
    version: str,
    seed: int,
    environment: Mapping[str, Any],
) -> str:
    """Return what two trainings have in common if they are the same one, as hexadecimal digits.

    Raises:
        UsageError: A function holds a value that cannot be hashed, or has no source.
    """
    values = {"config": dict(config or {}), "data": version, "seed": seed, "on": dict(environment)}
    return computation([train, build], values)


def untrained(build: Callable[[], Any], seed: int) -> Any:
    """Return a freshly built model with its first weights, in evaluation mode."""
    return _evaluating(_built(build, seed))


def loaded(build: Callable[[], Any], state: Any, seed: int) -> Any:
    """Return a freshly built model with these weights, in evaluation mode.

    Raises:
        UsageError: The weights are not this model's.
    """
    model = _built(build, seed)
    try:
        model.load_state_dict(state)
    except (RuntimeError, KeyError, AttributeError) as error:
        what = f"the weights do not fit what build returns: {str(error)[:300]}"
        raise UsageError(what, "Let build make the model that was trained.") from error
    return _evaluating(model)


def _built(build: Callable[[], Any], seed: int) -> Any:
    import torchproof

    with torchproof.fix_seed(seed):
        return build()


def _evaluating(model: Any) -> Any:
    return model.eval() if hasattr(model, "eval") else model


def _train(
    train: Callable[..., Any],
    build: Callable[[], Any],
    config: Optional[Mapping[str, Any]],
    data: Any,
    seed: int,
) -> Any:
    import torchproof

    with torchproof.fix_seed(seed):
        model = build()
        given = (model,) if data is None else (model, data)
        made = train(*given, **(config or {}))
    return (made if hasattr(made, "state_dict") else model).state_dict()
