"""From evidence to points: pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from torchproof.score.criteria import CRITERIA, SECTIONS, Criterion


if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torchproof.score.evidence import Evidence

BY_HAND = 0.5
AUTOMATIC = 1.0

# The paper's reading of a score, each up to and including its bound.
_READINGS = (
    (0.0, "a research project rather than a product"),
    (1.0, "not untested, with serious holes to be expected"),
    (2.0, "a first pass at production, more is needed"),
    (3.0, "reasonably tested, more could be automated"),
    (5.0, "strong automated testing, fit for systems that matter"),
    (float("inf"), "exceptional"),
)


@dataclass(frozen=True, kw_only=True)
class Rated:
    """A criterion with its points, and where the evidence for it lies."""

    criterion: Criterion
    points: float
    places: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Score:
    """What became of the 28 criteria.

    Attributes:
        rated: All of them, in the paper's order.
        sections: Points by section, of 7 each.
    """

    rated: tuple[Rated, ...]
    sections: Mapping[str, float]

    @property
    def points(self) -> float:
        """The score: the lowest section's points."""
        return min(self.sections.values())

    @property
    def reading(self) -> str:
        """What the paper takes such a score for, in our words."""
        return next(words for bound, words in _READINGS if self.points <= bound)

    @property
    def raises(self) -> tuple[Rated, ...]:
        """What would raise the score: the open criteria of the lowest sections."""
        lowest = [name for name, points in self.sections.items() if points == self.points]
        return tuple(
            each
            for each in self.rated
            if each.criterion.section in lowest and each.points < _most(each.criterion)
        )


def rate(found: Sequence[Evidence], declared: Mapping[str, str]) -> Score:
    """Give points.

    A criterion that torchproof can settle gets one point where a test for it runs in a workflow,
    and half a point where it has to be run by hand. One that it settles in part gets half a point,
    and the whole one if a document is named for the rest. The others get half a point for a
    document.

    Args:
        found: What the repository shows.
        declared: Documents by criterion, as the team names them; only those that exist.
    """
    rated = tuple(_rated(criterion, found, criterion.id in declared) for criterion in CRITERIA)
    sections = {
        name: sum(each.points for each in rated if each.criterion.section == name)
        for name in SECTIONS
    }
    return Score(rated=rated, sections=sections)


def _rated(criterion: Criterion, found: Sequence[Evidence], documented: bool) -> Rated:  # noqa: FBT001 - private
    places = tuple(each.place for each in found if each.kind in criterion.evidence)
    automatic = any(each.kind == "workflow" for each in found)
    points = 0.0
    if places:
        points = AUTOMATIC if criterion.whole and automatic else BY_HAND
    if documented:
        points = min(points + BY_HAND, _most(criterion))
    return Rated(criterion=criterion, points=points, places=places)


def _most(criterion: Criterion) -> float:
    return AUTOMATIC if criterion.evidence else BY_HAND
