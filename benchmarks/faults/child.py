"""The process that runs programs: one JSON line on standard output for each tool and side.

    python -m benchmarks.faults.child CASE[,CASE] TOOL[,TOOL]

A program may leave torch's switches changed or end the interpreter, so programs run in processes
apart from the one that counts.
"""

from __future__ import annotations

import json
import sys
import time
import warnings
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from benchmarks.faults.case import Case, cases
from benchmarks.faults.tools import TOOLS, Said


if TYPE_CHECKING:
    from collections.abc import Iterator

    from torchproof import Trainee


def measured(case: Case, tools: list[str]) -> Iterator[dict[str, Any]]:
    """Let the tools judge both sides of a case."""
    for right in (False, True):
        build = partial(case.build, right=right)
        for tool in tools:
            _switch_back()
            start = time.perf_counter()
            said = _said(tool, build)
            seconds = time.perf_counter() - start
            yield {
                "case": case.name,
                "right": right,
                "tool": tool,
                "caught": said.caught,
                "named": said.caught and bool(set(said.rules) & set(case.rules)),
                "hinted": bool(set(said.hints) & set(case.rules)),
                "rules": said.rules,
                "words": said.words,
                "seconds": round(seconds, 4),
                "step_seconds": _plain_step(build),
            }


def _said(tool: str, build: partial[Trainee]) -> Said:
    try:
        return TOOLS[tool](build)
    except Exception as error:  # noqa: BLE001 - a program that crashes under a tool is a result
        return Said(caught=True, rules=("crash",), words=f"{type(error).__name__}: {error}")


def _plain_step(build: partial[Trainee]) -> float:
    """Return the seconds of one step without any tool, the second of two."""
    _switch_back()
    try:
        trainee = build()
        for _ in range(2):
            start = time.perf_counter()
            trainee.step({name: value.clone() for name, value in trainee.batch.items()})
    except Exception:  # noqa: BLE001 - what a wrong program raises is reported by the tools
        return 0.0
    return round(time.perf_counter() - start, 6)


def _switch_back() -> None:
    torch.set_default_dtype(torch.float32)
    torch.set_grad_enabled(True)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    torch.set_warn_always(True)
    known = cases()
    for name in sys.argv[1].split(","):
        for line in measured(known[name], sys.argv[2].split(",")):
            print(json.dumps(line), flush=True)
