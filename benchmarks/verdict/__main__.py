"""Every figure of the statistics beside its target, its anchor and the theoretical limit.

    python -m benchmarks.verdict              all of it; under 15 minutes on two cores
    python -m benchmarks.verdict --quick      a small part of each, under a minute
    python -m benchmarks.verdict --write      writes the claims into README.md, too

Other tools are asked about the same series in the same run. Apache Otava and git_bayesect are run
themselves, in an environment of their own (``--rivals VENV/bin/python``, which has
``apache-otava==0.8.0 git-bayesect==1.2``); the rules of the others are in `rivals`.
"""

from __future__ import annotations

import argparse
import os
from dataclasses import replace
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

from benchmarks.verdict import blame, compare, detect
from benchmarks.verdict.claims import claims
from benchmarks.verdict.labelled import labelled

from benchmarks import readme


if TYPE_CHECKING:
    from benchmarks.verdict.compare_cases import Case


def main() -> None:
    """Measure and print."""
    options = _options()
    start = perf_counter()
    compared = compare.measure(_cases(options), options.jobs, options.seed)
    print(f"## compare\n\n{compare.table(compared)}\n", flush=True)
    repetitions = detect.QUICK if options.quick else detect.REPETITIONS
    detected = detect.measure(repetitions, options.seed, options.rivals)
    real = labelled(options.data)
    print(f"## detect\n\n{detect.table(detected)}\n\n{real}\n", flush=True)
    searches = blame.QUICK if options.quick else blame.SEARCHES
    blamed = blame.measure(searches, options.seed, options.jobs, options.rivals)
    print(f"## blame\n\n{blame.table(blamed)}\n", flush=True)
    table = claims(compared, detected, blamed, real if options.data else "")
    print(f"## claims\n\n{table}\n\n{perf_counter() - start:.0f} seconds")
    if options.write:
        readme.write("verdict", table)


def _cases(options: argparse.Namespace) -> tuple[Case, ...]:
    cases = compare.QUICK if options.quick else compare.CASES
    most = options.repetitions or max(case.repetitions for case in cases)
    return tuple(replace(case, repetitions=min(case.repetitions, most)) for case in cases)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.verdict",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--quick", action="store_true", help="a small part of each")
    parser.add_argument("--write", action="store_true", help="write the claims into README.md")
    parser.add_argument("--rivals", metavar="PYTHON", help="has apache-otava and git-bayesect")
    parser.add_argument("--data", type=Path, metavar="DIR", help="has tcpd/ and nyrkio/")
    parser.add_argument("--repetitions", type=int, help="comparisons of a kind, at most")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="processes")
    return parser.parse_args()


if __name__ == "__main__":
    main()
