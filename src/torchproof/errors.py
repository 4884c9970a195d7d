"""Every error torchproof raises on purpose, as one sentence and one remedy.

TorchproofError                 exit 3
├── UsageError                  exit 2   the call is wrong
│   ├── ConfigError                      a key of [tool.torchproof] or an input
│   ├── RecordError                      a run record that breaks the schema
│   └── TemplateError                    the user's report template
├── HostError                   exit 3   this machine cannot do it: engine, user environment, GPU
├── HistoryError                exit 3   the history branch cannot be read or written
├── HubError                    exit 3   GitHub refused or did not answer
│   └── PermissionMissing                the token lacks a permission
└── TrustError                  exit 4   refused: code that must not run here

A traceback that is none of these is a bug of torchproof.
"""

from __future__ import annotations

from typing import Optional


class TorchproofError(Exception):
    """What is wrong, where, and what to do about it.

    Args:
        what: One sentence, without a full stop.
        remedy: What the reader should do next, as a sentence.
        where: A path, ``path:line`` or key that the sentence is about.
    """

    exit_code = 3

    def __init__(self, what: str, remedy: str = "", *, where: Optional[str] = None) -> None:
        self.what = what
        self.remedy = remedy
        self.where = where
        super().__init__(what)

    def __str__(self) -> str:
        place = f"{self.where}: " if self.where else ""
        remedy = f" {self.remedy}" if self.remedy else ""
        return f"{place}{self.what}.{remedy}"


class UsageError(TorchproofError):
    """The call, the configuration or an input file is wrong."""

    exit_code = 2


class ConfigError(UsageError):
    """A key of ``[tool.torchproof]`` or an action input cannot be used."""


class RecordError(UsageError):
    """A run record or event breaks the schema."""


class TemplateError(UsageError):
    """The user's report template cannot be rendered."""


class HostError(TorchproofError):
    """This machine cannot do what was asked: engine, user environment, GPU."""


class HistoryError(TorchproofError):
    """The history branch cannot be read or written."""


class HubError(TorchproofError):
    """GitHub refused a request or did not answer."""


class PermissionMissing(HubError):  # noqa: N818 - reads as what happened
    """The token lacks a permission; the remedy names the workflow line to add."""


class TrustError(TorchproofError):
    """Refused: this code must not run in this place."""

    exit_code = 4
