"""Process-wide state that a proof borrows and gives back: a caller cannot tell that it ran."""

from __future__ import annotations

import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch

from torchproof.proofs.process.seeds import kept_random_state
from torchproof.proofs.process.switches import autocast_depth, autocast_enabled, set_autocast


if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def untouched() -> Iterator[None]:
    """Put back, whatever the block did: random state, warnings filters and torch's switches."""
    with kept_random_state(), warnings.catch_warnings(), _kept_switches():
        yield


@contextmanager
def _kept_switches() -> Iterator[None]:
    cudnn = torch.backends.cudnn
    deterministic = torch.get_deterministic_debug_mode()
    flags = (cudnn.enabled, cudnn.benchmark, cudnn.deterministic)
    dtype, grad = torch.get_default_dtype(), torch.is_grad_enabled()
    anomaly, check_nan = torch.is_anomaly_enabled(), torch.is_anomaly_check_nan_enabled()
    autocast, depth = autocast_enabled(), autocast_depth()
    try:
        yield
    finally:
        # Setting it may import torch's compiler, which takes a second.
        if torch.get_deterministic_debug_mode() != deterministic:
            torch.set_deterministic_debug_mode(deterministic)
        cudnn.enabled, cudnn.benchmark, cudnn.deterministic = flags
        torch.set_default_dtype(dtype)
        torch.set_grad_enabled(grad)
        torch.autograd.set_detect_anomaly(anomaly, check_nan)
        set_autocast(autocast, depth)
