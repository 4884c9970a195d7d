"""The sealed place where the code under test runs: what every backend offers.

Two backends implement `Seal`: a sibling container (`run/container.py`) and a child process under
another uid (`run/child.py`). Paths named *inside* are as the code under test sees them;
`results_here` is the same directory as this process sees it. What is read from there is hostile.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol


if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path, PurePosixPath


@dataclass(frozen=True, kw_only=True)
class Command:
    """One program to run in the seal.

    ``env`` is the whole environment beside what the seal itself sets (HOME, PATH, USER, TMPDIR);
    nothing is inherited. ``timeout`` is in seconds; ``gpu`` is the UUID of a leased device; ``cwd``
    is the workspace unless a directory in it is named.
    """

    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    timeout: float | None = None
    gpu: str | None = None
    cwd: PurePosixPath | None = None


@dataclass(frozen=True, kw_only=True)
class Completed:
    """How the program ended; a negative ``exit_code`` is the signal that ended it."""

    exit_code: int
    seconds: float
    timed_out: bool = False
    out_of_memory: bool = False


class Seal(Protocol):
    """A place that runs commands and gives them nothing they could misuse.

    ``secret_keys`` names the git configuration that was kept from the tests: a persisted token.
    """

    name: str
    workspace: PurePosixPath
    plugin: PurePosixPath
    results: PurePosixPath
    cache: PurePosixPath
    results_here: Path
    secret_keys: tuple[str, ...]

    def run(self, command: Command, *, on_output: Callable[[bytes], None]) -> Completed:
        """Run the program to its end; ``on_output`` gets stdout and stderr as they come."""

    def close(self) -> None:
        """End what still runs and remove what was laid out; may be called twice."""
