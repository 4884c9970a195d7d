"""Training old commits on this machine, in this interpreter's environment.

Each commit's files come into a temporary directory of their own, and its tests run there as those
of ``torchproof run`` do: on the CPU, as this user. The checkout of the user is only read.
"""

from __future__ import annotations

import sys
import tempfile
import uuid
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from torchproof import settings
from torchproof.errors import HostError, UsageError
from torchproof.history.checkout import Checkout
from torchproof.history.series import Place
from torchproof.history.trust import AGAIN
from torchproof.plan import Job
from torchproof.record import Record, Source
from torchproof.run.opening import open_seal
from torchproof.run.tier import hardware, run_tier


if TYPE_CHECKING:
    from collections.abc import Iterator

    from torchproof.history.store import History
    from torchproof.stages.bisection import Runner


@contextmanager
def local_runner(history: History, top: Path, project: Path) -> Iterator[Runner]:
    """Give a function that runs a tier of an old commit and returns the record.

    Args:
        history: Its remote has the commits that the checkout lacks.
        top: The user's checkout.
        project: The project inside it.
    """
    with tempfile.TemporaryDirectory(prefix="torchproof-bisect-") as directory:
        checkout = Checkout(history, Path(directory) / "commit", also=[str(top)])

        def run(tier: str, commit: str, seed: int) -> Record:
            checkout.move(commit)
            try:
                made = _run(checkout.directory, project, tier, seed)
            except (HostError, UsageError) as error:
                made = Record(tier=tier, state="not-run", reason=str(error), seed=seed)
            return replace(made, source=Source("", commit, commit, "", AGAIN, "local"))

        yield run


def local_place() -> Place:
    """Return the kind of machine that this is."""
    facts = hardware(None)
    return Place(*(facts.get(name, "") for name in Place._fields))


def _run(checkout: Path, project: Path, tier: str, seed: int) -> Record:
    configured = settings.load(checkout / project)
    if tier not in configured.tiers:
        raise UsageError(f"this commit has no tier {tier}", "It is passed over.")
    configured = _importing_from(checkout / project, configured)
    seal = open_seal(
        configured,
        workspace=checkout,
        wanted="open",
        run_id=f"bisect-{uuid.uuid4().hex}",
        secrets_present=False,
        say=lambda _: None,
    )
    try:
        return run_tier(
            seal,
            Job(tier=tier, seed=seed),
            configured,
            python=sys.executable,
            on_output=lambda _: None,
            directory=seal.workspace / project,
        )
    finally:
        seal.close()


def _importing_from(project: Path, configured: settings.Settings) -> settings.Settings:
    """Let the old code win over the user's checkout, where that is installed as editable."""
    paths = [str(path) for path in (project / "src", project) if path.is_dir()]
    there = configured.env.get("PYTHONPATH")
    path = ":".join([*paths, *([there] if there else [])])
    return replace(configured, env={**configured.env, "PYTHONPATH": path})
