"""Trying again: full jitter, bounded by time and not by a count.

A bound on the number of tries loses records as soon as more writers meet than it foresaw. The wait
before try n is uniform between 0 and min(30, 2ⁿ) seconds ("full jitter").
"""

from __future__ import annotations

import random
import time
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, Protocol, TypeVar

from torchproof.history.failure import GitError


if TYPE_CHECKING:
    from collections.abc import Callable


T = TypeVar("T")

LONGEST_WAIT = 30.0


class Retry(Protocol):
    """`Patience.retry` with its time set."""

    def __call__(self, action: Callable[[], T], /) -> T:
        """Return the action's result as soon as it has one."""


@dataclass(frozen=True, kw_only=True)
class Patience:
    """Time, and what to do with it: ``uniform`` draws a number between two."""

    clock: Callable[[], float] = time.time
    sleep: Callable[[float], None] = time.sleep
    uniform: Callable[[float, float], float] = random.uniform

    def retry(self, action: Callable[[], T], *, seconds: float) -> T:
        """Return the action's result as soon as it has one.

        Raises:
            GitError: The last failure, when it is final or the next try would come too late.
        """
        deadline = self.clock() + seconds
        for tries in count():
            try:
                return action()
            except GitError as error:
                wait = self.uniform(0.0, min(LONGEST_WAIT, 2.0 ** min(tries, 10)))
                if error.final or self.clock() + wait > deadline:
                    raise
                self.sleep(wait)
        raise AssertionError
