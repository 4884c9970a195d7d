"""The tables that say what was found, in Markdown."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING, Any

from benchmarks.faults.classes import CLASSES


if TYPE_CHECKING:
    from collections.abc import Iterable

    from benchmarks.faults.case import Case

Line = dict[str, Any]

_LABELS = {
    "prove": "`torchproof.prove`",
    "overfit": "`torchproof.overfit`",
    "threshold": "one batch: the loss falls by 90 % in 300 steps",
    "anomaly": "`torch.autograd.detect_anomaly`",
    "warnings": "PyTorch's own warnings",
    "torchtest": "torchtest 0.5",
    "pytest_torch": "pytest-torch 1.1",
    "traincheck": "TrainCheck 0.2",
}
# The tools that name a class; the others only complain.
NAMING = ("prove", "overfit")


def by_class(lines: list[Line], tools: list[str], known: dict[str, Case]) -> str:
    """One row a class: how many of its bugs each tool caught (the class named, where it can)."""
    rows = []
    for number in sorted({known[line["case"]].number for line in lines}):
        mine = [line for line in lines if known[line["case"]].number == number]
        cells = [_caught([line for line in mine if line["tool"] == tool]) for tool in tools]
        rows.append([str(number), CLASSES[number], *cells])
    return _markdown(["#", "class", *tools], rows)


def totals(lines: list[Line], tools: list[str]) -> str:
    """One row a tool: bugs caught, class named, right programs complained about, cost."""
    rows = []
    for tool in tools:
        mine = [line for line in lines if line["tool"] == tool]
        wrong, right = _side(mine, right=False), _side(mine, right=True)
        named = _share(wrong, "named") if tool in NAMING else "no classes"
        ratio = median(_ratios(mine) or [0.0])
        seconds = median(line["seconds"] for line in mine)
        cost = [f"{seconds:.2f} s", f"{ratio:.0f} steps"]
        rows.append([_LABELS[tool], _share(wrong, "caught"), named, _share(right, "caught"), *cost])
    head = ["tool", "caught", "class named", "false alarms", "median cost", "in plain steps"]
    return _markdown(head, rows)


def misses(lines: list[Line], known: dict[str, Case]) -> str:
    """What ``prove`` and ``overfit`` together did not name, and the false alarms of ``prove``."""
    named = {line["case"] for line in lines if line["named"] and not line["right"]}
    asked = {line["case"]: line for line in lines if line["tool"] == "prove" and not line["right"]}
    missed = [
        f"- {name} (class {known[name].number}): {_why(line)}"
        for name, line in asked.items()
        if name not in named
    ]
    alarms = [
        f"- {line['case']}: {line['words']}"
        for line in _side(lines, right=True)
        if line["tool"] == "prove" and (line["caught"] or line["words"] == "no answer")
    ]
    return "\n".join(["Not named:", *missed, "", "False alarms of prove:", *alarms])


def _why(line: Line) -> str:
    if line["caught"]:
        return f"another class: {line['words']}"
    return f"a warning: {line['words']}" if line["hinted"] else line["words"] or "no finding"


def _caught(lines: list[Line]) -> str:
    wrong, alarms = _side(lines, right=False), sum(line["caught"] for line in _side(lines))
    caught, named = (sum(line[what] for line in wrong) for what in ("caught", "named"))
    told = f"{caught}/{len(wrong)}"
    told += f" ({named} named)" if lines[0]["tool"] in NAMING and named != caught else ""
    return told + (f", {alarms} false" if alarms else "")


def _side(lines: Iterable[Line], *, right: bool = True) -> list[Line]:
    return [line for line in lines if line["right"] is right]


def _share(lines: list[Line], what: str) -> str:
    return f"{sum(line[what] for line in lines)}/{len(lines)}"


def _ratios(lines: list[Line]) -> list[float]:
    return [line["seconds"] / line["step_seconds"] for line in lines if line["step_seconds"]]


def _markdown(head: list[str], rows: list[list[str]]) -> str:
    cells = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(row)} |" for row in cells)
