"""The commands, one module a subject."""

import click

from torchproof.commands.history import history
from torchproof.commands.project import demo, init, prove, rules, run
from torchproof.commands.results import diff, plan, report


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="torchproof")
def torchproof() -> None:
    """Make silent model failures loud."""


for command in (demo, diff, history, init, plan, prove, report, rules, run):
    torchproof.add_command(command)
