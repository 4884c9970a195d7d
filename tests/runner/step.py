"""One step of a job: the docker client that runs it, its end or its cancellation.

The times are those of actions/runner (ProcessInvoker.cs): SIGINT, 7.5 s later SIGTERM, 2.5 s later
the docker client is killed, and nobody stops a container that is then still there.
"""

from __future__ import annotations

import signal
import subprocess
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.runner.commands import obeyed
from tests.runner.files import FileCommandError, read_pairs, read_summary


if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tests.runner.commands import Command
    from tests.runner.harness import FakeRunner

SIGINT_TIMEOUT = 7.5
SIGTERM_TIMEOUT = 2.5


@dataclass(frozen=True)
class Result:
    """What the runner knows of a step that is over, and what it left on the machine.

    ``outputs``, ``state`` and ``env`` come from the file commands, and ``errors`` says what the
    runner refused of these; ``commands`` are those of the log that it obeyed. ``leftovers`` are
    containers, ``root_owned`` paths in the workspace. ``client_killed`` is the mark of a step that
    outlived its cancellation.
    """

    exit_code: int
    seconds: float
    log: str
    commands: tuple[Command, ...]
    outputs: Mapping[str, str]
    state: Mapping[str, str]
    env: Mapping[str, str]
    summary: str
    errors: tuple[str, ...]
    leftovers: tuple[str, ...]
    root_owned: tuple[str, ...]
    client_killed: bool = False


@dataclass
class Step:
    """A step that runs: the docker client and the files it writes."""

    runner: FakeRunner
    client: subprocess.Popen[bytes]
    files: Mapping[str, Path]
    log: Path
    started: float = field(default_factory=time.monotonic)

    def wait_for(self, text: str, timeout: float = 30.0) -> None:
        """Wait until the log has the text."""
        deadline = time.monotonic() + timeout
        while text not in self.output():
            if time.monotonic() > deadline or self.client.poll() is not None:
                raise AssertionError(f"{text!r} never came:\n{self.output()}")
            time.sleep(0.05)

    def output(self) -> str:
        return self.log.read_text("utf-8", errors="replace")

    def wait(self, timeout: float = 240.0) -> Result:
        """Wait for the step's end."""
        self.client.wait(timeout)
        return self._result(client_killed=False)

    def cancel(self) -> Result:
        """Cancel as the runner does: SIGINT, 7.5 s later SIGTERM, 2.5 s later end the client."""
        ladder = ((signal.SIGINT, SIGINT_TIMEOUT), (signal.SIGTERM, SIGTERM_TIMEOUT))
        for number, patience in ladder:
            self.client.send_signal(number)
            try:
                self.client.wait(patience)
            except subprocess.TimeoutExpired:
                continue
            return self._result(client_killed=False)
        self.client.kill()
        self.client.wait()
        return self._result(client_killed=True)

    def _result(self, *, client_killed: bool) -> Result:
        seconds = time.monotonic() - self.started
        values, errors = self._file_commands()
        return Result(
            exit_code=self.client.returncode,
            seconds=seconds,
            log=self.output(),
            commands=tuple(obeyed(self.output())),
            outputs=values["GITHUB_OUTPUT"],
            state=values["GITHUB_STATE"],
            env=values["GITHUB_ENV"],
            summary=values["GITHUB_STEP_SUMMARY"],
            errors=tuple(errors),
            leftovers=self.runner.leftovers(),
            root_owned=self.runner.root_owned(),
            client_killed=client_killed,
        )

    def _file_commands(self) -> tuple[dict[str, Any], list[str]]:
        values: dict[str, Any] = {}
        errors = []
        for name, path in self.files.items():
            is_summary = name == "GITHUB_STEP_SUMMARY"
            data = path.read_bytes()
            try:
                values[name] = read_summary(data) if is_summary else read_pairs(data.decode())
            except FileCommandError as error:
                values[name] = "" if is_summary else {}
                errors.append(str(error))
        return values, errors
