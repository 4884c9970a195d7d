"""Seeds and named random streams for tests.

A test's seed is ``base + crc32(test id)``, the formula of pytest-randomly, so it depends neither on
the order of the tests nor on the pytest-xdist worker. Setup and teardown get the seeds beside it:
what a fixture draws is not what the test draws again.

A *stream* is a random sequence with a name of its own, derived from the test's seed. A draw from
one moves no other, so another augmentation does not change the initial weights.
"""

from __future__ import annotations

import random
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Callable, NamedTuple, Optional
from zlib import crc32

from torchproof.testing.machine import gpus


if TYPE_CHECKING:
    from collections.abc import Iterator

MASK = 0xFFFFFFFF
_PHASES = {"setup": -1, "call": 0, "teardown": 1}


def seed_of(base: int, test: str, phase: str = "call") -> int:
    """Return the 32-bit seed of a phase of a test."""
    return (base + crc32(test.encode("utf-8", "surrogatepass")) + _PHASES[phase]) & MASK


def stream_seed(seed: int, name: str) -> int:
    """Return the 32-bit seed of a stream; for one name, two tests' streams never coincide."""
    return crc32(name.encode("utf-8", "surrogatepass"), seed & MASK)


class _Library(NamedTuple):
    """How a library's global generator is seeded, read and put back."""

    seed: Callable[[Any, int], Any]
    save: Callable[[Any], Any]
    restore: Callable[[Any, Any], Any]


def _seed_torch(torch: Any, seed: int) -> None:
    # torch.manual_seed takes 100 times as long: before CUDA starts it formats a stack trace.
    torch.default_generator.manual_seed(seed)
    if torch.cuda.is_initialized() or (torch.backends.cuda.is_built() and gpus()):
        torch.cuda.manual_seed_all(seed)


def _save_torch(torch: Any) -> Any:
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else None
    return torch.get_rng_state(), cuda


def _restore_torch(torch: Any, state: Any) -> None:
    torch.set_rng_state(state[0])
    if state[1] is not None:
        torch.cuda.set_rng_state_all(state[1])


_LIBRARIES = {
    "random": _Library(
        lambda module, seed: module.seed(seed),
        lambda module: module.getstate(),
        lambda module, state: module.setstate(state),
    ),
    "numpy.random": _Library(
        lambda module, seed: module.seed(seed),
        lambda module: module.get_state(),
        lambda module, state: module.set_state(state),
    ),
    "torch": _Library(_seed_torch, _save_torch, _restore_torch),
}
LATE = ("numpy.random", "torch")


def _imported() -> Iterator[tuple[str, Any, _Library]]:
    for name, library in _LIBRARIES.items():
        module = sys.modules.get(name)
        if module is not None:
            yield name, module, library


class GlobalRandom:
    """The global generators of python, numpy, torch and CUDA: one set a process, hence one object.

    ``seed`` is what they were last given, None while torchproof leaves them alone.
    """

    def __init__(self) -> None:
        self.seed: Optional[int] = None

    def give(self, seed: int) -> None:
        """Seed every library that is imported."""
        self.seed = seed
        for _, module, library in _imported():
            library.seed(module, seed)

    def arrive(self, name: str) -> None:
        """Seed a library that has just been imported: it came with entropy of its own."""
        if self.seed is not None:
            _LIBRARIES[name].seed(sys.modules[name], self.seed)

    def reseeded(self) -> Optional[int]:
        """Return the seed that torch's global generator got from somebody else, if any."""
        torch = sys.modules.get("torch")
        if torch is None or self.seed is None:
            return None
        seed = int(torch.initial_seed())
        return None if seed == self.seed else seed

    def save(self) -> dict[str, Any]:
        """Return the state of every library that is imported."""
        return {name: library.save(module) for name, module, library in _imported()}

    def restore(self, states: dict[str, Any]) -> None:
        """Put states back; a library imported since then is seeded as if imported now."""
        for name, module, library in _imported():
            if name in states:
                library.restore(module, states[name])
            else:
                self.arrive(name)

    @contextmanager
    def aside(self, seed: int) -> Iterator[None]:
        """Run a block on generators seeded with ``seed``; afterwards nothing has been drawn."""
        before, states = self.seed, self.save()
        self.give(seed)
        try:
            yield
        finally:
            self.seed = before
            self.restore(states)


GLOBAL = GlobalRandom()


def randomly_seeder(seed: int) -> None:
    """Entry point ``pytest_randomly.random_seeder``: called right after pytest-randomly's reset.

    It resets python and numpy before setup, call and teardown with seeds of its own; here they get
    this phase's seed back. Without our plugin torch gets pytest-randomly's, masked to 32 bits.
    """
    if GLOBAL.seed is not None:
        GLOBAL.give(GLOBAL.seed)
    elif "torch" in sys.modules:
        _seed_torch(sys.modules["torch"], seed & MASK)


class Streams:
    """The named streams of one test."""

    def __init__(self, seed: int, generators: GlobalRandom = GLOBAL) -> None:
        self._seed = seed
        self._global = generators
        self._made: dict[tuple[str, str], Any] = {}
        self._states: dict[str, dict[str, Any]] = {}
        self._inside: list[str] = []

    def torch(self, name: str, device: str = "cpu") -> Any:
        """Return the stream as a ``torch.Generator``."""
        import torch

        return self._once(name, device, lambda seed: torch.Generator(device).manual_seed(seed))

    def numpy(self, name: str) -> Any:
        """Return the stream as a ``numpy.random.Generator``."""
        import numpy as np

        return self._once(name, "numpy", np.random.default_rng)

    def python(self, name: str) -> random.Random:
        """Return the stream as a ``random.Random``."""
        made: random.Random = self._once(name, "python", random.Random)
        return made

    @contextmanager
    def globally(self, name: str) -> Iterator[None]:
        """Let the global generators be the stream; entered again, it goes on where it was left."""
        if name in self._inside:
            yield
            return
        with self._global.aside(stream_seed(self._seed, name)):
            self._global.restore(self._states.get(name, {}))
            self._inside.append(name)
            try:
                yield
            finally:
                self._inside.remove(name)
                self._states[name] = self._global.save()

    def _once(self, name: str, kind: str, make: Callable[[int], Any]) -> Any:
        if (name, kind) not in self._made:
            self._made[name, kind] = make(stream_seed(self._seed, name))
        return self._made[name, kind]
