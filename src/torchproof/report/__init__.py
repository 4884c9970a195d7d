"""The report: a verdict as texts for people, each within its surface's budget.

`compose` makes one `Report` for every surface; `comment`, `summary` and `check` render it as
GitHub's Markdown, `outputs` and `annotate` as data, `terminal` and `page` for a shell. Pure,
except that a user's template is rendered in a child process.
"""

from torchproof.report.annotations import annotate
from torchproof.report.body import body_key
from torchproof.report.model import Context, Report, compose
from torchproof.report.outputs import outputs
from torchproof.report.preview import page
from torchproof.report.render import check, comment, summary
from torchproof.report.terminal import terminal


__all__ = [
    "Context",
    "Report",
    "annotate",
    "body_key",
    "check",
    "comment",
    "compose",
    "outputs",
    "page",
    "summary",
    "terminal",
]
