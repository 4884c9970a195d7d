"""The history: every run record of a repository on a git branch, and the baseline among them.

`History` stores and reads records, `find` answers what a commit is compared with and why,
`compact` keeps the branch small. All git runs in `torchproof.history.git`, on bare repositories in
a temporary directory; the user's checkout is at most fetched from.
"""

from torchproof.history.baseline import Baseline, find
from torchproof.history.compaction import compact
from torchproof.history.snapshot import Damaged
from torchproof.history.store import BRANCH, Appended, History


__all__ = ["BRANCH", "Appended", "Baseline", "Damaged", "History", "compact", "find"]
