"""Where a block draws from the generators of numpy and python.

They have no hooks: the functions of their modules are wrapped for the block, and what it makes with
``numpy.random.default_rng`` is of a subclass, which draws the same numbers.
"""

from __future__ import annotations

import functools
import random
import sys
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, Callable

from torchproof.proofs.process.generators import hashed, state


if TYPE_CHECKING:
    from collections.abc import Iterator

    Note = Callable[[str, bytes, tuple[int, ...]], None]

NUMPY = (
    *("rand", "randn", "randint", "random", "random_sample", "standard_normal", "normal"),
    *("uniform", "integers", "binomial", "beta", "gamma", "exponential", "laplace", "poisson"),
)
PYTHON = ("random", "uniform", "randint", "randrange", "gauss", "betavariate", "triangular")


@contextmanager
def outside_draws(note: Note) -> Iterator[None]:
    """Call ``note`` with name, digest of the generator's state before and shape of each draw."""
    numpy: Any = sys.modules.get("numpy")
    with ExitStack() as stack:
        stack.enter_context(_replaced(random, _all_noted(random, PYTHON, note)))
        if numpy is not None:
            module = numpy.random
            noted = {**_all_noted(module, NUMPY, note), "default_rng": _making(module, note)}
            stack.enter_context(_replaced(module, noted))
        yield


@contextmanager
def _replaced(module: Any, functions: dict[str, Any]) -> Iterator[None]:
    kept = {name: vars(module)[name] for name in functions}
    vars(module).update(functions)
    try:
        yield
    finally:
        vars(module).update(kept)


def _all_noted(module: Any, names: tuple[str, ...], note: Note) -> dict[str, Any]:
    known = [name for name in names if name in vars(module)]
    return {name: _noted(f"{module.__name__}.{name}", module, note) for name in known}


def _noted(path: str, generator: Any, note: Note) -> Any:
    function = getattr(generator, path.rpartition(".")[2])

    @functools.wraps(function)
    def draw(*args: Any, **kwargs: Any) -> Any:
        before = hashed(state(generator))
        result = function(*args, **kwargs)
        note(path, before, tuple(getattr(result, "shape", ())))
        return result

    return draw


def _making(module: Any, note: Note) -> Any:
    """Return a ``default_rng`` whose generators note what they draw."""
    original, kind = module.default_rng, module.Generator

    def method(name: str) -> Any:
        def draw(self: Any, *args: Any, **kwargs: Any) -> Any:
            before = hashed(state(self))
            result = getattr(kind, name)(self, *args, **kwargs)
            note(f"numpy.random.{name}", before, tuple(getattr(result, "shape", ())))
            return result

        return draw

    names = [name for name in NUMPY if hasattr(kind, name)]
    watched: Any = type(kind.__name__, (kind,), {name: method(name) for name in names})

    @functools.wraps(original)
    def make(*args: Any, **kwargs: Any) -> Any:
        return watched(original(*args, **kwargs).bit_generator)

    return make
