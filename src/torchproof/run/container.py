"""The seal as a sibling container, started through the docker socket that the runner mounts.

A Docker action has no GPU, 64 MiB of shared memory and no volume that survives; its sibling gets
all three, and none of the token, the socket, the runner's files and root. The kernel ends it with
us: it lives in our PID namespace, and when PID 1 of a namespace dies everything in it is killed. In
that shared namespace only the difference of user id keeps ``/proc/1/environ`` closed, so where
root owns the workspace the tests run as another user on a copy.

On a host, where no container is ours, paths are host paths and the image must be named; a run that
dies there leaves a container with the label `RUN_LABEL`.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import tempfile
import threading
import time
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from torchproof.errors import HostError
from torchproof.run import scratch
from torchproof.run.clean_git import (
    copy_metadata,
    copy_workspace,
    persisted_secrets,
    repositories,
)
from torchproof.run.process import GRACE
from torchproof.run.scratch import SEALED_USER, Owner, owner_of, scratch_of
from torchproof.run.seal import Completed
from torchproof.run.sibling import INSIDE, Sibling, bind, description, owned_directory, signed


if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from torchproof.run.clean_git import Repository
    from torchproof.run.engine import Engine
    from torchproof.run.seal import Command

RUN_LABEL = "torchproof.run"
CACHE_VOLUME = "torchproof-cache"
_SHARED_DIRECTORIES = ("/github/runner_temp", "/github/workflow", "/github/home")


class ContainerSeal:
    """Runs commands, one at a time, in sibling containers of one workspace, home and cache.

    Args:
        engine: The docker engine.
        workspace: The checkout, as this process sees it; the same path inside.
        run_id: Names the scratch directory and the containers' label; never used before.
        lay_plugin: Fills the plugin directory, which is read only inside.
        image: The image to run; our own when None.
        env: What each command's environment holds beside its own variables.
        memory: Bytes of memory, without swap; None is no limit.
        network: A docker network; None is our own.
        cache_volume: The named volume that survives the job.
        environ: Where RUNNER_TEMP is looked up.

    ``secret_keys`` names the git configuration that was kept from the tests: a persisted token.
    """

    name = "container"

    def __init__(
        self,
        engine: Engine,
        *,
        workspace: Path,
        run_id: str,
        lay_plugin: Callable[[Path], None] | None = None,
        image: str | None = None,
        env: Mapping[str, str] | None = None,
        memory: int | None = None,
        network: str | None = None,
        cache_volume: str = CACHE_VOLUME,
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        me = engine.me()
        image = image or (me.image if me else None)
        if image is None:
            raise HostError("the tests' container needs an image", "Name one with `image:`.")
        if image != getattr(me, "image", None):
            engine.pull(image)
        self._engine = engine
        self._run_id = run_id
        self._closed = False
        self._heir = owner_of(workspace)
        owner = self._heir if self._heir.uid else Owner(uid=SEALED_USER, gid=SEALED_USER)
        self._sibling = Sibling(
            me=me,
            image=image,
            owner=owner,
            workspace=PurePosixPath(workspace),
            labels={**(me.labels if me else {}), RUN_LABEL: run_id},
            env=dict(env or {}),
            memory=memory,
            network=network,
        )
        self._cache_volume = cache_volume
        self.secret_keys = persisted_secrets(workspace)
        parent = shared_directory(engine, environ)
        self._scratch = scratch.lay_out(parent, run_id, owner=owner, lay_plugin=lay_plugin)
        if owner != self._heir:
            self._copy(workspace)
        self.workspace = PurePosixPath(workspace)
        self.plugin = INSIDE / "plugin"
        self.results = INSIDE / "results"
        self.cache = INSIDE / "cache"
        self.results_here = self._scratch.results

    def run(self, command: Command, *, on_output: Callable[[bytes], None]) -> Completed:
        """Run the program in a fresh container; see `Seal.run`."""
        try:
            return self._run_in_container(command, on_output)
        except HostError as error:
            # `close` in a signal handler takes the container away from under its run.
            if self._closed:
                return Completed(exit_code=-signal.SIGKILL, seconds=0.0)
            # Pinned memory for InfiniBand is worth a try; a rootless engine may not lift the limit.
            if not (self._sibling.lift_memlock and "setting rlimit" in error.what):
                raise
        self._sibling = replace(self._sibling, lift_memlock=False)
        return self._run_in_container(command, on_output)

    def close(self) -> None:
        """End and remove every container of this run, then the scratch directory."""
        self._closed = True
        try:
            _remove_containers(self._engine, self._run_id)
        finally:
            scratch.remove(self._scratch, heir=self._heir)

    def _run_in_container(self, command: Command, on_output: Callable[[bytes], None]) -> Completed:
        mounts = [*self._own_mounts(), *self._workspace_mounts()]
        container = self._engine.create(description(self._sibling, command, mounts))
        try:
            if self._closed:
                raise HostError("the seal is closed")
            return self._run_to_end(container, command.timeout, on_output)
        finally:
            _remove(self._engine, container)
            scratch.keep_plain_files(self.results_here)

    def _run_to_end(
        self, container: str, timeout: float | None, on_output: Callable[[bytes], None]
    ) -> Completed:
        started = time.monotonic()
        # A fresh volume belongs to root; unpacking over it gives it to whom the tests run as.
        self._engine.put(container, INSIDE, owned_directory("cache", self._sibling.owner))
        output = self._engine.attach(container)
        self._engine.start(container)
        with _deadline(self._engine, container, timeout) as timed_out:
            for data in output:
                on_output(data)
            code = self._engine.wait(container)
        state = self._engine.inspect(container)["State"]
        return Completed(
            exit_code=signed(code),
            seconds=time.monotonic() - started,
            timed_out=timed_out.is_set(),
            out_of_memory=bool(state["OOMKilled"]) and code != 0,
        )

    def _copy(self, workspace: Path) -> None:
        try:
            copy_workspace(workspace, self._scratch.workspace)
            scratch.give(self._scratch.workspace, self._sibling.owner)
        except BaseException:
            self.close()
            raise

    def _own_mounts(self) -> Iterator[dict[str, Any]]:
        yield self._bind(self._scratch.plugin, self.plugin, read_only=True)
        for path in (self._scratch.results, self._scratch.home, self._scratch.tmp):
            yield self._bind(path, INSIDE / path.name)
        yield {"Type": "volume", "Source": self._cache_volume, "Target": str(self.cache)}

    def _workspace_mounts(self) -> Iterator[dict[str, Any]]:
        if self._scratch.workspace.exists():
            yield self._bind(self._scratch.workspace, self.workspace)
            return
        yield self._bind(Path(self.workspace), self.workspace)
        # Looked for anew: a command may move a directory, and what it holds, from under its cover.
        shutil.rmtree(self._scratch.git, ignore_errors=True)
        for number, repository in enumerate(list(repositories(Path(self.workspace)))):
            yield from self._cover(repository, self._scratch.git / str(number))

    def _cover(self, repository: Repository, copy: Path) -> Iterator[dict[str, Any]]:
        """Put a clean copy over a git directory; a ``.git`` file is led to its copy instead."""
        copy_metadata(repository, copy)
        scratch.give(copy, self._sibling.owner)
        place = PurePosixPath(repository.entry)
        if repository.entry.is_file():
            place = INSIDE / "git" / copy.name
            pointer = copy.with_suffix(".pointer")
            pointer.write_text(f"gitdir: {place}\n", encoding="utf-8")
            scratch.give(pointer, self._sibling.owner)
            yield self._bind(pointer, PurePosixPath(repository.entry), read_only=True)
        yield self._bind(copy, place)
        if repository.objects.is_dir():
            yield self._bind(repository.objects.resolve(), place / "objects", read_only=True)

    def _bind(
        self, source: Path, target: PurePosixPath, *, read_only: bool = False
    ) -> dict[str, Any]:
        return bind(self._engine.host_path(source), target, read_only=read_only)


def sweep(engine: Engine, run_id: str, *, environ: Mapping[str, str] = os.environ) -> None:
    """Remove what a run left that could not close its seal; for a clean-up step."""
    _remove_containers(engine, run_id)
    parent = shared_directory(engine, environ)
    scratch.remove(scratch_of(parent, run_id), heir=owner_of(parent))


def shared_directory(engine: Engine, environ: Mapping[str, str]) -> Path:
    """Find a directory for our files that the host can see too.

    Runners older than autumn 2025 do not mount ``/github/runner_temp``; any of the others will do.
    """
    wanted = (environ.get("RUNNER_TEMP", ""), *_SHARED_DIRECTORIES, tempfile.gettempdir())
    for path in (Path(name) for name in wanted if name and Path(name).is_dir()):
        with contextlib.suppress(HostError):
            engine.host_path(path)
            return path
    raise HostError(
        "no directory of this container is shared with the host",
        "Mount one and name it in RUNNER_TEMP, for example `-v /tmp/work:/tmp/work`.",
    )


def _remove_containers(engine: Engine, run_id: str) -> None:
    for container in engine.list({RUN_LABEL: run_id}):
        _remove(engine, container["Id"])


def _remove(engine: Engine, container: str) -> None:
    # It may be gone, or going, by somebody else's hand; what stays is labelled for the next sweep.
    with contextlib.suppress(HostError):
        engine.remove(container, force=True)


@contextlib.contextmanager
def _deadline(engine: Engine, container: str, timeout: float | None) -> Iterator[threading.Event]:
    """End the container when the time is up; the event says that it was."""
    passed = threading.Event()

    def end(name: str) -> None:
        passed.set()
        with contextlib.suppress(HostError):
            engine.kill(container, name)

    timers = []
    if timeout is not None:
        timers.append(threading.Timer(timeout, end, ["SIGTERM"]))
        timers.append(threading.Timer(timeout + GRACE, end, ["SIGKILL"]))
    for timer in timers:
        timer.daemon = True
        timer.start()
    try:
        yield passed
    finally:
        for timer in timers:
            timer.cancel()
