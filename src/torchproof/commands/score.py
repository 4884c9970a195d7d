"""The command ``torchproof score``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from torchproof import settings
from torchproof.commands.output import as_json, show
from torchproof.errors import ConfigError
from torchproof.score import CRITERIA, SECTIONS, Rated, Score, look, rate


if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

MOST = 7  # criteria of a section
_PLACES = 2


@click.command()
@click.argument("path", type=click.Path(path_type=Path), default=".")
@as_json
def score(path: Path, *, as_json: bool) -> None:
    """Rate a repository against the ML Test Score.

    It has 28 criteria (Breck et al. 2017); the repository is read, and nothing of it is run.
    """
    configured = settings.load(path)
    rated = rate(look(path, configured), _documents(path, configured.score))
    show(_document(rated), "\n".join(_lines(rated)), as_json=as_json)


def _documents(root: Path, declared: Mapping[str, str]) -> dict[str, str]:
    """Return the declared documents.

    Raises:
        ConfigError: A criterion or a document is not there.
    """
    known = {criterion.id for criterion in CRITERIA}
    for criterion, document in declared.items():
        where = f"[tool.torchproof.score] {criterion}"
        if criterion not in known:
            raise ConfigError("there is no such criterion", "See docs/score.md.", where=where)
        if not (root / document).is_file():
            remedy = "Name a file of the repository."
            raise ConfigError(f"there is no file {document!r:.80}", remedy, where=where)
    return dict(declared)


def _document(rated: Score) -> dict[str, Any]:
    return {
        "score": rated.points,
        "reading": rated.reading,
        "sections": dict(rated.sections),
        "criteria": [
            {
                "id": each.criterion.id,
                "text": each.criterion.text,
                "points": each.points,
                "places": list(each.places),
                "remedy": each.criterion.remedy,
            }
            for each in rated.rated
        ],
    }


def _lines(rated: Score) -> Iterator[str]:
    yield f"ML Test Score: {rated.points:g} of {MOST} ({rated.reading})"
    for section in SECTIONS:
        yield f"\n{section}: {rated.sections[section]:g} of {MOST}"
        for each in rated.rated:
            if each.criterion.section == section:
                yield f"  {each.points:3.1f}  {each.criterion.text}{_seen(each)}"
    yield "\nThe score is the lowest section's. What would raise it:"
    for each in rated.raises:
        yield f"  {each.criterion.id}: {each.criterion.text}: {each.criterion.remedy}"


def _seen(each: Rated) -> str:
    shown = ", ".join(each.places[:_PLACES])
    more = len(each.places) - _PLACES
    return f"  [{shown}{f', {more} more' if more > 0 else ''}]" if shown else ""
