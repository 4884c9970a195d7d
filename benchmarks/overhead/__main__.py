"""What torchproof adds to the work it watches, beside the targets it must meet.

    python -m benchmarks.overhead                     all figures, some minutes
    python -m benchmarks.overhead --quick             one round and no image, under a minute
    python -m benchmarks.overhead --suite CHECKOUT    the plugin on a suite of your own
    python -m benchmarks.overhead --only github       some of the figures

The README's figure for the plugin is that of bayesiains/nflows at 5d22344 (154 tests): clone it,
install it with its test requirements into the environment that runs this, and name its directory.
Run from the root of the repository: the figures about GitHub need the fake in ``tests``.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.overhead import environment, github, image, plugin
from benchmarks.overhead.figure import Figure, table


if TYPE_CHECKING:
    from collections.abc import Callable


def main() -> int:
    """Measure and print; 1 if a target is missed."""
    options = _options()
    rounds = 1 if options.quick else options.rounds
    parts = options.only or [part for part in PARTS if part != "image" or not options.quick]
    figures = [figure for part in parts for figure in PARTS[part](options, rounds)]
    print(_document(figures) if options.json else f"{table(figures)}\n\n{_machine()}")
    return int(any(figure.met is False for figure in figures))


def _github(_: argparse.Namespace, rounds: int) -> list[Figure]:
    with github.a_place() as place:
        return [*github.until_the_comment(place, rounds), *github.calls(place)]


PARTS: dict[str, Callable[[argparse.Namespace, int], list[Figure]]] = {
    "plugin": lambda options, rounds: plugin.figures(options.suite, rounds),
    "github": _github,
    "environment": lambda _, rounds: environment.warm(rounds),
    "image": lambda options, _: image.over_base(options.image, options.base),
}


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.overhead",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--suite", type=Path, help="a checkout whose tests pass here")
    parser.add_argument("--quick", action="store_true", help="one round: shows that all works")
    parser.add_argument("--rounds", type=int, default=10, help="how often each figure is taken")
    parser.add_argument(
        "--only",
        choices=PARTS,
        nargs="+",
        metavar="PART",
        help=", ".join(PARTS),
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--image", default="torchproof-test-action", help="the action's image")
    parser.add_argument("--base", default="torchproof-test-build-base", help="what it is built on")
    return parser.parse_args()


def _document(figures: list[Figure]) -> str:
    document = {"machine": _machine(), "figures": [figure.document() for figure in figures]}
    return json.dumps(document, indent=1, ensure_ascii=False)


def _machine() -> str:
    """Say what the figures were taken on, and how busy it was with other things."""
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    system = f"{platform.system()} {platform.machine()}, Python {platform.python_version()}"
    return f"{os.cpu_count()} cores, load {load}, {system}"


if __name__ == "__main__":
    sys.exit(main())
