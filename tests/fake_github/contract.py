"""GitHub's own description of its API, applied to every request and every answer.

The descriptions in ``openapi/`` are made by ``extract_openapi.py``. A request may hold no key and
no query parameter that GitHub does not know, which is stricter than GitHub.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from jsonschema import Draft202012Validator, FormatChecker


FLAVOURS = {"github.com": "api.github.com", "ghes": "ghes-3.17"}
ERRORS = (400, 401, 403, 404, 410, 422, 429)

_FORMATS = FormatChecker(formats=())


@_FORMATS.checks("date-time", raises=ValueError)
def _is_time(value: object) -> bool:
    return not isinstance(value, str) or bool(datetime.strptime(value, "%Y-%m-%dT%H:%M:%SZ"))  # noqa: DTZ007 the Z is in the pattern


@dataclass(frozen=True)
class Operation:
    """One operation of the description; ``id`` is GitHub's operationId."""

    id: str
    method: str
    path: re.Pattern[str]
    query: dict[str, Any]
    request: dict[str, Any] | None
    responses: dict[str, Any]


class Contract:
    """The description of one flavour of GitHub: ``github.com`` or ``ghes``."""

    def __init__(self, flavour: str) -> None:
        file = Path(__file__).parent / "openapi" / f"{FLAVOURS[flavour]}.json"
        document = json.loads(file.read_text("utf-8"))
        self.schemas: dict[str, Any] = document["schemas"]
        self.operations = [
            _operation(name, entry) for name, entry in document["operations"].items()
        ]
        self._valid = lru_cache(maxsize=10_000)(self._problem)

    def find(self, method: str, path: str) -> tuple[Operation, dict[str, str]] | None:
        """Find the operation that a request is for, and the parameters in its path."""
        for operation in self.operations:
            match = operation.path.fullmatch(path)
            if match and operation.method == method:
                return operation, {k: unquote(v) for k, v in match.groupdict().items()}
        return None

    def request_problem(self, operation: Operation, query: dict[str, str], body: Any) -> str:
        """Say what is wrong with a request, empty if nothing is."""
        for name, text in query.items():
            if name not in operation.query:
                return f"the query parameter {name} is not in the description"
            problem = self.problem(operation.query[name], _parsed(operation.query[name], text))
            if problem:
                return f"the query parameter {name}: {problem}"
        if operation.request is None:
            return "" if body is None else "the request has a body"
        return self.unknown_key(operation.request, body) or self.problem(operation.request, body)

    def response_problem(self, operation: Operation, status: int, body: Any) -> str:
        """Say what is wrong with an answer, empty if nothing is."""
        if status in ERRORS:
            is_error = isinstance(body, dict) and isinstance(body.get("message"), str)
            return "" if is_error else "an error has no message"
        if str(status) not in operation.responses:
            return f"the status {status} is not in the description"
        schema = operation.responses[str(status)]
        if schema is None:
            return "" if body is None else "the answer has a body"
        if schema.get("type") == "array":
            problems = (self.problem(schema["items"], item) for item in body)
            return next((problem for problem in problems if problem), "")
        return self.problem(schema, body)

    def unknown_key(self, schema: dict[str, Any], value: Any) -> str:
        """Name a key that GitHub does not know, empty if there is none."""
        known = schema.get("properties")
        if not isinstance(value, dict) or not known:
            return ""
        for key, item in value.items():
            if key not in known:
                return f'"{key}" is not a permitted key'
            problem = self.unknown_key(known[key], item)
            if problem:
                return problem
        return ""

    def problem(self, schema: dict[str, Any], value: Any) -> str:
        """Check a value against a schema; the same pair is checked once."""
        return self._valid(json.dumps(schema, sort_keys=True), json.dumps(value, sort_keys=True))

    def _problem(self, schema: str, value: str) -> str:
        validator = Draft202012Validator(
            {"schemas": self.schemas, "allOf": [json.loads(schema)]}, format_checker=_FORMATS
        )
        error = next(validator.iter_errors(json.loads(value)), None)
        return "" if error is None else f"{error.json_path}: {error.message:.200}"


def _operation(name: str, entry: dict[str, Any]) -> Operation:
    path = re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", entry["path"])
    return Operation(
        id=name,
        method=entry["method"],
        path=re.compile(path),
        query=entry["query"],
        request=entry["request"],
        responses=entry["responses"],
    )


def _parsed(schema: dict[str, Any], text: str) -> Any:
    if schema.get("type") == "integer" and text.isdigit():
        return int(text)
    if schema.get("type") == "boolean" and text in ("true", "false"):
        return text == "true"
    return text
