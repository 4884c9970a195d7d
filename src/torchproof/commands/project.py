"""Commands around a project's own code: demo, run, prove, rules, init."""

from __future__ import annotations

import sys
import tempfile
import uuid
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from torchproof import record, report, settings, verdict
from torchproof.assets import asset
from torchproof.commands.output import as_json, make_room, show, write
from torchproof.errors import ConfigError, UsageError


if TYPE_CHECKING:
    from torchproof.record import Record

FIRST_TEST = "tests/test_training_step.py"
WORKFLOW = ".github/workflows/torchproof.yml"


@click.command()
@click.option("--keep", type=click.Path(path_type=Path), help="Keep everything in this directory.")
def demo(keep: Path | None) -> None:
    """Show the whole way on a small real project."""
    from torchproof.demo import play

    directory = (keep or Path(tempfile.mkdtemp(prefix="torchproof-demo-"))).resolve()
    if keep and keep.exists() and (not keep.is_dir() or any(keep.iterdir())):
        raise UsageError("it is not an empty directory", "Name a new one.", where=str(keep))
    directory.mkdir(parents=True, exist_ok=True)
    played = play(directory)
    if played.answer.report is not None:
        colour = sys.stdout.isatty()
        click.echo("\n" + report.terminal(played.answer.report, colour=colour))
    click.echo(f"The comment:             {played.comment}")
    click.echo(f"As GitHub would show it: {played.page.as_uri()}")


@click.command()
@click.option("--tier", default="unit", show_default=True, help="Which tests to run.")
@click.option("--seed", type=click.IntRange(min=0), help="Base seed; the project's own by default.")
@click.option("--record", "path", type=click.Path(path_type=Path), help="Write the run record.")
@as_json
def run(tier: str, seed: int | None, path: Path | None, *, as_json: bool) -> int:
    """Run one tier's tests here, in this interpreter's environment."""
    from torchproof.plan import Job
    from torchproof.run.opening import open_seal
    from torchproof.run.tier import run_tier

    here = Path.cwd()
    configured = settings.load(here)
    if tier not in configured.tiers:
        known = ", ".join(configured.tiers)
        raise ConfigError(f"there is no tier {tier!r:.80}", f"Known tiers: {known}.")
    if path:
        make_room(path)
    job = Job(tier=tier, seed=configured.seed if seed is None else seed)
    started = datetime.now(UTC).isoformat(timespec="seconds")
    seal = open_seal(
        configured,
        workspace=here,
        wanted="open",
        run_id=f"run-{uuid.uuid4().hex}",
        secrets_present=False,
        say=_note,
    )
    try:
        made = run_tier(seal, job, configured, python=sys.executable, on_output=_to_stderr)
    finally:
        seal.close()
    made = replace(made, started=started)
    if path:
        write(path, record.dumps(made))
    judged = verdict.judge([made], [])
    text = report.terminal(
        report.compose(judged, [made], [], report.Context(head_sha="")), colour=False
    )
    show(_document(made), text, as_json=as_json)
    return 0 if judged.passed else 1


@click.command()
@click.argument("target", metavar="FILE.py:BUILD")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Base seed.")
@click.option("--rule", "rules", multiple=True, help="Only this rule; may be repeated.")
@as_json
def prove(target: str, seed: int, rules: tuple[str, ...], *, as_json: bool) -> int:
    """Prove a training step, and name the rules that it breaks.

    BUILD is a function that returns a torchproof.Trainee.
    """
    import torchproof
    from torchproof.contracts.target import function_at, told_as_sentence

    build = function_at(target, "Write path/to/file.py:name_of_the_function.")
    with told_as_sentence():
        proof = torchproof.prove(build, rules=list(rules) or None, seed=seed)
    document = {
        "passed": proof.passed,
        "findings": [_plain(finding) for finding in proof.findings],
        "skipped": dict(proof.skipped),
        "cost": _plain(proof.cost),
    }
    show(document, str(proof), as_json=as_json)
    return 0 if proof.passed else 1


@click.command()
@as_json
def rules(*, as_json: bool) -> None:
    """List every rule: what it says, and what it needs to judge."""
    import torchproof

    known = torchproof.rules()
    document = [
        {
            "id": rule.id,
            "summary": rule.summary,
            "severity": rule.severity,
            "needs": list(rule.needs),
            "source": rule.source,
            "explanation": rule.explanation,
        }
        for rule in known
    ]
    show(document, "\n\n".join(map(_rule_text, known)), as_json=as_json)


@click.command()
def init() -> None:
    """Write a workflow and a first test; nothing is overwritten."""
    here = Path.cwd()
    if not (here / ".git").exists():
        raise UsageError("this is not the top of a git checkout", "Change to it, or run git init.")
    for source, target in (
        ("templates/workflow.yml", WORKFLOW),
        ("templates/test_training_step.py", FIRST_TEST),
    ):
        if (here / target).exists():
            click.echo(f"kept     {target}")
            continue
        write(here / target, asset(source).read_bytes())
        click.echo(f"written  {target}")
    click.echo(f"Next: put your own model into {FIRST_TEST}, then run: torchproof run")


def _rule_text(rule: Any) -> str:
    """Write a rule as a section of docs/rules.md."""
    return f"## {rule.id}\n\n*{rule.severity}* · {rule.source}\n\n{rule.explanation}"


def _plain(value: Any) -> dict[str, Any]:
    return {key: item if _is_json(item) else str(item) for key, item in asdict(value).items()}


def _is_json(value: Any) -> bool:
    return isinstance(value, (str, int, float, bool, dict, list, type(None)))


def _document(made: Record) -> Any:
    import json

    return json.loads(record.dumps(made))


def _note(text: str) -> None:
    click.echo(text, err=True)


def _to_stderr(data: bytes) -> None:
    sys.stderr.buffer.write(data)
