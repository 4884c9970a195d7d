"""The plugin's section in pytest's terminal summary."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from torchproof.testing import tiers
from torchproof.testing.guard import SEED, Leak
from torchproof.testing.isolation import LEAKS, NOTES


if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import pytest

    from torchproof.testing.session import Session

MAX_LEAKS = 20


def leak_lines(leaks: Sequence[Leak], *, limit: int = MAX_LEAKS) -> list[str]:
    """Return one line a leak; seeds, which reach no other test, share one."""
    shown = [leak for leak in leaks if leak.what != SEED]
    lines = [f"leak: {leak.test}: {leak.message}" for leak in shown[:limit]]
    if len(shown) > limit:
        kinds = Counter(leak.what for leak in shown[limit:]).most_common()
        rest = ", ".join(f"{what} ({count})" for what, count in kinds[:5])
        lines.append(f"leak: {len(shown) - limit} more: {rest}")
    seeded = list(dict.fromkeys(leak.test for leak in leaks if leak.what == SEED))
    if seeded:
        tests = "test left" if len(seeded) == 1 else "tests left"
        lines.append(
            f"leak: {len(seeded)} {tests} torch's global generator with a seed of their own, "
            f"first {seeded[0]} (each test is seeded anyway)"
        )
    return lines


def one_line_each(reports: Iterable[Any]) -> None:
    """Cut failures of ours to their first line for pytest's list of what failed.

    Where ``CI`` is set, pytest repeats there all that stands above, drawings included.
    """
    for report in reports:
        crash = getattr(report.longrepr, "reprcrash", None)
        if crash is not None and crash.message.startswith("Failed: torchproof: "):
            crash.message = crash.message.partition("\n")[0]


class Summary:
    """A pytest plugin: collects what reports bring and shows it at the end."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._leaks: list[Leak] = []
        self._notes: list[str] = []

    def pytest_runtest_logreport(self, report: Any) -> None:
        """Take the leaks and notes that a report carries."""
        self._leaks += [Leak(*leak) for leak in getattr(report, LEAKS, ())]
        self._notes += getattr(report, NOTES, ())

    def pytest_terminal_summary(
        self, terminalreporter: Any, exitstatus: int, config: pytest.Config
    ) -> None:
        """Show the section if there is something to say."""
        stats = terminalreporter.stats
        one_line_each([*stats.get("failed", ()), *stats.get("error", ())])
        self._show(terminalreporter, [*self._notes, *leak_lines(self._leaks)])
        empty = tiers.nothing_selected(self._session.tier, config.option.markexpr, int(exitstatus))
        if empty:
            terminalreporter.write_line(f"torchproof: {empty}")

    def _show(self, terminal: Any, lines: Iterable[str]) -> None:
        lines = list(lines)
        if lines:
            terminal.section("torchproof", yellow=True)
        for line in lines:
            terminal.write_line(line)
