"""The switches of torch that hold for the whole process, or for everything after a line."""

from __future__ import annotations

from typing import Any

import torch


# torch leaves these functions untyped; before 2.4 they take no device.
_torch: Any = torch
_BY_DEVICE = hasattr(torch, "get_autocast_dtype")


def switches() -> dict[str, Any]:
    """Return each switch and its position."""
    return {
        "gradients": torch.is_grad_enabled(),
        "inference mode": torch.is_inference_mode_enabled(),
        "default dtype": str(torch.get_default_dtype()),
        "autocast": any(autocast_enabled()),
        "deterministic algorithms": torch.are_deterministic_algorithms_enabled(),
    }


def autocast_enabled() -> tuple[bool, bool]:
    """Tell whether autocast is on, on the CPU and on CUDA."""
    if _BY_DEVICE:
        return _torch.is_autocast_enabled("cpu"), _torch.is_autocast_enabled("cuda")
    return _torch.is_autocast_cpu_enabled(), _torch.is_autocast_enabled()


def autocast_depth() -> int:
    """Return how many autocast blocks the caller is in; the outermost clears torch's copies."""
    _torch.autocast_increment_nesting()
    depth: int = _torch.autocast_decrement_nesting()
    return depth


def set_autocast(enabled: tuple[bool, bool], depth: int) -> None:
    """Turn autocast on or off, on the CPU and on CUDA, so many blocks deep, if it is not so."""
    change = autocast_depth() - depth
    for _ in range(abs(change)):
        if change > 0:
            _torch.autocast_decrement_nesting()
        else:
            _torch.autocast_increment_nesting()
    if enabled == autocast_enabled() and not change:
        return
    if _BY_DEVICE:
        _torch.set_autocast_enabled("cpu", enabled[0])
        _torch.set_autocast_enabled("cuda", enabled[1])
    else:
        _torch.set_autocast_cpu_enabled(enabled[0])
        _torch.set_autocast_enabled(enabled[1])
    # Whoever left it on has also left its copies of weights in low precision.
    _torch.clear_autocast_cache()
