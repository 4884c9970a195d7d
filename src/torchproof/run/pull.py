"""``dvc pull`` of the data that a tier needs, before its tests and with no more rights than they.

It is the user environment's own DVC, run in the seal as ``python -m dvc pull TARGET…`` in the
project's directory. The environment is the tests' own, so that credentials of a remote are there
only if the tier's ``env`` names them.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from torchproof.run.diagnose import Tail, plain


if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torchproof.run.seal import Command, Completed, Seal

MAX_SAID = 200  # characters of DVC's own words in the sentence

_MISSING = (
    'Add it to torchproof\'s install in pyproject.toml ([tool.torchproof] install = ["dvc"]).'
)
_READ = "Correct the tier's pull; a remote that wants credentials is pulled in a step before."
_SLOW = "Name less data in the tier's pull, or raise the tier's timeout."


def pull(
    seal: Seal, tests: Command, targets: Sequence[str], *, on_output: Callable[[bytes], None]
) -> tuple[float, str]:
    """Pull data in the seal.

    Args:
        seal: Where the tests will run.
        tests: The command that runs them: its interpreter, environment, directory and time count.
        targets: What ``dvc pull`` is to bring; empty for nothing to do.
        on_output: Takes what DVC prints; hostile.

    Returns:
        The seconds that it took, and why it failed, with what to do about it; empty if it did not.
    """
    if not targets:
        return 0.0, ""
    tail = Tail(on_output)
    argv = (tests.argv[0], "-m", "dvc", "pull", *targets)
    done = seal.run(replace(tests, argv=argv, gpu=None), on_output=tail)
    failed = done.exit_code or done.timed_out
    return done.seconds, f"dvc pull failed: {_why(done, tail.text)}" if failed else ""


def _why(done: Completed, output: str) -> str:
    if done.timed_out:
        return f"it took longer than the tier's {done.seconds:.0f} s and was stopped. {_SLOW}"
    text = plain(output)
    if re.search(r"No module named '?dvc'?$", text, re.MULTILINE):
        return f"DVC is not in the user environment. {_MISSING}"
    said = " ".join(text.rpartition("ERROR: ")[2].split())[:MAX_SAID].rstrip(" .")
    return f"{said or 'it said nothing'} (exit code {done.exit_code}). {_READ}"
