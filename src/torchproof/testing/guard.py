"""The leak guard: what a test or a fixture changed for the whole process and did not put back.

A test is compared between the moment its fixtures of wider scope are ready and the moment those of
its own scope are gone, so that a session fixture may set the default dtype. Such a fixture is
compared between its set-up and the end of its own teardown, by what its set-up changed. A leak is
reported and undone, and fails nothing.

*Random state* cannot leak from test to test, since each is seeded. What is reported is exact:
torch's global generator ends set-up or call with another initial seed than it was given, hence
somebody seeded it and left it so; the code after that no longer depends on ``--torchproof-seed``.
Generators of python and numpy do not tell their seed and are not judged.
"""

from __future__ import annotations

from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Callable, NamedTuple, Optional

from torchproof.testing import state


if TYPE_CHECKING:
    from collections.abc import Iterator

SEED = "random seed"


class Leak(NamedTuple):
    """State that a test (or a fixture, named after its scope's node) left changed."""

    test: str
    what: str
    message: str


class Guard:
    """Compares, reports and undoes.

    Args:
        report: Called with every leak, at the moment it is found.
    """

    def __init__(self, report: Callable[[Leak], None]) -> None:
        self._report = report
        self._baseline: Optional[state.State] = None
        self._first: Optional[dict[str, Any]] = None

    def torch_arrives(self) -> None:
        """Remember torch's flags as they are right after the import, for tests that import it."""
        self._first = state.read_torch()

    @contextmanager
    def test(self, name: str) -> Iterator[None]:
        """Watch one test with the fixtures of its own scope."""
        self._baseline = state.snapshot()
        yield
        for change in self._since(self._baseline):
            self._undo(name, change)
        self._baseline = None

    @contextmanager
    def fixture(
        self, name: str, add_finalizer: Callable[[Callable[[], None]], Any]
    ) -> Iterator[None]:
        """Watch the set-up of a fixture of wider scope and, when its time comes, its teardown.

        Args:
            name: What to call the fixture.
            add_finalizer: Registers a callback; called before the fixture registers its own
                teardown, and callbacks run last in, first out.
        """
        before = state.snapshot()
        made: set[str] = set()
        add_finalizer(lambda: self._check_fixture(name, before, made))
        yield
        for change in self._since(before):
            made.add(change.what)
            if self._baseline is not None:
                state.accept(self._with_torch(self._baseline), change)

    def seed(self, test: str, seed: Optional[int]) -> None:
        """Report that a test left torch's global generator with a seed of its own, if any."""
        if seed is not None:
            message = f"torch's global generator was seeded with {seed} and left so"
            self._report(Leak(test, SEED, message))

    def _check_fixture(self, name: str, before: state.State, made: set[str]) -> None:
        for change in self._since(before) if made else ():
            if change.what in made:
                self._undo(name, change)

    def _since(self, before: state.State) -> list[state.Change]:
        return state.changes(self._with_torch(before), state.snapshot())

    def _with_torch(self, before: state.State) -> state.State:
        if before.torch is None and self._first is not None:
            before.torch = dict(self._first)
        return before

    def _undo(self, name: str, change: state.Change) -> None:
        self._report(Leak(name, change.what, str(change)))
        with suppress(RuntimeError, ValueError):  # what cannot be undone is at least reported
            state.undo(change)
