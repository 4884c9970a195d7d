"""GitHub: events in; comments, check runs, issues, dispatches and the runner's files out.

The only room that imports PyGithub.
"""

from torchproof.hub.github_hub import GitHub
from torchproof.hub.hub import Annotation, Comment, Conclusion, Dispatched, Hub, Issue, Posted
from torchproof.hub.runner_files import error_line


__all__ = [
    "Annotation",
    "Comment",
    "Conclusion",
    "Dispatched",
    "GitHub",
    "Hub",
    "Issue",
    "Posted",
    "error_line",
]
