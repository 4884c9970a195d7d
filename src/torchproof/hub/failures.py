"""What an answer of GitHub's API means: an effect, no effect, or nobody knows. Pure.

=========  ===========================================  ======================================
kind       answers                                      what may be done
=========  ===========================================  ======================================
refused    3xx and 4xx                                  nothing; it had no effect
busy       429, and 403 for a rate limit                the same again, after the wait asked for
unclear    5xx, resets, time-outs, bodies cut short     look first: it may have had its effect
=========  ===========================================  ======================================

Waits follow docs.github.com, "Rate limits for the REST API": ``retry-after`` if given, the reset of
the primary limit if that is used up, else at least one minute, doubling.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Literal

from torchproof.errors import HubError, PermissionMissing


if TYPE_CHECKING:
    from collections.abc import Mapping

SECONDARY_WAIT = 60.0

_RATE_LIMIT = re.compile(r"rate limit|please (?:retry|wait)", re.IGNORECASE)
_NO_PERMISSION = re.compile(
    r"resource not accessible|must have .* (?:access|rights)", re.IGNORECASE
)


class RefusedError(HubError):
    """GitHub refused a request; ``status`` is the answer's."""

    def __init__(self, what: str, remedy: str = "", *, status: int) -> None:
        super().__init__(what, remedy)
        self.status = status


class GoneError(RefusedError):
    """What was asked for is not there, or the token may not see it."""


@dataclass(frozen=True, kw_only=True)
class Call:
    """One request to the API.

    Args:
        verb: GET, POST, PATCH or DELETE.
        path: Below the API's address.
        purpose: What it is for, as in "GitHub would not <purpose>".
        needs: The line under ``permissions:`` that allows it.
        expects: What the answer's JSON is: dict, list, or None where there may be none.
        holds: Keys that the answer has.
        remedy: What to do when GitHub refuses, where that is not a matter of permissions.
    """

    verb: str
    path: str
    purpose: str
    needs: str = ""
    body: Mapping[str, Any] | None = None
    query: Mapping[str, Any] | None = None
    expects: type | None = dict
    holds: tuple[str, ...] = ()
    remedy: str = ""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """An answer that is what was expected; header names are in lower case."""

    data: Any
    headers: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Failure:
    """A request that did not come to its end; ``wait`` is what GitHub asked for, in seconds."""

    kind: Literal["refused", "busy", "unclear"]
    message: str
    status: int = 0
    wait: float | None = None


def judge(call: Call, status: int, headers: Mapping[str, str], text: str) -> Answer | Failure:
    """Say what the answer to a call means."""
    data = _json(text)
    if status >= HTTPStatus.MULTIPLE_CHOICES:
        return _failure(status, headers, data)
    garbled = bool(text) and data is None
    expected = call.expects is None or isinstance(data, call.expects)
    if garbled or not expected or any(key not in data for key in call.holds):
        return Failure(kind="unclear", status=status, message="the answer is not GitHub's JSON")
    return Answer(data=data, headers=headers)


def explain(call: Call, failure: Failure, *, api_url: str) -> HubError:
    """Turn a failure that stays into one sentence and what to do about it."""
    what = f"GitHub would not {call.purpose}: {failure.message}"
    if failure.status == HTTPStatus.UNAUTHORIZED:
        return HubError(what, "Check the input github-token: it is wrong, expired or revoked.")
    if failure.kind == "busy":
        return HubError(what, f"Run the job again {_later(failure.wait)}.")
    if failure.status == HTTPStatus.FORBIDDEN and _NO_PERMISSION.search(failure.message):
        return PermissionMissing(what, _permission(call.needs))
    if failure.status in (HTTPStatus.NOT_FOUND, HTTPStatus.GONE):
        remedy = call.remedy or "It does not exist any more, or the token may not see it."
        return GoneError(what, remedy, status=failure.status)
    if failure.kind == "refused":
        return RefusedError(what, call.remedy, status=failure.status)
    remedy = f"Check githubstatus.com, and that {api_url} is the address of the API."
    return HubError(f"GitHub did not {call.purpose}: {failure.message}", remedy)


def _failure(status: int, headers: Mapping[str, str], data: Any) -> Failure:
    message = _message(status, data)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status == HTTPStatus.REQUEST_TIMEOUT:
        return Failure(kind="unclear", status=status, message=message)
    if status == HTTPStatus.TOO_MANY_REQUESTS or _is_limit(status, headers, message):
        wait = _asked_wait(headers)
        return Failure(kind="busy", status=status, message=message, wait=wait)
    return Failure(kind="refused", status=status, message=message)


def _is_limit(status: int, headers: Mapping[str, str], message: str) -> bool:
    says_so = "retry-after" in headers or _RATE_LIMIT.search(message) is not None
    return status == HTTPStatus.FORBIDDEN and says_so


def _asked_wait(headers: Mapping[str, str]) -> float | None:
    """Return the seconds GitHub asks for, by its own clock, None if it names none."""
    if headers.get("retry-after", "").isdigit():
        return float(headers["retry-after"])
    reset = headers.get("x-ratelimit-reset", "")
    if headers.get("x-ratelimit-remaining") == "0" and reset.isdigit() and "date" in headers:
        return max(0.0, float(reset) - parsedate_to_datetime(headers["date"]).timestamp()) + 1.0
    return None


def _json(text: str) -> Any:
    try:
        return json.loads(text) if text else None
    except (ValueError, RecursionError):
        return None


def _message(status: int, data: Any) -> str:
    """Return GitHub's own words, with the details that a 422 adds."""
    if not isinstance(data, dict) or not isinstance(data.get("message"), str):
        return f"it answered {status}"
    errors = data.get("errors")
    details = [_detail(error) for error in errors] if isinstance(errors, list) else []
    words = " ".join(" ".join([data["message"], *details]).split())
    return f"{words:.300} ({status})"


def _detail(error: Any) -> str:
    return (
        str(error.get("message", error.get("code", ""))) if isinstance(error, dict) else str(error)
    )


def _later(wait: float | None) -> str:
    return "later" if wait is None else f"in {max(1, round(wait / 60))} minute(s)"


def _permission(needs: str) -> str:
    return (
        "A pull request from a fork or from Dependabot never gets it; "
        f"otherwise add it to the job in the workflow file:\n\npermissions:\n  {needs}"
    )
