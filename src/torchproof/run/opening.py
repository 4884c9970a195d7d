"""Opening what a run needs on this machine: the seal and the GPU lease that go together."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from torchproof.run import choose
from torchproof.run.container import shared_directory
from torchproof.run.engine import Engine
from torchproof.run.gpu_keeper import lease_through
from torchproof.run.lease import lease_here
from torchproof.run.plugin_dir import lay


if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import AbstractContextManager

    from torchproof.run.lease import Lease
    from torchproof.run.seal import Seal
    from torchproof.settings import Settings

_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy")


def open_seal(
    settings: Settings,
    *,
    workspace: Path,
    wanted: str,
    run_id: str,
    secrets_present: bool,
    say: Callable[[str], None],
    environ: Mapping[str, str] = os.environ,
) -> Seal:
    """Open the seal that this machine offers, and say which one and why.

    Raises:
        HostError: The machine cannot do what was asked.
        TrustError: Secrets are present and nothing here can keep them from the tests.
    """
    engine = Engine()
    choice = choose.choose(
        choose.look(engine),
        wanted=wanted,
        secrets_present=secrets_present,
        image=settings.image or None,
    )
    say(f"Seal: {choice.name}; {choice.why}.")
    seal = choose.open_seal(
        choice,
        engine,
        workspace=workspace,
        run_id=run_id,
        lay_plugin=lay,
        image=settings.image or None,
        pass_env=_proxies(environ),
        environ=environ,
    )
    if seal.secret_keys:
        say("The checkout keeps a token in .git; the tests do not see it (persist-credentials).")
    return seal


def lease(*, run: str, say: Callable[[str], None]) -> AbstractContextManager[Lease]:
    """Hold a GPU: through the engine where we are one of its containers, else as we see it."""
    engine = Engine()
    if choose.look(engine).image:
        return lease_through(engine, run=run, on_wait=say)
    return lease_here(Path(tempfile.gettempdir()) / "torchproof-locks", run=run, on_wait=say)


def scratch(environ: Mapping[str, str] = os.environ) -> Path | None:
    """Return a directory for further workspaces that the engine sees; None for any."""
    engine = Engine()
    return shared_directory(engine, environ) if choose.look(engine).engine else None


def _proxies(environ: Mapping[str, str]) -> list[str]:
    """Name the proxies that uv needs behind a company's wall; one with a password stays here."""
    return [name for name in _PROXIES if "@" not in environ.get(name, "@")]
