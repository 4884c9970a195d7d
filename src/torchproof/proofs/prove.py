"""Every rule on one trainee."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Callable, Optional

from torchproof.errors import UsageError
from torchproof.proofs.bench import Bench
from torchproof.proofs.parameters.computed_once import RULE, computed_once, never_learned
from torchproof.proofs.process.isolation import untouched
from torchproof.proofs.process.warned import shown_once
from torchproof.proofs.rule import Skip, check_names, chosen


if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from torchproof.proofs.finding import Cost, Finding
    from torchproof.proofs.rule import Rule
    from torchproof.proofs.trainee import Trainee

_GRAVITY = ("error", "warning", "info")
_SECOND_TIME = "backward through the graph a second time"


@dataclass(frozen=True)
class Proof:
    """What the rules say of a trainee; ``skipped`` maps a rule to why it could not be judged."""

    findings: list[Finding]
    skipped: dict[str, str]
    cost: Cost = field(compare=False)

    @property
    def passed(self) -> bool:
        """True when there is no error, or the team has waived each."""
        return not any(each.severity == "error" and not each.waived for each in self.findings)

    def __str__(self) -> str:
        rows = [str(each) for each in self.findings]
        reasons: dict[str, list[str]] = {}
        for rule, why in self.skipped.items():
            reasons.setdefault(why, []).append(rule)
        rows += [f"skipped {', '.join(rules)}: {why}" for why, rules in reasons.items()]
        return "\n".join([*rows, "passed" if self.passed else "failed"])


def prove(
    build: Callable[[], Trainee],
    rules: Optional[Iterable[str]] = None,
    seed: int = 0,
    *,
    budget: Optional[int] = None,
) -> Proof:
    """Judge a trainee by every rule, or by the named ones.

    Nothing that the caller can see changes: each trial starts from a fresh ``build()`` with the
    seed fixed; random state, switches of torch, warnings filters and hooks are put back.

    Args:
        build: Makes a fresh `Trainee` at each call.
        rules: Ids of rules; None for all.
        seed: Fixed before every call of ``build``.
        budget: Training steps after which no further rule begins; what is left is skipped and says
            so. None judges all.

    Raises:
        UsageError: A rule is not known, or ``build`` does not return a fresh trainee.
        Exception: Whatever ``build`` or the undisturbed ``step`` and ``predict`` raise, as it is.
    """
    __tracebackhide__ = True
    wanted = chosen(rules)
    most = _steps(budget)
    bench = Bench(build, seed)
    start = time.perf_counter()
    findings: list[Finding] = []
    skipped: dict[str, str] = {}
    with untouched(), shown_once():
        try:
            waive = bench.trainee.waive
        except RuntimeError as error:
            findings = _of_a_step_that_runs_once(bench, error, wanted)
            if not findings:
                raise
            once = {
                each.id: "the step cannot be called twice" for each in wanted if each.id != RULE
            }
            return Proof(findings, once, bench.cost)
        check_names(waive, "Trainee(waive=...)")
        for rule in wanted:
            spent = bench.cost.steps >= most
            found, why_not = ([], f"{most} steps are spent") if spent else _judge(rule, bench)
            findings += [replace(each, waived=waive.get(rule.id, "")) for each in found]
            if why_not:
                skipped[rule.id] = why_not
    bench.cost.seconds = time.perf_counter() - start
    return Proof(sorted(findings, key=_gravity), skipped, bench.cost)


def _of_a_step_that_runs_once(
    bench: Bench, error: RuntimeError, wanted: Sequence[Rule]
) -> list[Finding]:
    """Say why the second call of the step fails, if it is for a value that the build computed."""
    judged = any(each.id == RULE for each in wanted)
    paths = computed_once(bench) if judged and _SECOND_TIME in str(error) else []
    return [never_learned(paths)] if paths else []


def _steps(budget: Optional[int]) -> float:
    if budget is None:
        return math.inf
    if not isinstance(budget, int) or budget < 1:
        raise UsageError(f"budget is {budget!r:.40}", "Give a number of training steps, or None.")
    return budget


def _judge(rule: Rule, bench: Bench) -> tuple[list[Finding], str]:
    """Return a rule's findings and, if it cannot be judged, why."""
    __tracebackhide__ = True
    found: list[Finding] = []
    try:
        bench.require(rule.needs)
    except Skip as why:
        return found, str(why)
    try:
        found.extend(rule.check(bench))
    except Skip as why:
        return found, str(why)
    except Exception as error:  # noqa: BLE001 - the undisturbed step runs; the experiment does not
        return found, f"the experiment failed ({type(error).__name__}: {error})"
    return found, ""


def _gravity(finding: Finding) -> tuple[bool, int]:
    return bool(finding.waived), _GRAVITY.index(finding.severity)
