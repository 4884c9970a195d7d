"""Extract from GitHub's OpenAPI description what the fake answers, as small JSON Schemas.

    npm install @octokit/openapi      (446 MB, MIT licence; anywhere outside the repository)
    python tests/fake_github/extract_openapi.py node_modules/@octokit/openapi

Writes one file a flavour into ``openapi/``. OpenAPI 3.0 says ``nullable`` where JSON Schema says
``"type": [..., "null"]``; texts and examples are left out.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any


FLAVOURS = ("api.github.com", "ghes-3.17")
OPERATIONS = (
    "actions/create-workflow-dispatch",
    "actions/get-workflow",
    "actions/get-workflow-run",
    "actions/list-workflow-runs",
    "checks/create",
    "checks/get",
    "checks/list-annotations",
    "checks/list-for-ref",
    "checks/update",
    "issues/create",
    "issues/create-comment",
    "issues/delete-comment",
    "issues/get",
    "issues/get-comment",
    "issues/list-comments",
    "issues/list-for-repo",
    "issues/update",
    "issues/update-comment",
    "pulls/get",
    "repos/get",
    "repos/get-commit",
    "users/get-authenticated",
)
KEPT = (
    "$ref",
    "additionalProperties",
    "allOf",
    "anyOf",
    "default",
    "enum",
    "format",
    "items",
    "maxItems",
    "maxLength",
    "maximum",
    "maxProperties",
    "minItems",
    "minLength",
    "minimum",
    "oneOf",
    "pattern",
    "properties",
    "required",
    "type",
    "uniqueItems",
)
HERE = Path(__file__).parent


def main(package: Path) -> None:
    version = json.loads((package / "package.json").read_text("utf-8"))["version"]
    for flavour in FLAVOURS:
        document = json.loads((package / "generated" / f"{flavour}.json").read_text("utf-8"))
        extract = {"source": f"@octokit/openapi {version}, {flavour}, MIT", **extracted(document)}
        (HERE / "openapi" / f"{flavour}.json").write_text(one_line_an_entry(extract), "utf-8")


def extracted(document: dict[str, Any]) -> dict[str, Any]:
    """Return the operations and every schema they lead to."""
    operations = {
        operation["operationId"]: operation_of(document, method, path, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        if isinstance(operation, dict) and operation.get("operationId") in OPERATIONS
    }
    schemas: dict[str, Any] = {}
    waiting = sorted(references(operations))
    while waiting:
        name = waiting.pop()
        if name not in schemas:
            schemas[name] = schema(document["components"]["schemas"][name])
            waiting.extend(references(schemas[name]))
    return {"operations": operations, "schemas": schemas}


def operation_of(document: Any, method: str, path: str, operation: Any) -> dict[str, Any]:
    responses = {
        status: body_schema(resolved(document, response))
        for status, response in operation["responses"].items()
    }
    parameters = [resolved(document, item) for item in operation.get("parameters", [])]
    return {
        "method": method.upper(),
        "path": path,
        "query": {p["name"]: schema(p["schema"]) for p in parameters if p["in"] == "query"},
        "request": body_schema(operation.get("requestBody", {})),
        "responses": responses,
    }


def body_schema(holder: dict[str, Any]) -> Any:
    content = holder.get("content", {}).get("application/json")
    return schema(content["schema"]) if content else None


def resolved(document: Any, item: dict[str, Any]) -> dict[str, Any]:
    if "$ref" not in item:
        return item
    for step in item["$ref"].removeprefix("#/").split("/"):
        document = document[step]
    return document


def schema(value: Any) -> Any:
    """Turn an OpenAPI 3.0 schema into JSON Schema without its texts."""
    if isinstance(value, list):
        return [schema(item) for item in value]
    if not isinstance(value, dict):
        return value
    kept = {key: kept_value(key, item) for key, item in value.items() if key in KEPT}
    return nullable(kept) if value.get("nullable") else kept


def kept_value(key: str, value: Any) -> Any:
    if key == "$ref":
        return value.replace("#/components/schemas/", "#/schemas/")
    if key == "properties":
        return {name: schema(item) for name, item in value.items()}
    return value if key in ("default", "enum") else schema(value)


def nullable(value: dict[str, Any]) -> dict[str, Any]:
    if "enum" in value:
        value["enum"] = list(dict.fromkeys([*value["enum"], None]))
    if "type" in value:
        return {**value, "type": [value["type"], "null"]}
    return {"anyOf": [value, {"type": "null"}]}


def references(value: Any) -> set[str]:
    """Return the names of the schemas that a value refers to."""
    if isinstance(value, list):
        return set().union(*(references(item) for item in value))
    if not isinstance(value, dict):
        return set()
    target = value.get("$ref")
    own = {target.removeprefix("#/schemas/")} if isinstance(target, str) else set()
    return own.union(*(references(item) for item in value.values()))


def one_line_an_entry(extract: dict[str, Any]) -> str:
    """Write the file so that a change of one schema is a change of one line."""
    parts = [f'{{"source":{json.dumps(extract["source"])}']
    for section in ("operations", "schemas"):
        entries = ",\n".join(
            f"{json.dumps(name)}:{json.dumps(entry, sort_keys=True, separators=(',', ':'))}"
            for name, entry in sorted(extract[section].items())
        )
        parts.append(f'"{section}":{{\n{entries}\n}}')
    return ",\n".join(parts) + "}\n"


if __name__ == "__main__":
    main(Path(sys.argv[1]))
