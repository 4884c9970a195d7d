"""The job's log and the step's files, as GitHub's runner reads them."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from torchproof.hub import runner_files
from torchproof.run.defuse import Defuser, defuse, fence_token, resume_commands, stop_commands


if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from torchproof.hub.hub import Annotation


class RunnerConsole:
    """Writes to the log and to the files that the runner names in ``environ``.

    While a group is open the runner obeys no command, and what the code under test prints is
    defused on top of that: a fence holds only as long as nobody guesses its token.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._log = sys.stdout.buffer
        self._defuser = Defuser()

    def say(self, text: str) -> None:
        """Print a sentence of ours; names in it may be somebody else's."""
        for line in text.splitlines():
            self._write(f"torchproof: {defuse(line)}\n".encode())

    def show(self, data: bytes) -> None:
        """Print what the code under test has written."""
        self._write(self._defuser.feed(data))

    @contextmanager
    def group(self, title: str) -> Iterator[None]:
        """Fold what is printed meanwhile under a title."""
        token = fence_token()
        self._write(f"::group::{defuse(title)}\n".encode() + stop_commands(token))
        try:
            yield
        finally:
            self._write(self._defuser.close() + resume_commands(token) + b"::endgroup::\n")

    def annotate(self, annotations: Sequence[Annotation]) -> None:
        """Mark lines of the code in the run's summary."""
        self._write(runner_files.annotation_lines(annotations).encode())

    def summarise(self, markdown: str) -> None:
        """Show the report on the run's page."""
        runner_files.write_summary(self._environ, markdown)

    def output(self, outputs: Mapping[str, str]) -> None:
        """Hand values to later steps."""
        runner_files.write_outputs(self._environ, outputs)

    def _write(self, data: bytes) -> None:
        if data:
            self._log.write(data)
            self._log.flush()
