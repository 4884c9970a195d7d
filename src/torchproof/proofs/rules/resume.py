"""Training must be able to go on from what is saved."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torchproof.proofs.finding import Finding, listed
from torchproof.proofs.parameters.left_behind import left_behind
from torchproof.proofs.parameters.loaded_schedules import next_rates
from torchproof.proofs.parameters.memories import without_memory
from torchproof.proofs.parameters.unsaved import unsaved
from torchproof.proofs.process.places import defined_at
from torchproof.proofs.rule import rule
from torchproof.proofs.step.optimizers import remembered


if TYPE_CHECKING:
    from collections.abc import Iterator

    from torchproof.proofs.bench import Bench
    from torchproof.proofs.parameters.left_behind import Left
    from torchproof.proofs.parameters.loaded_schedules import NextRates
    from torchproof.proofs.parameters.unsaved import Unsaved
    from torchproof.proofs.step.updates import Update

ID = "resume"


@rule(
    ID,
    summary="training goes on the same after its state_dicts were saved and loaded",
    source="OneTrainer #1604; slime #1547; diffusers #8312",
    needs=("observation", "reproducible", "updates"),
    severity="error",
)
def resume(bench: Bench) -> Iterator[Finding]:
    """What training remembers between steps is in a ``state_dict``, and is loaded again.

    Decided by an experiment, if a step changes a plain attribute or an unsaved buffer of a module,
    an optimizer or the declared scheduler: before the last call those attributes are given the
    values that they have in a fresh object, as after loading a checkpoint. If training then comes
    out with other bits, a resumed run is not the run it resumes: an error for the tensors of an
    optimizer and for moving averages, if something else than they comes out different; a warning
    otherwise (a hidden state may be meant to start anew). A moving average is what a step keeps a
    constant share of, which is tried by giving it other values before the last call. An optimizer's
    last update is also tried with gradients turned round and made small, as one that uses signs
    alone moves the same way for one batch.

    A scheduler with a ``state_dict`` of its own is loaded into a fresh one: the learning rate has
    to go on as that of the first does (error).

    An optimizer that keeps something for its parameters and finds nothing at each of its updates
    is made anew, or emptied, every time (error), unless something else writes to the parameters
    in between, as learners do that start anew on purpose.

    Where ``build`` or the step itself goes on from a checkpoint, each part that was asked for its
    ``state_dict`` is looked at when the model has been loaded and the next update begins with the
    very bits of the checkpoint (error):

    * the optimizer has no state, although the one that was saved had some, was of the same kind and
      had the same arguments. It may begin anew on purpose, so another part of the checkpoint has to
      be restored, or the same line has to step it as before and no update lie in between;
    * a scheduler made the same way is in an earlier epoch, a GradScaler has another scale.

    So is an optimizer without a state whose scheduler was loaded in the midst of a schedule.

    Assumes that objects are saved by their ``state_dict``; models and optimizers that bring one of
    their own, and torch's own, are trusted. Skipped if the step is not reproducible or fewer than
    two optimizer steps were seen.
    """
    rates = next_rates(bench)
    if rates is not None and rates.unbroken != rates.resumed:
        yield _other_schedule(bench, rates)
    left = [each for one in bench.observation.resumptions for each in left_behind(one)]
    if left:
        yield _not_restored(left)
    forgetful = without_memory(bench)
    if forgetful:
        yield _forgetful(forgetful)
    lost = unsaved(bench)
    if lost is not None:
        yield _unsaved(lost)


def _other_schedule(bench: Bench, rates: NextRates) -> Finding:
    kind = type(bench.trainee.scheduler)
    return Finding(
        ID,
        "error",
        f"A resumed run is not the run it resumes: with the state_dict of {kind.__name__} the "
        f"next learning rate is {rates.resumed[0]:.6g}, without a break {rates.unbroken[0]:.6g}.",
        evidence={"saved": listed(rates.saved)},
        location=defined_at(kind.state_dict),
        remedy="leave state_dict to LRScheduler, or save last_epoch and what else get_lr reads",
    )


def _not_restored(left: list[Left]) -> Finding:
    names = listed(list(dict.fromkeys(each.name for each in left)))
    return Finding(
        ID,
        "error",
        f"Training goes on from a checkpoint without the state of {names}: the model is loaded, "
        f"but not {left[0].saved}.",
        evidence={f"{left[0].name} had": left[0].saved, "it has now": left[0].found},
        location=left[0].location,
        remedy="optimizer.load_state_dict(checkpoint['optimizer'])  # and the scheduler's",
    )


def _forgetful(updates: list[Update]) -> Finding:
    optimizer = updates[-1].optimizer
    kind = type(optimizer).__name__
    anew = updates[0].optimizer is not optimizer
    what = f"A new {kind} is made for" if anew else f"The state of {kind} is emptied before"
    return Finding(
        ID,
        "error",
        f"{what} each update: what it remembers ({listed(remembered(optimizer))}) is thrown away "
        f"every time and never used.",
        evidence={"updates": len(updates), "updates that found a state": 0},
        location=updates[-1].location,
        remedy=f"optimizer = {kind}(...)  # once, where the model is made, and not in the step",
    )


def _unsaved(found: Unsaved) -> Finding:
    lost, names, error = found
    grave = any(each.severity == "error" for each in lost)
    come = f"{listed(names) or 'the loss'} come out different"
    return Finding(
        ID,
        "error" if grave else "warning",
        f"A resumed run is not the run it resumes: {listed([each.path for each in lost])} changes "
        f"while training and is not in the state_dict; without it, "
        f"{f'the next step fails ({error})' if error else come}.",
        evidence={"attributes lost": len(lost), "tensors that differ": len(names)},
        location=None,
        remedy="keep it in optimizer.state[parameter], or in a buffer of the module",
    )
