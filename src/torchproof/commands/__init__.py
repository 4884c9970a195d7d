"""The commands, one module a subject."""

import click

from torchproof.commands.bisect import bisect
from torchproof.commands.detect import detect
from torchproof.commands.history import history
from torchproof.commands.lock import lock
from torchproof.commands.project import demo, init, prove, rules, run
from torchproof.commands.results import diff, plan, report
from torchproof.commands.score import score


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="torchproof")
def torchproof() -> None:
    """Make silent model failures loud."""


for command in (
    bisect,
    demo,
    detect,
    diff,
    history,
    init,
    lock,
    plan,
    prove,
    report,
    rules,
    run,
    score,
):
    torchproof.add_command(command)
