"""Functions of classes that have no hooks: found in every class below one, replaced for a block."""

from __future__ import annotations

import functools
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Optional


if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def overriding(name: str, *bases: type) -> list[Any]:
    """Return the classes, these or below them, that have a function of this name of their own."""
    waiting: list[Any] = list(bases)
    found: dict[Any, None] = {}
    while waiting:
        kind = waiting.pop()
        waiting += kind.__subclasses__()
        if name in vars(kind):
            found[kind] = None
    return list(found)


@contextmanager
def wrapped(
    owner: Any,
    name: str,
    *,
    before: Optional[Callable[..., None]] = None,
    after: Optional[Callable[..., None]] = None,
) -> Iterator[None]:
    """Call a function with the arguments before, or with self and the result after, each call."""
    original = vars(owner)[name]

    @functools.wraps(original)
    def call(*args: Any, **kwargs: Any) -> Any:
        if before is not None:
            before(*args, *kwargs.values())
        result = original(*args, **kwargs)
        if after is not None:
            after(args[0], result)
        return result

    setattr(owner, name, call)
    try:
        yield
    finally:
        setattr(owner, name, original)
