"""One door to GitHub's API: every request passes here, is counted, repeated and explained.

PyGithub carries the requests (connection, authentication, redirects). Its own retries are switched
off, as they repeat a POST whose effect nobody knows and give up on a PATCH; its objects are passed
by, as they take a page of HTML for a comment. What may be repeated is decided in `failures`.
"""

from __future__ import annotations

import logging
import random
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import requests
from github import Auth, Github

from torchproof.errors import HubError, UsageError
from torchproof.hub.failures import SECONDARY_WAIT, Answer, Call, Failure, explain, judge


if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ATTEMPTS = 5
PATIENCE = 120.0  # seconds of waiting in all: a GPU may be idle meanwhile
TIMEOUT = 15  # seconds for one answer
PAGE = 100  # the most items GitHub puts on a page
FREE_WRITES = 10  # GitHub asks for a second between writes of a large number of them
LOGGERS = ("github.Requester", "urllib3.connectionpool")


class Api:
    """The API of one GitHub, with one token, for one repository.

    Args:
        repository: ``owner/name``.
        token: Of the workflow, an app or a person. Without one the first request fails.
        api_url: As in GITHUB_API_URL.
        sleep: Waits the given seconds.
        jitter: Returns a number from 0 to 1.
    """

    def __init__(
        self,
        repository: str,
        *,
        token: str,
        api_url: str,
        sleep: Callable[[float], None] = time.sleep,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        _refuse_address(api_url)
        self.repository = repository
        self.calls = 0
        self.author: str | None = None
        self._url = api_url
        self._token = token
        self._sleep = sleep
        self._jitter = jitter
        self._waited = 0.0
        self._writes = 0
        self._requester = Github(
            auth=Auth.Token(token) if token else None,
            base_url=api_url,
            timeout=TIMEOUT,
            user_agent="torchproof",
            retry=None,
            seconds_between_requests=None,
            seconds_between_writes=None,
        ).requester
        for name in LOGGERS:
            logging.getLogger(name).addFilter(self._censor)

    def ask(self, call: Call) -> Answer:
        """Make a request that may be repeated: anything but a POST."""
        return self._until_answered(call, lambda: None)

    def once(self, call: Call, look: Callable[[], Any | None]) -> Any:
        """Make a request that must not take effect twice.

        Args:
            call: The request.
            look: Finds what the request would have made, None if it is not there. It is asked
                whenever an answer leaves that open, before the request is repeated.

        Returns:
            The answer's data, or what ``look`` found.
        """
        return self._until_answered(call, look).data

    def items(self, call: Call, *, key: str = "") -> Iterator[dict[str, Any]]:
        """List all pages; ``key`` names the list where the answer is an object."""
        page, more = 0, True
        while more:
            page += 1
            query = {**(call.query or {}), "per_page": PAGE, "page": page}
            answer = self.ask(replace(call, query=query))
            found = answer.data.get(key) if key else answer.data
            if isinstance(found, list):
                yield from (item for item in found if isinstance(item, dict))
            more = 'rel="next"' in answer.headers.get("link", "")

    def pause(self, seconds: float) -> bool:
        """Wait, unless that would use up what patience is left; say whether it was done."""
        if self._waited + seconds > PATIENCE:
            return False
        self._waited += seconds
        self._sleep(seconds)
        return True

    def _until_answered(self, call: Call, look: Callable[[], Any | None]) -> Answer:
        if not self._token:
            raise HubError("there is no GitHub token", "Set the input github-token.")
        attempt = 0
        while True:
            outcome = self._send(call)
            if isinstance(outcome, Answer):
                return outcome
            rested = self._rest(outcome, attempt)
            if outcome.kind == "unclear" and (found := look()) is not None:
                return Answer(data=found, headers={})
            if not rested:
                raise self._explained(call, outcome)
            attempt += 1

    def _send(self, call: Call) -> Answer | Failure:
        self._space_out(call)
        self.calls += 1
        try:
            status, headers, text = self._requester.requestJson(
                call.verb, call.path, dict(call.query or {}), input=call.body
            )
        except (requests.RequestException, OSError) as error:
            return Failure(kind="unclear", message=_network_words(error))
        except RuntimeError as error:
            # PyGithub: a redirect to another host or scheme.
            return Failure(kind="refused", message=str(error))
        return judge(call, status, headers, text)

    def _space_out(self, call: Call) -> None:
        if call.verb != "GET":
            self._writes += 1
            if self._writes > FREE_WRITES:
                self._sleep(1.0)

    def _rest(self, failure: Failure, attempt: int) -> bool:
        """Wait before the next attempt; False when there should be none."""
        if failure.kind == "refused" or attempt + 1 == ATTEMPTS:
            return False
        if failure.kind == "busy":
            wait = failure.wait if failure.wait is not None else SECONDARY_WAIT * 2**attempt
        else:
            wait = (0.5 + self._jitter() / 2) * 2**attempt
        return self.pause(wait)

    def _explained(self, call: Call, failure: Failure) -> HubError:
        error = explain(call, failure, api_url=self._url)
        error.what, error.remedy = self._redacted(error.what), self._redacted(error.remedy)
        error.args = (error.what,)
        return error

    def _redacted(self, text: str) -> str:
        return text.replace(self._token, "***") if self._token else text

    def _censor(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = self._redacted(record.getMessage()), ()
        return True


def _refuse_address(api_url: str) -> None:
    address = urlsplit(api_url)
    if address.scheme not in ("http", "https") or not address.hostname:
        remedy = "Set GITHUB_API_URL, as in https://api.github.com or https://HOST/api/v3."
        raise UsageError(f"{api_url!r:.80} is not the address of an API", remedy)


def _network_words(error: Exception) -> str:
    """Say what happened on the wire; the library's own text is a chain of class names."""
    if isinstance(error, requests.Timeout):
        return f"no answer within {TIMEOUT} seconds"
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return "the answer was cut short"
    return "the connection failed"
