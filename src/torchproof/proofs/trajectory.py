"""The first steps of a training to the last bit: what tells that a change did not touch training.

A trainee is built and stepped on the CPU, in one thread, with deterministic algorithms and without
oneDNN, whose order of summation depends on the sizes of the caches. ``build``, each step and what
comes after them draw from streams of their own: an extra draw in one moves none of the others.

What counts is each step's loss with all parameters and buffers after it and, at the end, the
settings of the optimizers and schedulers, a prediction and an evaluation. All of it counts by its
bits: ``-0.0`` is not ``0.0``.

It is assumed that a training which begins with the same bits goes on as before. What a step does
only later, such as a warm-up that ends after a thousand calls, is seen where it stands in the
settings of an optimizer or a scheduler of torch, and not where it is code of the step's own.
"""

from __future__ import annotations

import gc
import hashlib
import warnings
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Callable

import torch
from torch.optim import lr_scheduler

from torchproof.proofs.bench import Bench
from torchproof.proofs.process.isolation import untouched
from torchproof.proofs.process.seeds import fix_seed
from torchproof.proofs.rule import Skip
from torchproof.proofs.step.optimizers import optimizer_hooks
from torchproof.proofs.step.trial import state_tensors
from torchproof.proofs.tensors.trees import clone, named_tensors


if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from torchproof.proofs.step.trial import Trial
    from torchproof.proofs.trainee import Trainee

STEPS = 5

_SHORT = 8  # hexadecimal digits: enough to tell at which step two trajectories part
_SCHEDULER: Any = getattr(lr_scheduler, "LRScheduler", None) or lr_scheduler._LRScheduler  # noqa: SLF001 - its name before torch 2.0
# The public torch.backends.mkldnn.flags sets TF32 too, and warns where there is none.
_c: Any = torch._C  # noqa: SLF001
_onednn, _set_onednn = _c._get_mkldnn_enabled, _c._set_mkldnn_enabled  # noqa: SLF001


@dataclass(frozen=True)
class Trajectory:
    """What the first steps of a training were.

    Attributes:
        losses: One a step, as exact hexadecimal numbers (``float.hex``).
        steps: One short digest a step, of its loss and of all parameters and buffers after it.
        digest: Of everything that counts.
        whole: False if the trainee brings what no step reaches, a loader or a service's model.
    """

    losses: tuple[str, ...]
    steps: tuple[str, ...]
    digest: str
    whole: bool = True


def trajectory(build: Callable[[], Trainee], *, seed: int = 0, steps: int = STEPS) -> Trajectory:
    """Build a trainee and run its first steps; the caller's state stays as it is.

    Args:
        build: Makes a fresh `Trainee` on the CPU.
        seed: The streams are derived from it.
        steps: How many calls of the step.

    Raises:
        Skip: A tensor is on another device, or its bits cannot be read.
        Exception: Whatever the user's functions raise, as it is.
    """
    bench = Bench(build, stream(seed, "init"))
    seen: dict[int, torch.optim.Optimizer] = {}
    with exactly(), bench.trial() as trial:
        seen.update((id(each), each) for each in trial.optimizers)
        with optimizer_hooks(after=lambda each: seen.update({id(each): each})):
            marks = [_step(trial, stream(seed, f"step {at}")) for at in range(steps)]
        with fix_seed(stream(seed, "end")):
            end = _end(trial, list(seen.values()))
        losses = tuple(loss.hex() for loss in trial.losses)
    whole = trial.trainee.serve is None and trial.trainee.loader is None
    digest = digest_of([losses, marks, end])
    return Trajectory(losses, tuple(mark[:_SHORT] for mark in marks), digest, whole)


@contextmanager
def exactly() -> Iterator[None]:
    """Compute inside the block so that the same program gives the same bits again."""
    threads, onednn = torch.get_num_threads(), _onednn()
    with untouched():
        warnings.simplefilter("ignore")
        if torch.get_deterministic_debug_mode() == 0:
            torch.set_deterministic_debug_mode("warn")
        torch.set_num_threads(1)
        _set_onednn(False)  # noqa: FBT003 - it takes no keyword
        try:
            yield
        finally:
            torch.set_num_threads(threads)
            _set_onednn(onednn)


def stream(seed: int, name: str) -> int:
    """Return the seed of a named stream, 32 bits."""
    return int.from_bytes(hashlib.sha256(f"{seed}:{name}".encode()).digest()[:4], "big")


def settings_of(optimizer: torch.optim.Optimizer) -> list[dict[str, Any]]:
    """Return what an optimizer is set to, one dictionary a group of parameters."""
    return [
        {key: value for key, value in group.items() if key != "params"}
        for group in optimizer.param_groups
    ]


def digest_of(value: Any) -> str:
    """Return a digest of plain values, collections and tensors, each by its bits.

    Raises:
        Skip: A tensor is not on the CPU, or its bits cannot be read.
    """
    return hashlib.sha256(_spelled(value).encode("utf-8", "surrogatepass")).hexdigest()[:32]


def _step(trial: Trial, seed: int) -> str:
    with fix_seed(seed):
        loss = trial.step()
    return digest_of([loss, state_tensors(trial.trainee)])


def _end(trial: Trial, optimizers: list[torch.optim.Optimizer]) -> list[Any]:
    trainee = trial.trainee
    scheduler = trainee.scheduler
    found: list[Any] = [[*map(settings_of, optimizers)], _schedules(optimizers)]
    found.append(scheduler.state_dict() if hasattr(scheduler, "state_dict") else None)
    try:
        found.append(named_tensors(trial.predict()))
    except Skip:
        found.append(None)
    evaluated = trainee.evaluate(clone(trainee.batch)) if trainee.evaluate else None
    return [*found, evaluated]


def _schedules(optimizers: Iterable[torch.optim.Optimizer]) -> list[str]:
    """Spell the settings of the schedulers that drive some optimizers; torch keeps no list."""
    ids = {id(each) for each in optimizers}
    found = [each for each in gc.get_objects() if issubclass(type(each), _SCHEDULER)]
    return sorted(
        _spelled(each.state_dict()) for each in found if id(getattr(each, "optimizer", None)) in ids
    )


def _spelled(value: Any) -> str:
    if isinstance(value, torch.Tensor):
        return _bits(value)
    if isinstance(value, dict):
        items = sorted((str(key), _spelled(item)) for key, item in value.items())
        return f"{{{','.join(f'{key}:{item}' for key, item in items)}}}"
    if isinstance(value, (list, tuple)):
        return f"[{','.join(map(_spelled, value))}]"
    if isinstance(value, float):
        return value.hex()
    plain = isinstance(value, (bool, int, complex, str, bytes, type(None), torch.dtype))
    return repr(value) if plain else type(value).__name__


def _bits(tensor: torch.Tensor) -> str:
    if tensor.device.type != "cpu":
        raise Skip(f"a tensor is on {tensor.device}")
    try:
        plain = tensor.detach()
        dense = plain if plain.layout == torch.strided else plain.to_dense()
        values = dense.contiguous().resolve_conj().resolve_neg().reshape(-1).view(torch.uint8)
        data: Any = values.numpy()
    except (RuntimeError, TypeError, NotImplementedError) as error:
        raise Skip(f"the bits of a {type(tensor).__name__} cannot be read") from error
    return f"{tensor.dtype}{tuple(tensor.shape)}{hashlib.sha256(data).hexdigest()}"
