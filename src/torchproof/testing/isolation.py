"""Hooks that make each test independent of those before it: seeds, determinism, the leak guard."""

from __future__ import annotations

import sys
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, Callable

import pytest

from torchproof.testing import state
from torchproof.testing.guard import Guard, Leak
from torchproof.testing.naming import id_of
from torchproof.testing.on_import import OnImport
from torchproof.testing.streams import GLOBAL, LATE, MASK, seed_of


if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from torchproof.testing.session import Session

# Attributes of a report: pytest-xdist carries them to the controller.
LEAKS = "torchproof_leaks"
NOTES = "torchproof_notes"

_NOTES = pytest.StashKey[list[str]]()


def note(item: pytest.Item, line: str) -> None:
    """Have a line shown in the terminal summary."""
    item.stash.setdefault(_NOTES, []).append(line)


class Isolation:
    """A pytest plugin: everything a test finds is as its id and the base seed say.

    Set-up, call and teardown are seeded when they begin. A fixture of wider scope gets a seed from
    its own id and leaves the test's generators where they were, so that a test draws the same
    whether it is the first to use the fixture or not.
    """

    def __init__(self, session: Session, emit: Callable[..., None]) -> None:
        self._session = session
        self._emit = emit
        self._leaks: list[Leak] = []
        self._running = False
        self._guard = Guard(self._report)
        self._imports = OnImport(LATE, self._arrive)
        self._lent = ExitStack()

    def start(self) -> None:
        """Take over the global generators."""
        self._lent.enter_context(GLOBAL.aside(self._session.seed & MASK))
        self._lent.callback(self._imports.remove)
        self._imports.install()

    def stop(self) -> None:
        """Give them back as they were."""
        self._lent.close()

    @contextmanager
    def watch(self, test: str) -> Iterator[None]:
        """Guard one test; entered before and left after its own fixtures."""
        with self._guard.test(test):
            yield

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection(self) -> None:
        """Seed what test modules draw while they are imported."""
        GLOBAL.give(seed_of(self._session.seed, ""))

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtestloop(self) -> Generator[None, None, None]:
        """Switch deterministic algorithms on for the tests of a CPU tier."""
        before = (state.read_torch() or {}).get("torch deterministic algorithms", 0)
        self._running = self._session.deterministic
        self._make_deterministic()
        yield
        if self._running and "torch" in sys.modules:
            state.set_determinism(sys.modules["torch"], before)

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> Generator[None, None, None]:
        """Seed the set-up of a test."""
        self._give(item, "setup")
        yield
        self._guard.seed(id_of(item.config, item.nodeid), GLOBAL.reseeded())

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, None, None]:
        """Seed the call of a test."""
        self._give(item, "call")
        yield
        self._guard.seed(id_of(item.config, item.nodeid), GLOBAL.reseeded())

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_runtest_teardown(self, item: pytest.Item) -> Generator[None, None, None]:
        """Seed the teardown of a test."""
        self._give(item, "teardown")
        yield

    @pytest.hookimpl(hookwrapper=True)
    def pytest_fixture_setup(self, fixturedef: Any, request: Any) -> Generator[None, None, None]:
        """Set a fixture of wider scope up beside the test's random numbers, under guard."""
        if fixturedef.scope == "function":
            yield
            return
        name = f"{request.node.nodeid or 'session'} ({fixturedef.argname})"
        instance = f"{fixturedef.argname}[{getattr(request, 'param_index', 0)}]"
        seed = seed_of(self._session.seed, f"{fixturedef.baseid}::{instance}")
        with GLOBAL.aside(seed), self._guard.fixture(name, fixturedef.addfinalizer):
            yield

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item, call: Any) -> Generator[None, Any, None]:
        """Hand the leaks and notes found so far to the report of the teardown."""
        result = yield
        if call.when != "teardown":
            return
        if self._leaks:
            setattr(result.get_result(), LEAKS, [list(leak) for leak in self._leaks])
            self._leaks.clear()
        if _NOTES in item.stash:
            setattr(result.get_result(), NOTES, item.stash[_NOTES])

    def _give(self, item: pytest.Item, phase: str) -> None:
        GLOBAL.give(seed_of(self._session.seed, id_of(item.config, item.nodeid), phase))

    def _arrive(self, module: str) -> None:
        GLOBAL.arrive(module)
        if module == "torch":
            self._make_deterministic()
            self._guard.torch_arrives()

    def _make_deterministic(self) -> None:
        if self._running and "torch" in sys.modules:
            state.set_determinism(sys.modules["torch"], 2)

    def _report(self, leak: Leak) -> None:
        self._leaks.append(leak)
        self._emit("leak", **leak._asdict())
