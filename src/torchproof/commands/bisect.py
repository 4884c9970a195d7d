"""torchproof bisect: which commit made a metric worse, at the least number of runs."""

from __future__ import annotations

import subprocess
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from torchproof.commands.detect import direction
from torchproof.commands.dispatched_runner import (
    Workflow,
    dispatched_runner,
    github,
    lately,
)
from torchproof.commands.history import open_history, remote_option
from torchproof.commands.local_runner import local_place, local_runner
from torchproof.commands.output import as_json, show
from torchproof.errors import UsageError
from torchproof.history import series
from torchproof.report.phrase import count, percent
from torchproof.stages.bisection import Reruns, search
from torchproof.verdict.blame import MOST_RUNS, SURE
from torchproof.verdict.numbers import spell


if TYPE_CHECKING:
    from collections.abc import Sequence

    from torchproof.history.series import Series
    from torchproof.stages.bisection import Culprit, Step
    from torchproof.verdict import Blame


@click.command()
@click.argument("metric")
@click.argument("good")
@click.argument("bad")
@click.option("--tier", default="", help="Where several tiers record the metric.")
@click.option(
    "--runner",
    type=click.Choice(["local", "dispatched"]),
    default="local",
    show_default=True,
    help="Where commits are trained: in this interpreter, or by the repository's workflow.",
)
@click.option("--gpu-runner", default="", help="Label of the runner that dispatched runs go to.")
@click.option(
    "--workflow",
    default="torchproof.yml",
    show_default=True,
    help="File of the workflow to dispatch.",
)
@click.option(
    "--wait",
    type=click.IntRange(min=1),
    default=120,
    show_default=True,
    help="The most minutes to wait for a dispatched run.",
)
@click.option(
    "--budget",
    type=click.IntRange(min=0),
    default=MOST_RUNS,
    show_default=True,
    help="The most runs to make.",
)
@remote_option
@as_json
def bisect(
    metric: str,
    good: str,
    bad: str,
    *,
    tier: str,
    runner: str,
    gpu_runner: str,
    workflow: str,
    wait: int,
    budget: int,
    remote: str,
    as_json: bool,
) -> int:
    """Find the commit behind GOOD, up to BAD, that made METRIC worse.

    The suspects are the first parents of BAD: of a merge, what it brought counts as one commit. The
    search starts from the runs that the history has, runs commits with fresh seeds, here in a
    checkout of their own or on the repository's runner, goes around those that give no metric, and
    says so where not the code but the environment or the data moved. The exit code is 1 where the
    runs did not make it sure.
    """
    repository = _Repository.here()
    commits = repository.between(good, bad)
    hub = github() if runner == "dispatched" else None
    with ExitStack() as stack:
        history = stack.enter_context(open_history(remote))
        line = series.load(history, commits[-1], also=[str(repository.top)])
        found = series.choose(series.series(line), metric, tier)
        direction(found)
        seed = max((each.seed for each in (*line.records, *line.again)), default=0)
        if hub:
            ours, known = found.on(found.places[0]), lately(line.again)
            started = Workflow(workflow, history.snapshot.default_branch or "main", gpu_runner)
            run = dispatched_runner(
                hub, history, started, found.places[0], patience=60.0 * wait, say=_say
            )
        else:
            ours, known = found.on(local_place()), []
            local = local_runner(history, repository.top, repository.project)
            run = stack.enter_context(local)
        _start(found, ours, commits)
        culprit = search(
            commits,
            ours,
            Reruns(run=run, left=budget, seed=seed, known=known),
            most_runs=budget,
            on_step=lambda step: _say(_step(step, found.unit)),
        )
    text = "\n".join(_answer(culprit, repository))
    show(_document(culprit, commits), text, as_json=as_json)
    return 0 if culprit.answer.probability >= SURE else 1


@dataclass(frozen=True)
class _Repository:
    """The user's checkout; it is only read. ``project`` is the current directory inside it."""

    top: Path
    project: Path

    @classmethod
    def here(cls) -> _Repository:
        top = Path(_git("rev-parse", "--show-toplevel"))
        return cls(top, Path.cwd().resolve().relative_to(top.resolve()))

    def between(self, good: str, bad: str) -> list[str]:
        """Return the last good commit and the suspects, oldest first."""
        first, last = _commit(good), _commit(bad)
        base = _git("merge-base", first, last)
        if base != first:
            remedy = f"Give their common ancestor {base[:12]} as GOOD."
            raise UsageError(f"{good:.80} is no ancestor of {bad:.80}", remedy)
        suspects = _git("rev-list", "--first-parent", "--reverse", last, f"^{first}").split()
        if not suspects:
            raise UsageError(f"no commit lies behind {good:.80}", "Give GOOD first, then BAD.")
        return [first, *suspects]

    def describe(self, commit: str) -> str:
        return _git("log", "-1", "--format=%h %s (%an, %as)", commit)

    def parents(self, commit: str) -> list[str]:
        return _git("log", "-1", "--format=%P", commit).split()


def _start(found: Series, ours: Series, commits: Sequence[str]) -> None:
    known = {point.commit for point in ours.points} & {*commits[1:]}
    suspects, have = count(len(commits) - 1, "suspect"), "has" if len(known) == 1 else "have"
    _say(f"{suspects} on the line of first parents; {len(known)} {have} stored runs")
    left_out = len(found.points) - len(ours.points)
    if left_out:
        verb = "is" if left_out == 1 else "are"
        _say(f"{count(left_out, 'stored run')} on other machines {verb} left out")


def _step(step: Step, unit: str) -> str:
    value = "no metric" if step.value is None else spell(step.value, unit)
    believed = _belief(step.belief) if step.belief else "learning the good level"
    return f"{step.commit[:12]}  {value:<12} {believed}"


def _belief(answer: Blame[str]) -> str:
    sure = percent(answer.probability)
    if answer.commit is None:
        words = {"none": "nothing is worse", "data": "the data moved"}
        return f"{words.get(answer.cause, 'the environment moved')} ({sure})"
    others = len(answer.suspects) - 1
    return f"{answer.commit[:12]} ({sure})" + (f" or {others} more" if others else "")


def _answer(culprit: Culprit, repository: _Repository) -> list[str]:
    answer, sure = culprit.answer, percent(culprit.answer.probability)
    runs = count(answer.runs, "run")
    if culprit.cause == "none":
        return [f"Nothing is worse ({sure}, {runs})."]
    if answer.commit is None:
        facts = [f"  {fact.kind}: {fact.name} {_change(fact)}" for fact in culprit.facts[:20]]
        sentence = f"No commit is to blame: the {culprit.cause} moved ({sure}, {runs})."
        return [sentence, *facts]
    lines = [f"{repository.describe(answer.commit)}: {sure}, {runs}"]
    parents = repository.parents(answer.commit)
    if len(parents) > 1:
        base = _git("merge-base", *parents[:2])
        lines.append(
            f"It is a merge. To search what it brought: GOOD {base[:12]}, BAD {parents[1][:12]}"
        )
    if answer.probability < SURE:
        lines += [f"or {repository.describe(each)}" for each in answer.suspects[1:8]]
    return lines


def _change(fact: Any) -> str:
    return f"{fact.before[:40] or 'none'} → {fact.now[:40] or 'none'}"


def _document(culprit: Culprit, commits: Sequence[str]) -> dict[str, Any]:
    answer = culprit.answer
    return {
        "commit": answer.commit,
        "cause": culprit.cause,
        "probability": answer.probability,
        "runs": answer.runs,
        "suspects": list(answer.suspects),
        "candidates": len(commits) - 1,
        "moved": [fact._asdict() for fact in culprit.facts],
    }


def _commit(name: str) -> str:
    try:
        return _git("rev-parse", "--verify", "--end-of-options", f"{name}^{{commit}}")
    except UsageError:
        raise UsageError(f"{name!r:.80} is no commit", "Name one of this repository.") from None


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        said = " ".join(done.stderr.removeprefix("fatal: ").split())
        raise UsageError(f"git {arguments[0]}: {said:.200}".rstrip("."), "Run it in a checkout.")
    return done.stdout.strip()


def _say(text: str) -> None:
    click.echo(text, err=True)
