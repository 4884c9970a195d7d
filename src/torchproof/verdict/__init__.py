"""The verdict: pure functions on run records and numbers, without clock, network or disk.

`judge` holds a head against its baseline and says row by row what is failed, worse, undecided,
unchanged or new. `compare` holds one metric's runs against stored ones and decides on run-to-run
noise, `compare_all` several metrics at one error rate. `detect` finds since when a metric's history
is worse, `confirm` asks fresh runs first, `blame` searches the commit or other cause at the least
number of runs. `unchanged` tells from fingerprints that a run could show nothing new. Only the
action side imports this room, and it imports nothing that acts.
"""

from torchproof.verdict.blame import Blame, blame
from torchproof.verdict.change_point import ChangePoint
from torchproof.verdict.compare import Comparison, compare
from torchproof.verdict.confirm import Trial, confirm
from torchproof.verdict.detect import detect, strays
from torchproof.verdict.family import Samples, compare_all
from torchproof.verdict.judge import judge
from torchproof.verdict.model import GATING, STATES, Row, Verdict, Waiting
from torchproof.verdict.unchanged import Unchanged, unchanged


__all__ = [
    "GATING",
    "STATES",
    "Blame",
    "ChangePoint",
    "Comparison",
    "Row",
    "Samples",
    "Trial",
    "Unchanged",
    "Verdict",
    "Waiting",
    "blame",
    "compare",
    "compare_all",
    "confirm",
    "detect",
    "judge",
    "strays",
    "unchanged",
]
