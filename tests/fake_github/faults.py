"""What can go wrong between GitHub and us, on command.

==================  ==================================================================
kind                what the client sees
==================  ==================================================================
primary-limit       403, the token's requests are used up; ``seconds`` until the reset
secondary-limit     403 in GitHub's words; with ``seconds``, a Retry-After
too-many            429; with ``seconds``, a Retry-After
status              ``status`` with a page of HTML, as a gateway sends it
reset               the connection is reset
truncated           the answer's second half never comes
cut-json            a whole answer whose JSON ends in the middle
html                200 and a page of HTML
echo                502 whose message shows the request's headers
==================  ==================================================================

With ``effect`` the request does its work first: the answer is lost, not the request.
"""

from __future__ import annotations

import json
import re
import time
from dataclasses import dataclass, field


PAGE = b"<!DOCTYPE html>\n<html><body><h1>Unicorn!</h1></body></html>\n"
PRIMARY = "API rate limit exceeded for installation ID 1."
SECONDARY = (
    "You have exceeded a secondary rate limit. Please wait a few minutes before you try again."
)


@dataclass
class Fault:
    """One kind of failure for the next ``times`` requests that match."""

    kind: str
    method: str = ""
    path: str = ""
    times: int = 1
    effect: bool = False
    status: int = 502
    seconds: int | None = None

    def hits(self, method: str, path: str) -> bool:
        fits = self.method in ("", method) and re.search(self.path, path) is not None
        return self.times > 0 and fits


@dataclass
class Wire:
    """An answer as bytes; ``sent`` is how much of its body goes out, None for all."""

    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)
    sent: int | None = None


def spoilt(fault: Fault, wire: Wire, request_headers: str) -> Wire | None:
    """Return what goes out in place of the right answer, None for a reset."""
    if fault.kind == "reset":
        return None
    if fault.kind == "cut-json":
        return Wire(wire.status, wire.body[: len(wire.body) // 2], wire.headers)
    if fault.kind == "truncated":
        return Wire(wire.status, wire.body, wire.headers, sent=len(wire.body) // 2)
    retry = {} if fault.seconds is None else {"Retry-After": str(fault.seconds)}
    html = {"Content-Type": "text/html"}
    return {
        "primary-limit": Wire(403, _message(PRIMARY), _used_up(fault.seconds or 0)),
        "secondary-limit": Wire(403, _message(SECONDARY), retry),
        "too-many": Wire(429, _message("Too many requests"), retry),
        "status": Wire(fault.status, PAGE, html),
        "html": Wire(200, PAGE, html),
        "echo": Wire(502, _message(request_headers)),
    }[fault.kind]


def _used_up(seconds: int) -> dict[str, str]:
    reset = str(int(time.time()) + seconds)
    return {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": reset}


def _message(text: str) -> bytes:
    address = "https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api"
    return json.dumps({"message": text, "documentation_url": address}).encode()
