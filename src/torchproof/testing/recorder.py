"""Hooks that write a session's events as they happen, in the process where they happen.

Under pytest-xdist each worker writes its own tests' events into the same file, and the controller
writes what concerns the session: its start and end, what was collected, tests whose worker died.
"""

from __future__ import annotations

import time
from dataclasses import asdict
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, Callable

import pytest

from torchproof.testing import locked_data, machine, tiers
from torchproof.testing.naming import id_of
from torchproof.testing.outcome import judge, place, reason


if TYPE_CHECKING:
    from collections.abc import Generator, Iterable
    from pathlib import Path

    from torchproof.testing.session import Session

CHUNK = 100  # collected tests per event: a line may hold 1 MiB
_ATTEMPTS = pytest.StashKey[int]()


class TestRecorder:
    """A pytest plugin for the process that runs tests.

    Args:
        emit: Writes one event.
    """

    __test__ = False

    def __init__(self, emit: Callable[..., None]) -> None:
        self._emit = emit
        self._reports: list[Any] = []
        self._open = ""

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> Generator[None, None, None]:
        """Write that a test starts, or starts again."""
        item.stash[_ATTEMPTS] = item.stash.get(_ATTEMPTS, 0) + 1
        self._reports, self._open = [], id_of(item.config, item.nodeid)
        self._emit("test-start", test=self._open)
        yield

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_runtest_makereport(self, item: pytest.Item, call: Any) -> Generator[None, Any, None]:
        """Write how a test ended once its teardown is done."""
        result = yield
        self._reports.append(result.get_result())
        if call.when == "teardown":
            attempts = item.stash.get(_ATTEMPTS, 1)
            outcome = judge(self._open, self._reports, attempts=attempts)
            self._emit("test-end", **asdict(outcome))
            self._open = ""

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self) -> None:
        """Close a test that an interruption or ``pytest.exit`` cut off."""
        if self._open:
            message = "the session was interrupted while this test ran"
            self._emit("test-end", test=self._open, outcome="error", message=message)


class SessionRecorder:
    """A pytest plugin for the controller, or for the only process.

    Args:
        emit: Writes one event.
        config: pytest's configuration.
        session: What the session was asked for.
        events: The file that events go to.
        finish: Called after the last event.
    """

    def __init__(
        self,
        emit: Callable[..., None],
        config: pytest.Config,
        session: Session,
        *,
        events: Path,
        finish: Callable[[], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._emit = emit
        self._config = config
        self._session = session
        self._events = events
        self._finish = finish
        self._clock = clock
        self._began = clock()
        self._collected = False
        self._selected = False

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionstart(self) -> None:
        """Write what the results depend on."""
        now = datetime.now(timezone.utc)
        self._emit(
            "session-start",
            tier=self._session.tier_name,
            seed=self._session.seed,
            started=now.strftime("%Y-%m-%dT%H:%M:%SZ"),
            fingerprint=machine.fingerprint(),
        )
        locked_data.write(self._emit, self._config.rootpath)

    @pytest.hookimpl(hookwrapper=True)
    def pytest_collection_modifyitems(self) -> Generator[None, Any, None]:
        """See whether the tests could be selected; an expression that is none selects nothing."""
        result = yield
        self._selected = result.excinfo is None

    @pytest.hookimpl(trylast=True)
    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Write which tests are to be run."""
        if self._selected:
            self._write_collected(item.nodeid for item in session.items)

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, ids: Iterable[str]) -> None:
        """Write which tests are to be run, once: all workers collect the same."""
        if not self._collected:
            self._write_collected(ids)

    def pytest_collectreport(self, report: Any) -> None:
        """Write a file that could not be collected as a test that ended in an error."""
        if report.failed:
            message = reason(report)
            self._emit("test-end", test=report.nodeid, outcome="error", message=message)

    def pytest_runtest_logreport(self, report: Any) -> None:
        """Write a test whose worker died under it; pytest-xdist reports it with this phase."""
        if report.when == "???":
            self._emit(
                "test-end",
                test=id_of(self._config, report.nodeid),
                outcome="crashed",
                message=reason(report),
                location=place(report.location),
            )

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Generator[None, None, None]:
        """Write the end, after every other plugin had its say about the exit code."""
        yield
        expression = session.config.option.markexpr
        empty = tiers.nothing_selected(self._session.tier, expression, int(session.exitstatus))
        if empty:
            self._emit("note", message=empty)
        self._emit(
            "session-end", exit_code=int(session.exitstatus), seconds=self._clock() - self._began
        )
        self._finish()

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Tell a pytest-xdist worker which file it shares."""
        node.workerinput["torchproof_events"] = str(self._events)

    def _write_collected(self, ids: Iterable[str]) -> None:
        tests = [id_of(self._config, nodeid) for nodeid in ids]
        self._collected = True
        for start in range(0, len(tests), CHUNK):
            self._emit("collected", tests=tests[start : start + CHUNK])
