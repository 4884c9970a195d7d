"""The step once more in float64: rounding shrinks by 2**-29, what is real does not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Optional

from torchproof.proofs.prediction.replacement import Unrounded, widen
from torchproof.proofs.step.trial import parameters
from torchproof.proofs.step.updates import Update, watch_updates


if TYPE_CHECKING:
    from torchproof.proofs.bench import Bench

# Half way, in powers of two, between no shrinking and that of rounding.
SHRINKS = 2.0**-14


class Promoted:
    """The updates of a run in float64 and the ids of its parameters by name."""

    def __init__(self, updates: list[Update], ids: dict[str, int]) -> None:
        self.updates = updates
        self.ids = ids

    def gradient(self, name: str) -> float:
        """Return the largest gradient that a parameter had at an update."""
        moves = [update.moves.get(self.ids[name]) for update in self.updates]
        return max((move.gradient for move in moves if move is not None), default=0.0)

    def moved(self, name: str) -> bool:
        """Tell whether most elements with a gradient moved."""
        moves = [update.moves.get(self.ids[name]) for update in self.updates]
        seen = [move for move in moves if move is not None]
        return any(2 * move.still < move.elements for move in seen)


def promoted(bench: Bench) -> Optional[Promoted]:
    """Run the step in float64; None where it cannot be run in it."""
    try:
        with bench.trial() as trial:
            trial.trainee.batch = widen(trial, trial.trainee.batch)
            ids = {name: id(each) for name, each in parameters(trial.trainee).items()}
            with watch_updates(trial) as log, Unrounded():
                for _ in bench.reference.losses:
                    trial.step()
            return Promoted(log.updates, ids)
    except Exception:  # noqa: BLE001 - the user's code need not work in another precision
        return None
