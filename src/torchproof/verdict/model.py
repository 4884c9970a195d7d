"""What a verdict is made of: rows, worst first, and what was counted.

==================  =====================================================================
state               means
==================  =====================================================================
``failed``          broken by itself, whatever the baseline says; gates
``worse``           against its direction by more than its tolerance or the noise; gates
``undecided``       changed, and the runs so far cannot tell the change from noise
``not-comparable``  the baseline comes from other hardware or another environment
``dropped``         a test of the baseline that is gone
``skipped``         a test that is skipped now and was not before
``not-run``         asked for, and did not run
``warning``         a finding or leak that does not gate
``queued``          runs elsewhere and is not back yet
``new``             not in the baseline
``fixed``           failed before and does not any more
``better``          in its direction by more than its tolerance or the noise
``waived``          a finding the team accepts
``same``            not-worse: equal, within the tolerance, or a loss is ruled out
``passed``          passed, with no baseline to compare with
``shown``           recorded and not judged
==================  =====================================================================
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any


if TYPE_CHECKING:
    from collections.abc import Mapping

    from torchproof.record import Record
    from torchproof.verdict.decide import Decision, Key

STATES = (
    "failed",
    "worse",
    "undecided",
    "not-comparable",
    "dropped",
    "skipped",
    "not-run",
    "warning",
    "queued",
    "new",
    "fixed",
    "better",
    "waived",
    "same",
    "passed",
    "shown",
)
GATING = ("failed", "worse")
KINDS = ("run", "finding", "metric", "curve", "test", "leak")


@dataclass(frozen=True, kw_only=True)
class Row:
    """One thing that was looked at.

    Attributes:
        kind: ``run``, ``finding``, ``metric``, ``curve``, ``test`` or ``leak``.
        tier: Where it ran.
        name: The rule's, metric's, curve's or test's name; hostile, like everything but ``why``.
        state: One of `STATES`.
        before: What the baseline says, in words or as a number with its unit.
        now: What the head says.
        limit: The worst value of ``now`` that would not gate.
        unit: Of the numbers.
        why: Why the state is what it is, in our words; holds no text from a record.
        message: What the test or rule said.
        evidence: What a rule measured.
        location: ``path:line`` in the user's code, or None.
        remedy: What to do about it.
        test: The test it belongs to.
        check: What it counts as in a headline; rows with the same text count once, empty not.
        size: Of the change, relative to the baseline; the larger comes first.
        runs: Of the head, where noise decides or has to; else 0.
    """

    kind: str
    tier: str
    name: str
    state: str
    before: str = ""
    now: str = ""
    limit: str = ""
    unit: str = ""
    why: str = ""
    message: str = ""
    evidence: Mapping[str, Any] = field(default_factory=dict)
    location: str | None = None
    remedy: str = ""
    test: str = ""
    check: str = ""
    size: float = 0.0
    runs: int = 0

    @property
    def changed(self) -> bool:
        """True when a reader of the change should see the row unasked."""
        if self.state in ("warning", "waived"):
            return self.before != self.now
        return self.state not in ("same", "passed", "shown")

    @property
    def moved(self) -> bool:
        """True for a number that is worse, better or broken against its baseline."""
        numbers = self.kind in ("metric", "curve")
        return numbers and bool(self.before) and self.state in ("failed", "worse", "better")


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """A tier that was asked for and is not here: queued elsewhere, refused, or unchanged."""

    tier: str
    why: str = ""
    remedy: str = ""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What became of a change.

    Attributes:
        rows: Worst first.
        counts: How many rows there are in each state that occurs.
        checks: How many checks there are by result: ``failing``, ``undecided``,
            ``not-comparable`` and ``passing``. A check is a test or a judged metric.
        compared: The tiers that had a baseline.
        differences: By tier, what makes it not comparable, as in ``torch 2.12.0 → 2.13.0``.
        wanted: By tier, how many further runs of the head could decide a metric that is not.
        partners: By tier, the seeds these runs should take to be paired with runs of main, newest
            first; tiers without pairs are not named.
    """

    rows: tuple[Row, ...]
    counts: Mapping[str, int]
    checks: Mapping[str, int]
    compared: tuple[str, ...] = ()
    differences: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    wanted: Mapping[str, int] = field(default_factory=dict)
    partners: Mapping[str, tuple[int, ...]] = field(default_factory=dict)

    @property
    def passed(self) -> bool:
        """True when nothing gates."""
        return not any(state in self.counts for state in GATING)

    @property
    def comparable(self) -> bool:
        """True when there was a baseline and every number could be compared with it."""
        return bool(self.compared) and not self.differences

    @property
    def asks_why(self) -> bool:
        """True when a number moved, and a reader asks because of what."""
        return any(row.moved for row in self.rows) and bool(self.compared)

    @property
    def pending(self) -> bool:
        """True while a tier runs elsewhere."""
        return "queued" in self.counts

    @property
    def word(self) -> str:
        """``failed``, ``worse``, ``undecided`` or ``not-worse``."""
        for state in (*GATING, "undecided"):
            if state in self.counts:
                return state
        return "not-worse" if self.comparable and not self.pending else "undecided"


@dataclass(frozen=True, kw_only=True)
class Tier:
    """One tier's runs on both sides; several runs differ by their seed.

    Attributes:
        name: The tier.
        head: The runs that were asked for.
        base: The baseline's.
        further: Runs of the head with further seeds. They only help to decide metrics: their tests
            may fail at a seed that the baseline never saw.
        stored: Runs of main up to the baseline, oldest first, whose numbers can be compared.
        differences: What makes the two sides not comparable.
        tolerance: Of metrics that name none.
        decisions: What the noise of the stored runs says about metrics without a tolerance.
    """

    name: str
    head: tuple[Record, ...]
    base: tuple[Record, ...] = ()
    further: tuple[Record, ...] = ()
    stored: tuple[Record, ...] = ()
    differences: tuple[str, ...] = ()
    tolerance: float | str | None = None
    decisions: Mapping[Key, Decision] = field(default_factory=dict)
