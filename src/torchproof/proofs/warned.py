"""The warnings of a block, with the user's lines they are about."""

from __future__ import annotations

import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple, Optional

from torchproof.proofs.places import user_line


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
