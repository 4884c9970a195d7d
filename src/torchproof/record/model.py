"""What a run record holds: plain frozen data, the same words as in the schema."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Optional, Union


if TYPE_CHECKING:
    from collections.abc import Mapping

PASSED = ("passed", "xfailed")
NO_TIER = "none"  # the tier of a run that asked for none
FAILED = ("failed", "error", "xpassed", "crashed")


@dataclass(frozen=True)
class Outcome:
    """How one test ended.

    ``outcome`` is ``passed``, ``failed``, ``error``, ``skipped``, ``xfailed``, ``xpassed``
    (strict), ``crashed`` (its process died under it) or ``not-run`` (collected, never started).
    """

    test: str
    outcome: str
    seconds: float = 0.0
    message: str = ""
    location: Optional[str] = None
    attempts: int = 1


@dataclass(frozen=True)
class Finding:
    """One broken rule, as the proof reported it; ``waived`` holds the team's reason, if any."""

    test: str
    rule: str
    severity: str
    message: str
    evidence: Mapping[str, Any] = field(default_factory=dict)
    location: Optional[str] = None
    remedy: str = ""
    waived: str = ""


@dataclass(frozen=True)
class Metric:
    """A number a test recorded; ``tolerance`` is absolute (0.01) or relative to the base ("2%")."""

    test: str
    name: str
    value: float
    unit: str = ""
    better: Optional[str] = None
    seed: Optional[int] = None
    tolerance: Optional[Union[float, str]] = None


@dataclass(frozen=True)
class Curve:
    """The loss of an overfit run, one value a step."""

    test: str
    name: str
    values: tuple[float, ...]
    converged: bool = False
    steps: int = 0
    reason: str = ""
    seed: Optional[int] = None


@dataclass(frozen=True)
class Leak:
    """State that a test changed and did not put back."""

    test: str
    what: str
    message: str


@dataclass(frozen=True)
class Example:
    """One input on which the trained model failed a behaviour test, as a reader should see it.

    ``shown`` is the input as text; an image is drawn in block characters.
    """

    test: str
    name: str
    shown: str
    expected: str = ""
    got: str = ""


@dataclass(frozen=True)
class Cost:
    """What the run took: wall seconds, seconds a GPU was leased, peak GPU bytes."""

    seconds: float = 0.0
    gpu_seconds: float = 0.0
    gpu_peak_bytes: Optional[int] = None


@dataclass(frozen=True)
class Source:
    """Where the record comes from. The action side writes it and never believes the test side's."""

    repository: str
    commit: str
    tested: str
    branch: str
    event: str
    run_id: str
    attempt: int = 1
    job: str = ""
    pull_request: Optional[int] = None
    fork: bool = False


@dataclass(frozen=True)
class Record:
    """Everything one tier's run produced.

    ``state`` is ``complete``, ``crashed``, ``timed-out``, ``cancelled`` or ``not-run``; ``reason``
    says why it is not ``complete``. ``fingerprint`` maps a kind (environment, hardware, data,
    architecture, training) to named strings.
    """

    tier: str
    state: str
    reason: str = ""
    started: str = ""
    seed: int = 0
    exit_code: Optional[int] = None
    outcomes: tuple[Outcome, ...] = ()
    findings: tuple[Finding, ...] = ()
    metrics: tuple[Metric, ...] = ()
    curves: tuple[Curve, ...] = ()
    leaks: tuple[Leak, ...] = ()
    examples: tuple[Example, ...] = ()
    notes: tuple[str, ...] = ()
    fingerprint: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    cost: Cost = Cost()
    source: Optional[Source] = None

    @property
    def passed(self) -> bool:
        """True when the run is complete, no test failed and no unwaived error was found."""
        return (
            self.state == "complete"
            and self.exit_code in (0, None)
            and not any(outcome.outcome in FAILED for outcome in self.outcomes)
            and not any(f.severity == "error" and not f.waived for f in self.findings)
        )
