"""The integration pair: a model goes from training into a fresh process and answers as before."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable, NamedTuple, Optional

from torchproof.behaviour import serving
from torchproof.behaviour.predictions import evaluating, predictor
from torchproof.behaviour.skew import Skew, diagnose, distance
from torchproof.errors import UsageError


if TYPE_CHECKING:
    from collections.abc import Mapping

TIMEOUT = 300.0
MAX_LINES = 8


class Service(NamedTuple):
    """What is started: the function, the interpreter (None for this one), where, for how long."""

    target: str
    python: Optional[str]
    root: Path
    timeout: float


class Handover(NamedTuple):
    """How far the service's answers are from training's, and why if they are too far."""

    apart: Optional[float]
    skew: Optional[Skew]


def handover(
    model: Any,
    serve: str,
    inputs: Any,
    *,
    predict: Optional[Callable[[Any], Any]] = None,
    save: Optional[Callable[[Any, Path], Any]] = None,
    within: float = 1e-5,
    python: Optional[str] = None,
    root: Path,
    timeout: float = TIMEOUT,
) -> Handover:
    """Save a model, load it in a fresh process as the service does, and compare the answers.

    Args:
        model: The trained model.
        serve: The service's ``module:name``, a function ``(path) -> predict``; imported by the
            fresh process in ``root``.
        inputs: What both are asked: tensors, texts, numbers, or lists and dictionaries of these.
        predict: How training answers inputs; by default the model in evaluation mode.
        save: Writes the model to a path; by default ``torch.save`` of its state dict.
        within: How far numbers may be apart, absolutely up to 1 and relatively above.
        python: The service's interpreter, by default this one.
        root: Where the fresh process runs.
        timeout: In seconds.

    Raises:
        UsageError: ``serve`` names nothing, or the inputs cannot be carried over.
    """
    if not all(serve.partition(":")):
        raise UsageError(
            f"serve is {serve!r:.80}", 'Give "module:name" of the service\'s function.'
        )
    train = serving.observe(predict or _evaluated(model), inputs)
    with tempfile.TemporaryDirectory(prefix="torchproof-") as folder:
        weights, given = Path(folder, "model.pt"), Path(folder, "inputs.pt")
        (save or _save)(model, weights)
        _carry(inputs, given)
        seen = _served(Service(serve, python, root, timeout), weights, given)
    if isinstance(seen, Skew):
        return Handover(None, seen)
    apart = distance(train["answers"], seen["answers"])
    if apart is not None and apart <= within:
        return Handover(apart, None)
    return Handover(apart, diagnose(train, seen, within))


def _evaluated(model: Any) -> Callable[[Any], Any]:
    """Return what answers with the model's own numbers, a module in evaluation mode."""
    if not hasattr(model, "modules"):
        return predictor(None, model)

    def answer(inputs: Any) -> Any:
        with evaluating(model):
            return model(inputs)

    return answer


def _served(service: Service, weights: Path, given: Path) -> Any:
    """Return what was observed in the fresh process, or why it did not answer."""
    import torch

    answer = given.with_name("answer.pt")
    command = [service.python or sys.executable, str(Path(serving.__file__)), service.target]
    try:
        done = subprocess.run(
            [*command, str(weights), str(given), str(answer)],
            cwd=service.root,
            env=_environment(os.environ, service.python),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=service.timeout,
            check=False,
        )
    except subprocess.TimeoutExpired:
        what = f"the service does not answer within {service.timeout:g} s"
        return Skew("loading", what, "Ask less of it, or give it more time by timeout=.")
    if done.returncode != 0 or not answer.exists():
        return _crashed(done.stderr)
    return torch.load(answer, weights_only=True)


def _save(model: Any, path: Path) -> None:
    import torch

    torch.save(model.state_dict(), path)


def _carry(inputs: Any, path: Path) -> None:
    import torch

    torch.save(inputs, path)
    try:
        torch.load(path, weights_only=True)
    except pickle.UnpicklingError as error:
        what = "the inputs hold more than tensors and plain values"
        raise UsageError(what, "Give tensors, texts, numbers, or lists of these.") from error


def _environment(environ: Mapping[str, str], python: Optional[str]) -> dict[str, str]:
    """Let the same interpreter find what this process finds; another one has its own packages."""
    if python is not None:
        return dict(environ)
    return {**environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}


def _crashed(stderr: str) -> Skew:
    lines = [line for line in stderr.strip().splitlines() if line.strip()]
    last = lines[-1].strip()[:300] if lines else "it said nothing"
    tail = "\n".join(lines[-MAX_LINES:])
    return Skew("loading", f"the service does not answer: {last}", f"It said:\n{tail}")
