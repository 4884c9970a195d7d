"""The verdict: pure functions on run records, without clock, network or disk.

`judge` holds a head against its baseline and says row by row what is failed, worse, undecided,
unchanged or new. It is imported by the action side only, and imports nothing that acts.
"""

from torchproof.verdict.judge import judge
from torchproof.verdict.model import GATING, STATES, Row, Verdict, Waiting


__all__ = ["GATING", "STATES", "Row", "Verdict", "Waiting", "judge"]
