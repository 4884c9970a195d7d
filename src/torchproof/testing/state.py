"""Process-wide state that one test can leave behind for the next: read it, compare it, put it back.

Watched are os.environ and torch's deterministic flags, precision flags, default dtype and device,
grad and anomaly mode, and the default process group. Numbers of threads are not: reading them is
not free of effects in every OpenMP. Values of environment variables are never shown: they may be
secrets, and a record is public.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Callable, NamedTuple, Optional


if TYPE_CHECKING:
    from collections.abc import MutableMapping

ABSENT = object()
# What pytest and libraries keep in the environment for themselves, on import or first use.
_KEPT = ("COV_", "KMP_", "PYTEST_", "TORCHINDUCTOR_", "TRITON_")


class _Flag(NamedTuple):
    """How one piece of torch's global state is read and written."""

    get: Callable[[Any], Any]
    set: Callable[[Any, Any], Any]


def set_determinism(torch: Any, mode: int) -> None:
    """Set torch's deterministic algorithms to 0 (off), 1 (warn) or 2 (error)."""
    # The other function imports the compiler (a second) and is needed only where that is loaded.
    if "torch._inductor.config" in sys.modules:
        torch.use_deterministic_algorithms(mode > 0, warn_only=mode == 1)
    else:
        torch.set_deterministic_debug_mode(mode)


def _set_device(torch: Any, device: Any) -> None:
    # "None" is what a process starts with; an explicit cpu would slow down every call.
    torch.set_default_device(None if device == torch.device("cpu") else device)


def _has_group(torch: Any) -> bool:
    distributed = torch.distributed
    return bool(distributed.is_available() and distributed.is_initialized())


def _end_group(torch: Any, wanted: bool) -> None:  # noqa: FBT001 - the signature of every setter
    if not wanted:
        torch.distributed.destroy_process_group()


_FLAGS = {
    "torch deterministic algorithms": _Flag(
        lambda torch: torch.get_deterministic_debug_mode(), set_determinism
    ),
    "torch.backends.cudnn.deterministic": _Flag(
        lambda torch: torch.backends.cudnn.deterministic,
        lambda torch, value: setattr(torch.backends.cudnn, "deterministic", value),
    ),
    "torch.backends.cudnn.benchmark": _Flag(
        lambda torch: torch.backends.cudnn.benchmark,
        lambda torch, value: setattr(torch.backends.cudnn, "benchmark", value),
    ),
    "torch.backends.cudnn.allow_tf32": _Flag(
        lambda torch: torch.backends.cudnn.allow_tf32,
        lambda torch, value: setattr(torch.backends.cudnn, "allow_tf32", value),
    ),
    "torch float32 matmul precision": _Flag(
        lambda torch: torch.get_float32_matmul_precision(),
        lambda torch, value: torch.set_float32_matmul_precision(value),
    ),
    "torch default dtype": _Flag(
        lambda torch: torch.get_default_dtype(),
        lambda torch, value: torch.set_default_dtype(value),
    ),
    "torch default device": _Flag(lambda torch: torch.get_default_device(), _set_device),
    "torch grad mode": _Flag(
        lambda torch: torch.is_grad_enabled(),
        lambda torch, value: torch.set_grad_enabled(value),
    ),
    "torch anomaly mode": _Flag(
        lambda torch: (torch.is_anomaly_enabled(), torch.is_anomaly_check_nan_enabled()),
        lambda torch, value: torch.autograd.set_detect_anomaly(*value),
    ),
    "torch.distributed process group": _Flag(_has_group, _end_group),
}


@dataclass
class State:
    """A snapshot; ``torch`` is None as long as nobody has imported it."""

    environ: dict[str, str] = field(default_factory=dict)
    torch: Optional[dict[str, Any]] = None


@dataclass(frozen=True)
class Change:
    """One piece of state that is not as it was; ABSENT stands for an unset variable."""

    name: str
    before: Any
    after: Any
    variable: bool = False

    @property
    def what(self) -> str:
        """Name the piece of state for a reader."""
        return f"environment variable {self.name}" if self.variable else self.name

    def __str__(self) -> str:
        if not self.variable:
            return f"{self.what}: {self.before} → {self.after}"
        verb = "set" if self.before is ABSENT else "changed"
        return f"{self.what} was {'removed' if self.after is ABSENT else verb}"


def snapshot(environ: MutableMapping[str, str] = os.environ) -> State:
    """Read everything that is watched."""
    return State(dict(environ), read_torch())


def read_torch() -> Optional[dict[str, Any]]:
    """Read torch's flags; a flag that this torch lacks or refuses to tell is not watched."""
    torch = sys.modules.get("torch")
    if torch is None:
        return None
    flags = {}
    for name, flag in _FLAGS.items():
        # RuntimeError: e.g. after a mix of torch's old and new settings for TF32.
        with suppress(AttributeError, RuntimeError):
            flags[name] = flag.get(torch)
    return flags


def changes(before: State, after: State) -> list[Change]:
    """Return what differs; torch's flags count only if both snapshots have them."""
    found = []
    if before.environ != after.environ:
        for name in sorted({*before.environ, *after.environ}):
            old, new = before.environ.get(name, ABSENT), after.environ.get(name, ABSENT)
            if old != new and not name.startswith(_KEPT):
                found.append(Change(name, old, new, variable=True))
    if before.torch and after.torch and before.torch != after.torch:
        for name, new in after.torch.items():
            old = before.torch.get(name, new)
            if old != new:
                found.append(Change(name, old, new))
    return found


def undo(change: Change, environ: MutableMapping[str, str] = os.environ) -> None:
    """Put one piece of state back."""
    if change.variable:
        _put(environ, change.name, change.before)
    else:
        _FLAGS[change.name].set(sys.modules["torch"], change.before)


def accept(state: State, change: Change) -> None:
    """Make a change part of a snapshot: it was meant, and something else will put it back."""
    if change.variable:
        _put(state.environ, change.name, change.after)
    elif state.torch is not None:
        state.torch[change.name] = change.after


def _put(environ: MutableMapping[str, str], name: str, value: Any) -> None:
    if value is ABSENT:
        environ.pop(name, None)
    else:
        environ[name] = value
