"""What git complains about, and what follows: try again, give up, or look elsewhere.

The refusals worth another try are too many to list (``fetch first``, ``non-fast-forward``, ``failed
to update ref``, a reset while fetching, …), so those that are final are listed instead.
"""

from __future__ import annotations

import re

from torchproof.errors import HistoryError


MAX_TEXT = 300

_FINAL = re.compile(
    r"hook declined|protected branch|GH006|GH013|error: 40[13]\b|Permission to .* denied"
    r"|Permission denied|insufficient permission|hidden ref|read-only"
    r"|Authentication failed|could not read (?:Username|Password)|[Rr]epository .*not found"
    r"|does not appear to be a git repository|not a git repository|dubious ownership"
    r"|transport .* not allowed|is not a valid (?:ref|repository)|invalid refspec"
)
_UNKNOWN_COMMIT = re.compile(r"not our ref|unadvertised object|couldn't find remote ref")
_REMEDIES = (
    (r"GH006|GH013|hook declined|protected branch", "Exempt the history branch from the rule."),
    (
        r"error: 403|Permission to|[Pp]ermission denied|insufficient permission|read-only",
        "Give the job `permissions: contents: write`.",
    ),
    (
        r"Authentication failed|could not read|error: 401|not found",
        "Check the address and that the token may read the repository.",
    ),
    (r"git repository|dubious", "Check the address of the remote."),
)
_SAID = re.compile(
    r"^\s*(?:fatal: |error: |remote: (?:fatal: |error: )?|! )(?P<text>.*\S)", re.MULTILINE
)


class GitError(HistoryError):
    """A git command that failed, in git's words less every secret.

    Attributes:
        verb: The command, such as ``push``.
        code: Its exit status, negative for a signal.
        final: True if trying again cannot help.
        unknown_commit: True if the remote answered, and has no such commit or ref.
    """

    def __init__(self, verb: str, code: int, output: str) -> None:
        self.verb = verb
        self.code = code
        self.unknown_commit = bool(_UNKNOWN_COMMIT.search(output))
        self.final = self.unknown_commit or bool(_FINAL.search(output))
        remedy = next((text for cause, text in _REMEDIES if re.search(cause, output)), "")
        super().__init__(f"git {verb} failed: {_gist(output) or f'exit status {code}'}", remedy)


def _gist(output: str) -> str:
    """Say in one printable line what git and the remote complained about."""
    said = [match["text"] for match in _SAID.finditer(output)] or output.split("\n")[:1]
    line = "; ".join(dict.fromkeys(said)).strip(" .")
    return "".join(letter if letter.isprintable() else " " for letter in line)[:MAX_TEXT]
