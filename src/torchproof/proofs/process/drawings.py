"""The operations that draw random numbers while a block runs, with the lines that call them."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple, Optional

from torch.overrides import TorchFunctionMode

from torchproof.proofs.process.outside_draws import outside_draws
from torchproof.proofs.process.places import user_line
from torchproof.proofs.process.randomness import RANDOM, generator_state


if TYPE_CHECKING:
    from collections.abc import Iterator


class Drawing(NamedTuple):
    """One operation that can draw; ``moved`` tells whether its generator moved on."""

    name: str
    location: Optional[str]
    moved: bool


@contextmanager
def drawings() -> Iterator[list[Drawing]]:
    """List the operations of the block that can draw random numbers: torch's, numpy's, python's."""
    watcher = _Watcher()
    with watcher, outside_draws(watcher.outside):
        yield watcher.found


class _Watcher(TorchFunctionMode):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[Drawing] = []

    def outside(self, name: str, *_: Any) -> None:
        self.found.append(Drawing(name, user_line(), moved=True))

    def __torch_function__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        name = getattr(function, "__name__", "")
        if name not in RANDOM:
            return function(*args, **(kwargs or {}))
        state = generator_state()
        result = function(*args, **(kwargs or {}))
        self.found.append(Drawing(name, user_line(), generator_state() != state))
        return result
