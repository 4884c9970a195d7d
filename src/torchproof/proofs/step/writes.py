"""Writes in place to tensors, in order."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple, Optional

from torchproof.proofs.process.places import user_line
from torchproof.proofs.step.dispatched import Watcher, memory, written


if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import torch


class Write(NamedTuple):
    """One write: its place in the order of all, and its line."""

    order: int
    location: Optional[str]


class Writes:
    """The writes of a block; what was written to is kept, so that nothing else gets its memory."""

    def __init__(self) -> None:
        self._found: dict[int, list[Write]] = {}
        self._kept: list[Any] = []

    def note(self, targets: Iterable[torch.Tensor]) -> None:
        """Write down that these tensors are written to."""
        for each in targets:
            self._kept.append(each.untyped_storage() if memory(each) else None)
            write = Write(len(self._kept), user_line())
            self._found.setdefault(memory(each), []).append(write)

    def to(self, tensor: torch.Tensor) -> list[Write]:
        """Return the writes to a tensor's memory."""
        return self._found.get(memory(tensor), []) if memory(tensor) else []


@contextmanager
def writes() -> Iterator[Writes]:
    """List the writes of the block."""
    watcher = _Watcher()
    with watcher:
        yield watcher.found


class _Watcher(Watcher):  # type: ignore[no-untyped-call] # torch leaves it untyped
    def __init__(self) -> None:
        super().__init__()
        self.found = Writes()

    def meet(self, function: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        self.found.note(written(function, args, kwargs))
        return function(*args, **kwargs)
