"""The seal as a child process, where no docker engine can be had.

`ChildSeal` needs root and gives the tests a user id that nobody else has: from another user the
kernel keeps ``/proc/<pid>/environ``, memory and descriptors closed. The tests work on a copy of the
workspace, as the original lies among the runner's files, and those are closed to everyone but their
owner meanwhile.

`OpenSeal` is for a developer's own machine, where no secret is in reach: same user, same workspace,
in place. It keeps the environment to an allow-list and ends the program's session, no more.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import stat
import tempfile
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from torchproof.errors import HostError, TrustError
from torchproof.run import scratch
from torchproof.run.clean_git import copy_workspace, persisted_secrets
from torchproof.run.engine import SOCKET
from torchproof.run.other_user import end_all, orphans_come_to_us, unused_owner
from torchproof.run.process import run_process
from torchproof.run.scratch import Owner, owner_of


if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from torchproof.run.seal import Command, Completed

GITHUB = Path("/github")
"""Where the runner mounts its files and the workspace into a Docker action."""

MAX_PROCESSES = 4096
DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
KEPT_FROM_DEVELOPER = (
    *("PATH", "HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "TZ", "VIRTUAL_ENV", "CONDA_PREFIX"),
    *("LD_LIBRARY_PATH", "CUDA_HOME", "XDG_CACHE_HOME"),
)
"""What `OpenSeal` takes over from the developer's environment."""

_SET_DUMPABLE = 4  # prctl(2)


class ChildSeal:
    """Runs commands as another user on a copy of the workspace; needs root.

    Args:
        workspace: The checkout, as this process sees it.
        run_id: Names the scratch directory; never used before.
        lay_plugin: Fills the plugin directory, which is read only for the tests.
        env: What each command's environment holds beside its own variables.
        closed: Directories that nobody but their owner may enter while a command runs.
        parent: Where the scratch directory is made; outside of all closed directories.

    ``secret_keys`` names the git configuration that was kept from the tests: a persisted token.
    """

    name = "child"

    def __init__(
        self,
        *,
        workspace: Path,
        run_id: str,
        lay_plugin: Callable[[Path], None] | None = None,
        env: Mapping[str, str] | None = None,
        closed: Sequence[Path] = (GITHUB,),
        parent: Path | None = None,
    ) -> None:
        if os.geteuid() != 0:
            raise HostError("running the tests as another user needs root", "Run as root.")
        _refuse_open_socket(SOCKET)
        self._heir = owner_of(workspace)
        self._owner = unused_owner(apart_from=self._heir)
        self._to_close = [path for path in closed if path.is_dir()]
        self.secret_keys = persisted_secrets(workspace)
        parent = parent or Path(tempfile.gettempdir())
        self._scratch = scratch.lay_out(parent, run_id, owner=self._owner, lay_plugin=lay_plugin)
        self.workspace = PurePosixPath(self._scratch.workspace)
        self.plugin = PurePosixPath(self._scratch.plugin)
        self.results = PurePosixPath(self._scratch.results)
        self.cache = PurePosixPath(self._scratch.cache)
        self.results_here = self._scratch.results
        self._env = {"PATH": DEFAULT_PATH, **(env or {})}
        try:
            copy_workspace(workspace, self._scratch.workspace)
            scratch.give(self._scratch.workspace, self._owner)
        except BaseException:
            self.close()
            raise
        ctypes.CDLL(None).prctl(_SET_DUMPABLE, 0, 0, 0, 0)

    def run(self, command: Command, *, on_output: Callable[[bytes], None]) -> Completed:
        """Run the program as the other user; see `Seal.run`."""
        own = {
            "HOME": str(self._scratch.home),
            "TMPDIR": str(self._scratch.tmp),
            "USER": "torchproof",
            "LOGNAME": "torchproof",
        }
        try:
            with _closed(self._to_close), orphans_come_to_us(self._owner):
                return run_process(
                    command.argv,
                    cwd=command.cwd or self.workspace,
                    env={**self._env, **command.env, **_devices(command), **own},
                    timeout=command.timeout,
                    on_output=on_output,
                    end=lambda: end_all(self._owner),
                    owner=self._owner,
                    max_processes=MAX_PROCESSES,
                )
        finally:
            scratch.keep_plain_files(self.results_here)

    def close(self) -> None:
        """End every process of the other user, then remove the scratch directory."""
        end_all(self._owner)
        scratch.remove(self._scratch, heir=self._heir)


class OpenSeal:
    """Runs commands as this user in this workspace; only where no secret is in reach.

    Args:
        workspace: The checkout.
        run_id: Names the scratch directory; never used before.
        lay_plugin: Fills the plugin directory.
        env: What each command's environment holds beside its own variables.
        environ: The developer's environment, of which `KEPT_FROM_DEVELOPER` is taken over.
    """

    name = "open"

    def __init__(
        self,
        *,
        workspace: Path,
        run_id: str,
        lay_plugin: Callable[[Path], None] | None = None,
        env: Mapping[str, str] | None = None,
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        self._owner = Owner(uid=os.geteuid(), gid=os.getegid())
        self._scratch = scratch.lay_out(
            Path(tempfile.gettempdir()), run_id, owner=self._owner, lay_plugin=lay_plugin
        )
        self.workspace = PurePosixPath(workspace)
        self.plugin = PurePosixPath(self._scratch.plugin)
        self.results = PurePosixPath(self._scratch.results)
        self.cache = PurePosixPath(_user_cache(environ))
        self.results_here = self._scratch.results
        kept = {key: environ[key] for key in KEPT_FROM_DEVELOPER if key in environ}
        self.secret_keys: tuple[str, ...] = ()
        self._env = {"PATH": DEFAULT_PATH, **kept, **(env or {})}
        self._running: int | None = None

    def run(self, command: Command, *, on_output: Callable[[bytes], None]) -> Completed:
        """Run the program; see `Seal.run`."""
        own = {"TMPDIR": str(self._scratch.tmp)}
        try:
            return run_process(
                command.argv,
                cwd=command.cwd or self.workspace,
                env={**self._env, **command.env, **_devices(command), **own},
                timeout=command.timeout,
                on_output=on_output,
                on_start=self._started,
                end=self._end,
            )
        finally:
            self._running = None
            scratch.keep_plain_files(self.results_here)

    def close(self) -> None:
        """End the running program's session, then remove the scratch directory."""
        self._end()
        scratch.remove(self._scratch, heir=self._owner)

    def _started(self, pid: int) -> None:
        self._running = pid

    def _end(self) -> None:
        if self._running is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._running, signal.SIGKILL)


def _devices(command: Command) -> dict[str, str]:
    """Show the program the GPU that is held for it, and no other."""
    return {"CUDA_VISIBLE_DEVICES": command.gpu or ""}


@contextlib.contextmanager
def _closed(directories: Sequence[Path]) -> Iterator[None]:
    """Let nobody but their owner and root into these directories meanwhile."""
    modes = {path: stat.S_IMODE(path.stat().st_mode) for path in directories}
    try:
        for path, mode in modes.items():
            path.chmod(mode & stat.S_IRWXU)
        yield
    finally:
        for path, mode in modes.items():
            path.chmod(mode)


def _refuse_open_socket(path: Path) -> None:
    if path.is_socket() and path.stat().st_mode & stat.S_IWOTH:
        raise TrustError(
            "every user may use the docker socket, so a child process cannot be sealed",
            "Use the container seal, or `chmod o-rw` the socket.",
            where=str(path),
        )


def _user_cache(environ: Mapping[str, str]) -> Path:
    base = environ.get("XDG_CACHE_HOME") or str(
        Path(environ.get("HOME", "~")).expanduser() / ".cache"
    )
    cache = Path(base) / "torchproof"
    cache.mkdir(parents=True, exist_ok=True)
    return cache
