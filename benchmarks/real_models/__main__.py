"""Every rule on tiny models of ``transformers``: right code, so each error is a false alarm.

    python -m benchmarks.real_models                      every task, an hour on one core
    python -m benchmarks.real_models --quick              a few models of each task
    python -m benchmarks.real_models --only RoFormer      the classes whose name contains this
    python -m benchmarks.real_models --task causal        one task

Needs ``transformers`` in the environment that runs it; nothing is downloaded, the models are made
from configurations. Release 5.12.0 has four real errors (huggingface/transformers#48745): causal
models of RoFormer, RemBert, MegatronBert and BigBird that see the tokens they are to give. Release
5.23.0 has one: in eval mode Autoformer delays the heads of one row by the delays of another, as it
repeats these row after row where the heads of a row stand side by side.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import sys
import warnings
from typing import TYPE_CHECKING, Any

import torch
from benchmarks.real_models.one_model import Outcome, as_row, outcome
from benchmarks.real_models.tasks import TASKS, classes


if TYPE_CHECKING:
    from collections.abc import Iterator
    from multiprocessing.connection import Connection

_LIMIT = 90.0  # seconds for one model
_QUICK = 3  # models of each task


def main() -> int:
    """Prove and print; 1 if a model has an error."""
    options = _options()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    found = []
    for task, kind in _chosen(options):
        found.append(_in_a_process(task, kind))
        print(json.dumps(as_row(found[-1])) if options.json else _line(found[-1]), flush=True)
    if not options.json:
        print(_summary(found))
    return int(any(each.errors for each in found))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.real_models",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--quick", action="store_true", help=f"{_QUICK} models of each task")
    parser.add_argument("--only", default="", metavar="NAME", help="a part of the class's name")
    parser.add_argument("--task", action="append", choices=tuple(TASKS))
    parser.add_argument("--json", action="store_true", help="one JSON document a line")
    return parser.parse_args()


def _chosen(options: argparse.Namespace) -> Iterator[tuple[str, Any]]:
    for task in options.task or TASKS:
        kinds = [each for name, each in classes(task).items() if options.only in name]
        yield from ((task, each) for each in kinds[: _QUICK if options.quick else None])


def _in_a_process(task: str, kind: Any) -> Outcome:
    """Prove in a child, so that no model's memory, crash or endless loop reaches the next."""
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe(duplex=False)
    child = context.Process(target=_answer, args=(theirs, task, kind))
    child.start()
    theirs.close()
    try:
        if ours.poll(_LIMIT):
            return ours.recv()  # type: ignore[no-any-return]
        return Outcome(task, kind.__name__, not_run=f"more than {_LIMIT:.0f} seconds")
    except EOFError:
        return Outcome(task, kind.__name__, not_run="the process ended without an answer")
    finally:
        child.kill()
        child.join()


def _answer(place: Connection, task: str, kind: Any) -> None:
    place.send(outcome(task, kind))


def _line(found: Outcome) -> str:
    if found.not_run:
        return f"{found.task:9} {found.model:45} not run: {found.not_run}"
    numbers = f"{len(found.errors):3} {len(found.warnings):3} {found.seconds:6.1f} s"
    said = [f"    {each}" for each in found.errors]
    said += [f"    waived {each}" for each in found.waived]
    return "\n".join([f"{found.task:9} {found.model:45} {numbers}", *said])


def _summary(found: list[Outcome]) -> str:
    proven = [each for each in found if not each.not_run]
    wrong = sum(bool(each.errors) for each in proven)
    seconds = sum(each.seconds for each in proven)
    return (
        f"{len(proven)} models proven, {wrong} with an error, "
        f"{sum(bool(each.warnings) for each in proven)} with a warning, "
        f"{sum(bool(each.waived) for each in proven)} with a waived error, "
        f"{len(found) - len(proven)} not run, {seconds:.0f} s"
    )


if __name__ == "__main__":
    sys.exit(main())
