"""One event being dealt with, and everything outside that this touches."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from torchproof.errors import HistoryError, HubError


if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager
    from datetime import datetime
    from pathlib import Path

    from torchproof.history.store import History
    from torchproof.hub.hub import Annotation, Hub
    from torchproof.plan import Event, Plan
    from torchproof.run.lease import Lease
    from torchproof.run.seal import Seal
    from torchproof.settings import Inputs, Settings


class Console(Protocol):
    """Where words go beside GitHub: the job's log, its summary, the step's outputs."""

    def say(self, text: str) -> None:
        """Print a sentence of ours."""

    def show(self, data: bytes) -> None:
        """Print what the code under test has written; hostile."""

    def group(self, title: str) -> AbstractContextManager[None]:
        """Fold what is printed meanwhile under a title."""

    def annotate(self, annotations: Sequence[Annotation]) -> None:
        """Mark lines of the code."""

    def summarise(self, markdown: str) -> None:
        """Show the report beside the log."""

    def output(self, outputs: Mapping[str, str]) -> None:
        """Hand values to later steps."""


class OpenSeal(Protocol):
    """Opens a sealed place."""

    def __call__(self, settings: Settings, /, *, workspace: Path = ...) -> Seal:
        """Open it for the workspace, or for another one than the action's."""


@dataclass(frozen=True, kw_only=True)
class Outside:
    """Everything the action touches.

    Attributes:
        workspace: The checkout.
        hub: The repository on GitHub, or what stands in for it.
        open_history: Opens the history on a branch.
        open_seal: Opens the sealed place where the tests of a workspace run; of ours by default.
        lease: Holds a GPU while its context lasts.
        clock: The present, with a time zone.
        scratch: Where further workspaces can be laid out; the system's place for None.
    """

    workspace: Path
    hub: Hub
    console: Console
    open_history: Callable[[str], History]
    open_seal: OpenSeal
    lease: Callable[[], AbstractContextManager[Lease]]
    clock: Callable[[], datetime]
    scratch: Callable[[], Path | None] = lambda: None


@dataclass(frozen=True, kw_only=True)
class Case:
    """One event being dealt with; ``troubles`` collects what could not be reported."""

    event: Event
    inputs: Inputs
    settings: Settings
    plan: Plan
    outside: Outside
    troubles: list[str] = field(default_factory=list)

    @property
    def head_sha(self) -> str:
        """The commit that people see: a pull request's head, not its merge commit."""
        if self.plan.request:
            return self.plan.request.head_sha
        return self.event.pull_request.head_sha if self.event.pull_request else self.event.sha

    @property
    def pull_request(self) -> int | None:
        """The pull request's number."""
        if self.plan.request:
            return self.plan.request.pull_request
        return self.event.pull_request.number if self.event.pull_request else None

    @property
    def base_branch(self) -> str | None:
        """The branch that the change goes to; None when it is not known."""
        if self.plan.request:
            return self.plan.request.base_ref or None
        if self.event.pull_request:
            return self.event.pull_request.base_ref
        return self.event.branch or None

    @property
    def order(self) -> tuple[int, int, int]:
        """The place of this report among all reports; a GPU run's follows its asker's."""
        if self.plan.request:
            return (*self.plan.request.order, 1)
        return self.event.run.number, self.event.run.attempt, 0

    def trouble(self, text: str) -> None:
        """Note what could not be stored or reported."""
        sentence = " ".join(text.split())
        self.troubles.append(sentence)
        self.outside.console.say(f"Not reported: {sentence}")

    @contextmanager
    def reporting(self) -> Iterator[None]:
        """Note what cannot be stored or reported inside the block, and go on behind it."""
        try:
            yield
        except (HubError, HistoryError) as error:
            self.trouble(str(error))
