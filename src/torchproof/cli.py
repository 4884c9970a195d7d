"""The same stages from a shell.

Exit codes: 0 fine, 1 tests or verdict failed, 2 the call is wrong, 3 the environment is not usable,
4 refused for trust reasons. ``--json`` prints the result as one JSON document.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from torchproof.errors import TorchproofError


if TYPE_CHECKING:
    from collections.abc import Sequence

MISSING = (
    "torchproof: the command line needs torchproof's action side."
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
        print(MISSING, file=sys.stderr)
        return 3
    try:
        code = torchproof.main(argv, prog_name="torchproof", standalone_mode=False)
    except TorchproofError as error:
        print(f"torchproof: {error}", file=sys.stderr)
        return error.exit_code
    except click.ClickException as error:
        error.show()
        return 2
    except (click.Abort, KeyboardInterrupt):
        print("torchproof: stopped", file=sys.stderr)
        return STOPPED
    return code if isinstance(code, int) else 0


if __name__ == "__main__":
    sys.exit(main())
