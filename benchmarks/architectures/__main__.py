"""What the contract says of edits whose kind is known.

    python -m benchmarks.architectures                   the edits it was designed on, and others
    python -m benchmarks.architectures --quick           one edit of each kind and family
    python -m benchmarks.architectures --places          the same models in other processes
    python -m benchmarks.architectures --transformers 10 locks of 10 models of each task

``--transformers`` needs ``transformers``; nothing is downloaded.
"""

from __future__ import annotations

import argparse
import sys

import torch
from benchmarks.architectures.edits import EDITS
from benchmarks.architectures.held_out import HELD_OUT
from benchmarks.architectures.places import differing
from benchmarks.architectures.table import counts, judge, quick, row


def main() -> int:
    """Print the tables; 1 if one verdict is wrong."""
    options = _options()
    torch.set_num_threads(1)
    if options.transformers:
        return _real(options.transformers)
    if options.places:
        wrong = differing()
        print("\n".join(wrong) or "no difference between processes, threads and instruction sets")
        return int(bool(wrong))
    return max(_table(name, options.quick) for name in ("designed on", "held out"))


def _table(name: str, only_some: bool) -> int:  # noqa: FBT001 - one caller
    edits = EDITS if name == "designed on" else HELD_OUT
    judged = judge(quick(edits) if only_some else edits)
    print(f"\n{name}\n", *map(row, judged), sep="\n")
    for kind, (broke, count) in counts(judged).items():
        print(f"  {kind:9} {broke} of {count} break the contract")
    return int(not all(one.right for one in judged))


def _real(limit: int) -> int:
    from benchmarks.architectures.real import locked

    found = []
    for one in locked(limit):
        found.append(one.verdict)
        print(one, flush=True)
    print(f"{found.count('identical')} of {len(found)} locked and found identical when built again")
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.architectures",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--quick", action="store_true", help="one edit of each kind and family")
    parser.add_argument("--places", action="store_true", help="other processes and CPUs")
    parser.add_argument("--transformers", type=int, metavar="N", help="N models of each task")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
