"""Commands that look at events and records: plan, diff, report."""

from __future__ import annotations

import json
import subprocess
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from torchproof import plan as planning
from torchproof import record, settings, verdict
from torchproof import report as reporting
from torchproof.commands.output import as_json, show
from torchproof.errors import RecordError, UsageError
from torchproof.history.stored_runs import stored_runs
from torchproof.hub import events
from torchproof.verdict.unchanged import is_fingerprint


if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from torchproof.record import Record

ZEROS = "0" * 40


@click.command()
@click.option(
    "--event",
    "file",
    type=click.Path(path_type=Path),
    required=True,
    help="The event's file, as GitHub writes it.",
)
@click.option("--name", default="", help="Name of the event; guessed from the file by default.")
@click.option("--gpu-runner", default="", help="As the action's input.")
@as_json
def plan(file: Path, name: str, gpu_runner: str, *, as_json: bool) -> None:
    """Say which tiers an event runs, where, and who sees the answer."""
    payload = _payload(file)
    event = events.read(_variables(payload, name), json.dumps(payload).encode())
    inputs = settings.Inputs(gpu_runner=gpu_runner)
    made = planning.make_plan(event, settings.load(Path.cwd()), inputs)
    document = {**asdict(made), "surfaces": sorted(made.surfaces)}
    show(document, _plan_text(made), as_json=as_json)


@click.command()
@click.argument("base")
@click.argument("head")
@click.option("--remote", default="origin", show_default=True, help="Holds the history.")
@as_json
def diff(base: str, head: str, remote: str, *, as_json: bool) -> int:
    """Judge HEAD against BASE, two run records or two commits.

    Commits are looked up in the history; the stored runs up to BASE then show how far numbers move
    by themselves.
    """
    before, now = _records(base, remote), _records(head, remote)
    _refuse_other_tiers(before, now)
    stored, tolerance = _noise(base, now, remote), settings.load(Path.cwd()).tolerance
    judged = verdict.judge(now, before, stored=stored, tolerance=tolerance)
    context = _context(now, before, base)
    text = reporting.terminal(reporting.compose(judged, now, before, context), colour=False)
    rows = [{**asdict(row), "evidence": dict(row.evidence)} for row in judged.rows]
    document = {"passed": judged.passed, "verdict": judged.word, "rows": rows}
    show(document, text, as_json=as_json)
    return 0 if judged.passed else 1


@click.command()
@click.argument("file", metavar="RECORD", type=click.Path(path_type=Path))
@click.option("--base", type=click.Path(path_type=Path), help="The record to compare with.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["comment", "summary", "html", "terminal"]),
    default="terminal",
    show_default=True,
)
def report(file: Path, base: Path | None, form: str) -> None:
    """Write a run record as GitHub would show it."""
    head = [record.load(file)]
    before = [record.load(base)] if base else []
    if base:
        _refuse_other_tiers(before, head)
    made = reporting.compose(
        verdict.judge(head, before), head, before, _context(head, before, str(base))
    )
    forms: dict[str, Callable[[reporting.Report], str]] = {
        "comment": reporting.comment,
        "summary": reporting.summary,
        "html": lambda made: reporting.page(reporting.comment(made)),
        "terminal": lambda made: reporting.terminal(made, colour=False),
    }
    click.echo(forms[form](made), nl=False)


def _payload(file: Path) -> dict[str, Any]:
    try:
        payload = json.loads(file.read_text("utf-8"))
    except OSError as error:
        what = f"it cannot be read: {error.strerror}"
        raise UsageError(what, "Check the path.", where=str(file)) from error
    except ValueError as error:
        raise UsageError(
            "it is not JSON", "Give an event as GitHub sends it.", where=str(file)
        ) from error
    if not isinstance(payload, dict):
        raise UsageError("it is no event", "Give an event as GitHub sends it.", where=str(file))
    return payload


def _variables(payload: Mapping[str, Any], name: str) -> dict[str, str]:
    """Stand in for the variables that the runner would set."""
    repository = _part(payload, "repository")
    sha = payload.get("after") or _part(_part(payload, "pull_request"), "head").get("sha") or ZEROS
    default = f"refs/heads/{repository.get('default_branch') or 'main'}"
    return {
        "GITHUB_EVENT_NAME": name or _guess(payload),
        "GITHUB_REPOSITORY": repository.get("full_name") or "owner/repository",
        "GITHUB_REF": payload.get("ref") or default,
        "GITHUB_SHA": sha,
        "RUNNER_ENVIRONMENT": "github-hosted",
    }


def _part(payload: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = payload.get(key)
    return value if isinstance(value, dict) else {}


def _guess(payload: Mapping[str, Any]) -> str:
    marks = {
        "pull_request": "pull_request",
        "merge_group": "merge_group",
        "schedule": "schedule",
        "inputs": "workflow_dispatch",
        "after": "push",
    }
    guessed = next((name for mark, name in marks.items() if mark in payload), "")
    if not guessed:
        what = "the file does not show which event it is of"
        raise UsageError(what, "Name it: --name push, or as GITHUB_EVENT_NAME has it.")
    return guessed


def _plan_text(made: planning.Plan) -> str:
    if made.nothing:
        return f"Nothing to do: {made.nothing}."
    lines = [f"{job.tier:<12} seed {job.seed}  here" for job in made.jobs]
    lines += [f"{tier:<12} on the GPU runner" for tier in made.dispatched]
    lines.append(f"shown in     {', '.join(sorted(made.surfaces))}")
    lines.append(f"stored       {'yes' if made.store else 'no'}")
    return "\n".join(lines)


def _records(name: str, remote: str) -> Sequence[Record]:
    """Load a record file, or every record of a commit."""
    if Path(name).is_file():
        return [record.load(Path(name))]
    from torchproof.commands.history import open_history

    commit = _commit(name)
    with open_history(remote) as history:
        found = [made for made in history.runs_of(commit) if not is_fingerprint(made)]
    if not found:
        what = f"the history has no record of {commit[:12]}"
        raise RecordError(what, "See `torchproof history list`.")
    return found


def _noise(base: str, head: Sequence[Record], remote: str) -> Sequence[Record]:
    """Return the runs of the base's commit and of those before it; none of a file."""
    if Path(base).is_file():
        return ()
    from torchproof.commands.history import open_history

    tiers = sorted({made.tier for made in head})
    with open_history(remote) as history:
        return stored_runs(history, commit=_commit(base), tiers=tiers)


def _commit(name: str) -> str:
    done = subprocess.run(
        ["git", "rev-parse", "--verify", "--end-of-options", f"{name}^{{commit}}"],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        what = f"{name!r:.80} is neither a file nor a commit"
        raise UsageError(what, "Name a run record or a commit of this repository.")
    return done.stdout.strip()


def _refuse_other_tiers(before: Sequence[Record], now: Sequence[Record]) -> None:
    tiers = [sorted({made.tier for made in side}) for side in (before, now)]
    if not {*tiers[0]} & {*tiers[1]}:
        what = f"they have no tier in common: {', '.join(tiers[0])} and {', '.join(tiers[1])}"
        raise UsageError(what, "Name records of one tier.")


def _context(head: Sequence[Record], before: Sequence[Record], base: str) -> reporting.Context:
    """Name both sides by their commits; a record of no commit is this run, or its file."""
    commit = _commit_of(before) or Path(base).name
    return reporting.Context(head_sha=_commit_of(head), base=commit if before else None)


def _commit_of(records: Sequence[Record]) -> str:
    return next((made.source.commit for made in records if made.source), "")
