"""What the hosted run asks of the GPU runner: one JSON text in a workflow_dispatch input.

Whoever may dispatch a workflow may write to the repository, so the request is trusted to name
commits and tiers, and checked only for its form.
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass, fields
from typing import Any

from torchproof.errors import RecordError, UsageError
from torchproof.record.strict_json import parse


AGAIN = "bisect"
"""What asks for an old commit to be run again, in place of an event."""
MAX_BYTES = 16_384

_COMMIT = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")


@dataclass(frozen=True, kw_only=True)
class Request:
    """The tiers to run on a commit, and the comment and check run to finish.

    ``sha`` is the commit to test (a pull request's merge commit), ``head_sha`` the commit that
    people see, ``event`` the name of the event that asked and ``order`` the place of its run among
    all runs; ``nonce`` tells two requests apart. A ``seed`` is named for a run that is made
    `AGAIN`: such a request takes this one seed and the event of that name, so that its record is
    never taken for one of main.
    """

    sha: str
    head_sha: str
    base_sha: str
    branch: str
    event: str
    tiers: tuple[str, ...]
    nonce: str
    order: tuple[int, int] = (0, 0)
    pull_request: int | None = None
    base_ref: str = ""
    check: int | None = None
    seed: int | None = None

    def to_json(self) -> str:
        """Write the request for the ``request`` input."""
        return json.dumps(asdict(self), separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> Request:
        """Read the ``request`` input.

        Raises:
            UsageError: Somebody dispatched the workflow by hand with a text of their own.
        """
        try:
            return cls(**_checked(parse(text.encode(), limit=MAX_BYTES)))
        except (RecordError, TypeError, KeyError, ValueError) as error:
            remedy = "Leave the input empty when starting the workflow by hand."
            raise UsageError("the input request was not written by torchproof", remedy) from error


def _checked(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise TypeError("request")
    kinds = {spec.name: spec.type for spec in fields(Request)}
    for name, item in value.items():
        if name not in ("tiers", "order") and not isinstance(item, _types(str(kinds[name]))):
            raise TypeError(name)
    if not _COMMIT.fullmatch(value["sha"]) or not _COMMIT.fullmatch(value["head_sha"]):
        raise ValueError("sha")
    if (value.get("seed") is not None) != (value["event"] == AGAIN):
        raise ValueError("seed")
    number, attempt = value.get("order", (0, 0))
    tiers = tuple(str(tier) for tier in value["tiers"])
    return {**value, "tiers": tiers, "order": (int(number), int(attempt))}


def _types(annotation: str) -> tuple[type, ...]:
    return (int, type(None)) if annotation.startswith("int") else (str,)
