"""What the rules of one proof share: fresh trainees, a reference run, one observation, the cost."""

from __future__ import annotations

from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import cached_property
from math import isnan
from typing import TYPE_CHECKING, Any, Callable, Optional, TypeVar, Union

from torchproof.errors import UsageError
from torchproof.proofs.finding import Cost, listed
from torchproof.proofs.process.compiled import interpreted
from torchproof.proofs.process.isolation import untouched
from torchproof.proofs.process.seeds import fix_seed
from torchproof.proofs.rule import Skip
from torchproof.proofs.step.checkpoints import Checkpoints
from torchproof.proofs.step.observation import Observation
from torchproof.proofs.step.observe import observe
from torchproof.proofs.step.optimizers import optimizer_hooks, optimizers_built
from torchproof.proofs.step.trial import Trial, parameters
from torchproof.proofs.tensors.bits import different, distance
from torchproof.proofs.trainee import Trainee


if TYPE_CHECKING:
    from collections.abc import Iterator

    import torch

Result = TypeVar("Result")

# Three updates: with zero-initialised branches (LoRA, ReZero) and warm-up from 0, the first update
# of some parameters comes only with the second or third.
CALLS = 3
# A step that accumulates gradients updates on every n-th call only; two updates are waited for.
MOST_CALLS = 8
_UPDATES = 2


@dataclass(frozen=True)
class Run:
    """What some calls of the step led to: losses, final state, number of optimizer steps."""

    losses: list[float]
    state: dict[str, torch.Tensor]
    updates: int


class Bench:
    """One ``build`` at one seed, and everything that was found out about it so far.

    Each trial starts from a fresh build at the same seed and leaves no trace.
    """

    def __init__(self, build: Callable[[], Trainee], seed: int) -> None:
        if not callable(build):
            what = f"build is of the type {type(build).__name__}, not a function"
            raise UsageError(what, "Pass the function itself: build, and not build().")
        self.seed = seed
        self.build = build
        self.cost = Cost()
        self._first: Union[Trainee, None] = None
        self._known: dict[Any, Any] = {}

    @contextmanager
    def trial(self, seed: Optional[int] = None, *, compiled: bool = False) -> Iterator[Trial]:
        """Give a fresh trainee for the block, from the bench's seed or another.

        Models that are compiled run as they are written, unless ``compiled`` asks for them.
        """
        __tracebackhide__ = True
        with untouched(), fix_seed(self.seed if seed is None else seed):
            with optimizers_built() as optimizers:
                self.cost.builds += 1
                trainee = self.build()
            self._check(trainee)
            with nullcontext() if compiled else interpreted(trainee):
                yield Trial(trainee, optimizers, self.cost)

    @cached_property
    def reference(self) -> Run:
        """The undisturbed run: three calls of the step, more if gradients are accumulated."""
        __tracebackhide__ = True
        return self.run(lambda trial, updates: len(trial.losses) < _calls(updates))

    @cached_property
    def trainee(self) -> Trainee:
        """The first trainee built, for what it declares; its model has been used."""
        self.reference  # noqa: B018 - building is what is wanted
        if self._first is None:
            raise AssertionError
        return self._first

    @property
    def observation(self) -> Observation:
        """What the step did in as many calls as the reference run has.

        Raises:
            Skip: The step runs, but not while it is watched.
        """
        if isinstance(self._observed, Skip):
            raise self._observed
        return self._observed

    def run(self, more: Callable[[Trial, int], bool]) -> Run:
        """Run the step on a fresh trainee while ``more(trial, optimizer steps so far)``."""
        __tracebackhide__ = True
        updates: list[Any] = []
        with self.trial() as trial, optimizer_hooks(after=updates.append):
            while more(trial, len(updates)):
                trial.step()
            return Run(trial.losses, trial.state(), len(updates))

    def once(self, experiment: Callable[[Bench], Result]) -> Result:
        """Return what an experiment on this bench finds; several rules share one run of it.

        Raises:
            Skip: It cannot be made.
        """
        if experiment not in self._known:
            try:
                self._known[experiment] = experiment(self)
            except Skip as why_not:
                self._known[experiment] = why_not
        if isinstance(self._known[experiment], Skip):
            raise Skip(str(self._known[experiment]))
        found: Result = self._known[experiment]
        return found

    def require(self, needs: tuple[str, ...]) -> None:
        """Check what a rule needs.

        Raises:
            Skip: The trainee does not offer it.
        """
        for need in needs:
            reason = self.reason_against(need)
            if reason:
                raise Skip(reason)

    def reason_against(self, need: str) -> str:
        """Say why a need is not met; empty if it is.

        Args:
            need: ``observation`` (the step can be watched), ``optimizer`` (a torch optimizer is
                known), ``updates`` (it stepped twice), ``predict`` (something can be predicted) or
                ``reproducible`` (the step gives the same bits from the same seed).
        """
        reason: str = getattr(self, f"_why_no_{need}")
        return reason

    def differs(self, losses: list[float]) -> bool:
        """Tell whether these losses are others than the reference run's; NaN equals NaN."""
        pairs = zip(self.reference.losses, losses)
        agree = all(first == second or (isnan(first) and isnan(second)) for first, second in pairs)
        return not agree or len(losses) != len(self.reference.losses)

    @cached_property
    def _observed(self) -> Union[Observation, Skip]:
        calls = len(self.reference.losses)
        try:
            with Checkpoints().watched() as resumptions, self.trial() as trial:
                with observe(trial) as seen:
                    for _ in range(calls):
                        trial.step()
                seen.resumptions = resumptions
        except Exception as error:  # noqa: BLE001 - the same step has just run: the watching is to blame
            return Skip(f"the step cannot be watched ({type(error).__name__}: {error})")
        return seen

    @cached_property
    def _why_no_reproducible(self) -> str:
        seen = self._observed
        if isinstance(seen, Observation) and not self._change(seen.trial.losses, seen.after):
            return ""
        again = self.run(lambda trial, _: len(trial.losses) < len(self.reference.losses))
        change = self._change(again.losses, again.state)
        return f"the step is not reproducible from the seed: {change}" if change else ""

    @cached_property
    def _why_no_observation(self) -> str:
        return str(self._observed) if isinstance(self._observed, Skip) else ""

    @cached_property
    def _why_no_optimizer(self) -> str:
        if self._why_no_observation or self.observation.optimizers:
            return self._why_no_observation
        return "no torch optimizer was built or stepped; give Trainee the optimizer"

    @cached_property
    def _why_no_updates(self) -> str:
        updates, calls = self.reference.updates, len(self.reference.losses)
        enough = updates >= _UPDATES
        return "" if enough else f"the optimizer stepped {updates} time(s) in {calls} calls"

    @cached_property
    def _why_no_predict(self) -> str:
        try:
            with self.trial() as trial:
                trial.step()
                trial.predict()
        except Skip as reason:
            return str(reason)
        return ""

    def _change(self, losses: list[float], state: dict[str, torch.Tensor]) -> str:
        """Say how a run differs from the reference; empty if it does not."""
        reference = self.reference
        names = different(reference.state, state)
        if names:
            gap = distance(
                reference.state[names[0]], state.get(names[0], reference.state[names[0]])
            )
            return f"{listed(names)} differ (by {gap:.3g}) after {len(losses)} calls"
        if self.differs(losses):
            return f"the losses are {reference.losses}, then {losses}"
        return ""

    def _check(self, trainee: Any) -> None:
        if not isinstance(trainee, Trainee):
            what = f"build returned a {type(trainee).__name__}, not a torchproof.Trainee"
            raise UsageError(what, "End it with `return torchproof.Trainee(model=..., ...)`.")
        if self._first is None:
            self._first = trainee
            self.cost.device = _device(trainee)
            return
        earlier = {id(each) for each in parameters(self._first).values() if each.requires_grad}
        shared = [name for name, each in parameters(trainee).items() if id(each) in earlier]
        if shared:
            what = f"build returned the same {shared[0]} twice, so that the trainee is not fresh"
            raise UsageError(what, "Make the model and the optimizer inside build.")


def _calls(updates: int) -> int:
    return CALLS if updates >= _UPDATES else MOST_CALLS


def _device(trainee: Trainee) -> str:
    return next((str(each.device) for each in parameters(trainee).values()), "cpu")
