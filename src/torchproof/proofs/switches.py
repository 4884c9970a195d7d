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


def set_autocast(enabled: tuple[bool, bool]) -> None:
    """Turn autocast on or off, on the CPU and on CUDA, if it is not so already."""
    if enabled == autocast_enabled():
        return
    if _BY_DEVICE:
        _torch.set_autocast_enabled("cpu", enabled[0])
        _torch.set_autocast_enabled("cuda", enabled[1])
    else:
        _torch.set_autocast_cpu_enabled(enabled[0])
        _torch.set_autocast_enabled(enabled[1])
    # Whoever left it on has also left its copies of weights in low precision.
    _torch.clear_autocast_cache()
