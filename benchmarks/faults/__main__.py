"""What finds the silent bugs of the corpus, and what complains about their right twins.

    python -m benchmarks.faults                      all programs and tools, some minutes
    python -m benchmarks.faults --quick              a fixed part, torchproof only
    python -m benchmarks.faults --only NAME --tool prove --json

The exit code says whether torchproof complained about a right program.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
from typing import Any

from benchmarks.faults.case import Case, cases
from benchmarks.faults.table import by_class, misses, totals
from benchmarks.faults.tools import TOOLS

from benchmarks import readme


_TOGETHER = 12
_MOST_SECONDS = 60
_MOST_SECONDS_TRACED = 900


def main() -> int:
    """Measure and print; 1 if torchproof complains about a right program."""
    options = _options()
    known = cases()
    chosen = [case for case in known.values() if _wanted(case, options)]
    tools = options.tool or (["prove"] if options.quick else list(TOOLS))
    lines = [line for group in _groups(chosen) for line in _run(group, tools)]
    print(json.dumps(lines, indent=1) if options.json else _report(lines, tools, known))
    if options.write:
        readme.write("faults", totals(lines, tools))
    return int(any(each["caught"] and each["right"] and each["tool"] == "prove" for each in lines))


def _wanted(case: Case, options: argparse.Namespace) -> bool:
    if options.only:
        return case.name in options.only
    return case.quick or not options.quick


def _groups(chosen: list[Case]) -> list[list[Case]]:
    return [chosen[start : start + _TOGETHER] for start in range(0, len(chosen), _TOGETHER)]


def _run(group: list[Case], tools: list[str]) -> list[dict[str, Any]]:
    """Run a group in a process of its own; what did not end has the words ``no answer``."""
    names = ",".join(case.name for case in group)
    command = [sys.executable, "-m", "benchmarks.faults.child", names, ",".join(tools)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    child = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=environment,
        start_new_session=True,
    )
    try:
        most = _MOST_SECONDS_TRACED if "traincheck" in tools else _MOST_SECONDS
        output, _ = child.communicate(timeout=most * len(group))
    except subprocess.TimeoutExpired:
        os.killpg(child.pid, signal.SIGKILL)
        output, _ = child.communicate()
    except KeyboardInterrupt:
        os.killpg(child.pid, signal.SIGKILL)
        raise
    lines = [json.loads(line) for line in output.splitlines() if line.endswith("}")]
    return lines + _unanswered(group, tools, lines)


def _unanswered(
    group: list[Case], tools: list[str], lines: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    answered = {(line["case"], line["right"], line["tool"]) for line in lines}
    nothing = {"caught": False, "named": False, "hinted": False, "rules": [], "words": "no answer"}
    cost = {"seconds": 0.0, "step_seconds": 0.0}
    return [
        {"case": case.name, "right": right, "tool": tool, **nothing, **cost}
        for case in group
        for right in (False, True)
        for tool in tools
        if (case.name, right, tool) not in answered
    ]


def _report(lines: list[dict[str, Any]], tools: list[str], known: dict[str, Case]) -> str:
    return "\n\n".join([by_class(lines, tools, known), totals(lines, tools), misses(lines, known)])


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.faults",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--quick", action="store_true", help="a fixed part, torchproof only")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="programs by name")
    parser.add_argument("--tool", nargs="+", choices=TOOLS, metavar="NAME", help=", ".join(TOOLS))
    parser.add_argument("--write", action="store_true", help="write the totals into README.md")
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
