"""The same models in other processes: threads, hash seeds and instruction sets must not show."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

from benchmarks.architectures.edits import EDITS
from benchmarks.architectures.held_out import HELD_OUT
from benchmarks.architectures.table import quick

import torchproof


if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

PLACES: dict[str, dict[str, str]] = {
    "another process": {},
    "two threads": {"OMP_NUM_THREADS": "2", "MKL_NUM_THREADS": "2"},
    "another hash seed": {"PYTHONHASHSEED": "7"},
    "no vector instructions": {"ATEN_CPU_CAPABILITY": "default"},
    "AVX2": {"ATEN_CPU_CAPABILITY": "avx2"},
    "AVX-512": {"ATEN_CPU_CAPABILITY": "avx512"},
}


def locks(*, few: bool = False) -> Iterator[tuple[str, torchproof.Architecture]]:
    """Lock every edited model of the experiment, or a few of them."""
    edits = [*EDITS, *HELD_OUT]
    for edit in quick(edits)[::3] if few else edits:
        yield f"{edit.kind} {edit.name}", torchproof.architecture(edit.after(), edit.example)


def differing(places: Mapping[str, Mapping[str, str]] = PLACES, *, few: bool = False) -> list[str]:
    """Return a sentence for every model that is another one at another place."""
    known = dict(locks(few=few))
    wrong = []
    for place, variables in places.items():
        for name, text in _elsewhere(variables, few=few).items():
            found = known[name].compare(torchproof.Architecture.from_json(text))
            if found.verdict != "identical":
                wrong.append(f"{name}, {place}: {found}")
    return wrong


def _elsewhere(variables: Mapping[str, str], *, few: bool) -> dict[str, str]:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.architectures.places", *(["few"] if few else [])],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **variables},
        capture_output=True,
        text=True,
        check=True,
    )
    found: dict[str, str] = json.loads(done.stdout)
    return found


if __name__ == "__main__":
    print(json.dumps({name: one.to_json() for name, one in locks(few="few" in sys.argv)}))
