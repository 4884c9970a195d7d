"""Random state: fixed for a while, then put back exactly as it was."""

from __future__ import annotations

import random
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch

from torchproof.errors import UsageError


if TYPE_CHECKING:
    from collections.abc import Iterator

_NUMPY_SEEDS = 2**32
# torch leaves some of these functions untyped.
_cuda: Any = torch.cuda
_cuda_backend: Any = torch.backends.cuda


@contextmanager
def fix_seed(seed: int) -> Iterator[None]:
    """Fix the seed of python, numpy, torch and CUDA; afterwards their states are as before.

    numpy counts if it is imported. CUDA is never initialised here; if the block initialises it,
    it is left seeded as it would have been without the block.
    """
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise UsageError(f"the seed is {seed!r:.40}", "Give an integer that is not negative.")
    with kept_random_state():
        _seed_all(seed)
        yield


@contextmanager
def kept_random_state() -> Iterator[None]:
    """Put the random states back, whatever the block drew or seeded."""
    python = random.getstate()
    numpy = sys.modules.get("numpy")
    # legacy=False returns the state as a dict that set_state takes back for any bit generator.
    drawn = numpy.random.get_state(legacy=False) if numpy else None
    cpu = torch.default_generator.get_state()
    cuda = _cuda.get_rng_state_all() if _cuda.is_initialized() else None
    try:
        yield
    finally:
        random.setstate(python)
        if numpy:
            numpy.random.set_state(drawn)
        torch.default_generator.set_state(cpu)
        _restore_cuda(cuda)


def _seed_all(seed: int) -> None:
    random.seed(seed)
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed(seed % _NUMPY_SEEDS)
    # torch.manual_seed would also touch devices whose state is not saved here.
    torch.default_generator.manual_seed(seed)
    if _cuda_backend.is_built():
        _cuda.manual_seed_all(seed)


def _restore_cuda(states: list[torch.Tensor] | None) -> None:
    if states is not None:
        _cuda.set_rng_state_all(states)
    elif _cuda_backend.is_built():
        # Seeding before CUDA is up only queues the seed. Undo that with the seed CUDA would have
        # started from: torch.manual_seed gives the CPU and CUDA the same one, as do the defaults.
        _cuda.manual_seed_all(torch.default_generator.initial_seed())
