"""TrainCheck (0.2): invariants inferred from a trusted run, checked on another run.

The trusted run is the right twin's with seed 0. A wrong program is checked against it, and so is
the right program with seed 1: what is violated there is a false alarm. All defaults, tracing the
program's model; about a minute for each side.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from functools import lru_cache
from pathlib import Path
from typing import Any


_PROGRAM = Path(__file__).with_name("traced_program.py")


def violations(name: str, *, right: bool) -> str:
    """Return how many invariants of the trusted run are violated, empty for none."""
    folder, invariants = _trusted(name)
    trace = _trace(folder, name, "right" if right else "wrong", seed=1 if right else 0)
    report = folder / f"checked-{trace.name}"
    _call("check", "-f", trace, "-i", invariants, "--no-html-report", "-o", report)
    (summary,) = report.glob("*/violations_summary.json")
    found = json.loads(summary.read_text("utf-8"))
    names = [each["display_name"] for each in found["violations"][:3]]
    count = found["distinct_invariants_violated"]
    return f"{count} invariants violated: {'; '.join(names)}" if count else ""


@lru_cache(maxsize=1)
def _trusted(name: str) -> tuple[Path, Path]:
    folder = Path(tempfile.mkdtemp(prefix="traincheck-"))
    trace = _trace(folder, name, "right", seed=0)
    _call("infer", "-f", trace, "-o", folder / "invariants.json")
    return folder, folder / "invariants.json"


def _trace(folder: Path, name: str, side: str, seed: int) -> Path:
    trace = folder / f"{side}-{seed}"
    modules = os.pathsep.join(filter(None, sys.path))
    environment = {"CASE": name, "SIDE": side, "SEED": str(seed), "MODULES": modules}
    # It writes what it rewrote beside the program.
    program = shutil.copy(_PROGRAM, folder)
    where = ("--models-to-track", "model", "--output-dir", trace)
    _call("collect", "-p", program, *where, environment=environment)
    return trace


def _call(command: str, *arguments: Any, environment: dict[str, str] | None = None) -> None:
    subprocess.run(
        [Path(sys.executable).with_name(f"traincheck-{command}"), *map(str, arguments)],
        env={**os.environ, **(environment or {})},
        cwd=tempfile.gettempdir(),
        check=True,
        capture_output=True,
    )
