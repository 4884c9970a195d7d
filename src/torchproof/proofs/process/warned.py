"""The warnings of a block: collected with the user's lines they are about, or shown once each."""

from __future__ import annotations

import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple, Optional

from torchproof.proofs.process.places import user_line


if TYPE_CHECKING:
    from collections.abc import Iterator


class Warned(NamedTuple):
    """One warning and the line of the user's code that was running."""

    text: str
    location: Optional[str]


@contextmanager
def warned() -> Iterator[list[Warned]]:
    """Collect every warning of the block; none is shown, and none is raised as an error."""
    collected: list[Warned] = []

    def show(message: Any, *_: Any, **__: Any) -> None:
        collected.append(Warned(str(message), user_line()))

    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = show
        yield collected


@contextmanager
def shown_once() -> Iterator[None]:
    """Show each warning of the block once: every trial repeats what the step warns of."""
    shown = warnings.showwarning
    known: set[tuple[str, str, int]] = set()

    def show(
        message: Any, category: type[Warning], filename: str, lineno: int, *rest: Any, **more: Any
    ) -> None:
        told = (str(message), filename, lineno)
        if told not in known:
            known.add(told)
            shown(message, category, filename, lineno, *rest, **more)

    warnings.showwarning = show
    try:
        yield
    finally:
        warnings.showwarning = shown
