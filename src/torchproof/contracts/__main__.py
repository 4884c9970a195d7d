"""Make and check locks of architectures with nothing but torch installed.

Exit codes: 0 it fits, 1 it does not, 2 the call is wrong, 3 the environment is not usable.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Optional

from torchproof.contracts import shell
from torchproof.errors import TorchproofError


if TYPE_CHECKING:
    from collections.abc import Sequence


def main(
    argv: Optional[Sequence[str]] = None, *, program: str = "python -m torchproof.contracts"
) -> int:
    """Run a command and return its exit code; an error is one sentence on stderr."""
    options = _parser(program).parse_args(argv)
    try:
        return _check(options) if options.command == "check" else _make(options)
    except TorchproofError as error:
        sys.stderr.write(f"torchproof: {error}\n")
        return error.exit_code


def _make(options: argparse.Namespace) -> int:
    made = shell.make(options.target, Path(options.lock), schema_only=options.schema_only)
    sys.stdout.write(f"{made}\n")
    return 0


def _check(options: argparse.Namespace) -> int:
    weights = Path(options.weights) if options.weights else None
    found = shell.check(options.target, options.lock, weights=weights)
    text = json.dumps(shell.document(found), indent=1) if options.json else str(found)
    sys.stdout.write(f"{text}\n")
    return int(found.breaks)


def _parser(program: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=program, description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    make = commands.add_parser("make", help="write the lock of a model")
    check = commands.add_parser("check", help="compare a model with a lock")
    for command in (make, check):
        command.add_argument("target", metavar="FILE.py:BUILD", help="returns (model, example)")
    make.add_argument("lock", metavar="LOCK", help="the file to write")
    make.add_argument("--schema-only", action="store_true", help="names and shapes, no probe")
    check.add_argument("lock", metavar="LOCK", help="a file or an https address")
    check.add_argument("--weights", metavar="FILE", help="a safetensors checkpoint to check too")
    check.add_argument("--json", action="store_true", help="print one JSON document")
    return parser


if __name__ == "__main__":
    sys.exit(main())
