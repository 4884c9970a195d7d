"""The same stages from a shell.

Exit codes: 0 fine, 1 tests or verdict failed, 2 the call is wrong, 3 the environment is not usable,
4 refused for trust reasons. ``--json`` prints the result as one JSON document.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from torchproof.errors import HostError, TorchproofError


if TYPE_CHECKING:
    from collections.abc import Sequence

MISSING = (
    "torchproof: of the command line, all but lock needs torchproof's action side."
    ' Install it: pip install "torchproof[action]".'
)
STOPPED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code; an error is one sentence on stderr."""
    try:
        import click

        from torchproof.commands import torchproof
    except ModuleNotFoundError as error:
        if str(error.name).startswith("torchproof"):
            raise
        return _without_the_action_side(sys.argv[1:] if argv is None else argv)
    try:
        code = torchproof.main(argv, prog_name="torchproof", standalone_mode=False)
    except TorchproofError as error:
        print(f"torchproof: {error}", file=sys.stderr)
        return error.exit_code
    except click.ClickException as error:
        error.show()
        return 2
    except PermissionError as error:
        wrong = HostError("permission denied", "Give this user access.", where=error.filename)
        print(f"torchproof: {wrong}", file=sys.stderr)
        return wrong.exit_code
    except (click.Abort, KeyboardInterrupt):
        print("torchproof: stopped", file=sys.stderr)
        return STOPPED
    return code if isinstance(code, int) else 0


def _without_the_action_side(argv: Sequence[str]) -> int:
    """Make and check locks, which needs torch alone, as an inference service has it."""
    if [*argv[:1]] != ["lock"]:
        print(MISSING, file=sys.stderr)
        return 3
    from torchproof.contracts.__main__ import main as locks

    return locks(argv[1:], program="torchproof lock")


if __name__ == "__main__":
    sys.exit(main())
