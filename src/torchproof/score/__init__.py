"""The ML Test Score of a repository: what of production readiness is tested, and what is not.

E. Breck, S. Cai, E. Nielsen, M. Salib, D. Sculley, "The ML Test Score: A Rubric for ML Production
Readiness and Technical Debt Reduction", IEEE Big Data 2017: 28 criteria in four sections, half a
point for one that is met by hand and documented, one for one that is met automatically and
repeatedly; the score is the *lowest* of the four sections' sums. torchproof can see twelve of them
automatically and nine in part; for the others it takes the word of a document.
"""

from torchproof.score.criteria import CRITERIA, SECTIONS, Criterion
from torchproof.score.evidence import Evidence, look
from torchproof.score.rate import Rated, Score, rate


__all__ = [
    "CRITERIA",
    "SECTIONS",
    "Criterion",
    "Evidence",
    "Rated",
    "Score",
    "look",
    "rate",
]
