"""Make and check locks where only torch is: ``python -m torchproof.contracts``.

Exit codes: 0 it fits, 1 it does not, 2 the call is wrong, 3 the environment is not usable.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Optional

from torchproof.contracts import shell
from torchproof.errors import TorchproofError


if TYPE_CHECKING:
    from collections.abc import Sequence


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Run a command and return its exit code; an error is one sentence on stderr."""
    options = _parser().parse_args(argv)
    try:
        found: Any = _run(options)
    except TorchproofError as error:
        sys.stderr.write(f"torchproof: {error}\n")
        return error.exit_code
    sys.stdout.write(f"{found}\n")
    return int(getattr(found, "breaks", False))


def _run(options: argparse.Namespace) -> Any:
    if options.command == "make":
        return shell.make(options.target, Path(options.lock), schema_only=options.schema_only)
    weights = Path(options.weights) if options.weights else None
    return shell.check(options.target, options.lock, weights=weights)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m torchproof.contracts", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    make = commands.add_parser("make", help="write the lock of a model")
    check = commands.add_parser("check", help="compare a model with a lock")
    for command in (make, check):
        command.add_argument("target", metavar="FILE.py:BUILD", help="returns (model, example)")
    make.add_argument("lock", metavar="LOCK", help="the file to write")
    make.add_argument("--schema-only", action="store_true", help="names and shapes, no probe")
    check.add_argument("lock", metavar="LOCK", help="a file or an https address")
    check.add_argument("--weights", metavar="FILE", help="a safetensors checkpoint to check too")
    return parser


if __name__ == "__main__":
    sys.exit(main())
