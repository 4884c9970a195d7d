"""What the fake's resources look like in answers.

GitHub's objects have up to a hundred required keys of which nobody here reads ten. `filled` makes
those up from the description, so that an object is complete in every flavour.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any


if TYPE_CHECKING:
    from tests.fake_github.contract import Contract

NOWHERE = "https://example.invalid/"
LONG_AGO = "2020-01-01T00:00:00Z"


def filled(contract: Contract, schema: dict[str, Any], known: dict[str, Any]) -> dict[str, Any]:
    """Return the known values and a made-up one for each other key that the schema requires."""
    schema = _resolved(contract, schema)
    properties = schema.get("properties", {})
    missing = [key for key in schema.get("required", []) if key not in known]
    return {**{key: _made_up(contract, properties[key], key) for key in missing}, **known}


def _resolved(contract: Contract, schema: dict[str, Any]) -> dict[str, Any]:
    while "properties" not in schema and "type" not in schema:
        if "$ref" in schema:
            schema = contract.schemas[schema["$ref"].removeprefix("#/schemas/")]
        else:
            schema = next(schema[kind][0] for kind in ("oneOf", "anyOf", "allOf") if kind in schema)
    return schema


def _made_up(contract: Contract, schema: dict[str, Any], key: str) -> Any:
    schema = _resolved(contract, schema)
    kind = schema.get("type", "object")
    if "null" in kind:
        return None
    if "enum" in schema:
        return schema["enum"][0]
    if kind == "object":
        return filled(contract, schema, {})
    if kind == "string":
        return {"date-time": LONG_AGO, "uri": NOWHERE + key}.get(schema.get("format", ""), key)
    return {"integer": 0, "number": 0, "boolean": False, "array": []}[kind]


class Bodies:
    """Writes resources; ``api`` and ``web`` are the addresses that answers name."""

    def __init__(self, contract: Contract, *, api: str, web: str) -> None:
        self._contract = contract
        self._api = api
        self._web = web

    def user(self, login: str, *, schema: str = "simple-user") -> dict[str, Any]:
        kind = "Bot" if login.endswith("[bot]") else "User"
        known = {"login": login, "id": _number(login), "type": kind}
        known |= {"url": f"{self._api}/users/{login}", "html_url": f"{self._web}/{login}"}
        return self._filled(schema, known)

    def repository(self, item: dict[str, Any], schema: str = "full-repository") -> dict[str, Any]:
        owner, name = item["full_name"].split("/")
        known = {"id": item["id"], "name": name, "full_name": item["full_name"], "fork": False}
        known |= {"private": item["private"], "default_branch": item["default_branch"]}
        known |= {"owner": self.user(owner), "url": self._repository_url(item["full_name"])}
        return self._filled(schema, known)

    def pull(self, item: dict[str, Any], repository: dict[str, Any]) -> dict[str, Any]:
        url = f"{self._repository_url(repository['full_name'])}/pulls/{item['number']}"
        issue = url.replace("/pulls/", "/issues/")
        known = {"number": item["number"], "title": item["title"], "state": item["state"]}
        known |= {"url": url, "issue_url": issue, "comments_url": f"{issue}/comments"}
        known |= {"html_url": f"{self._web}/{repository['full_name']}/pull/{item['number']}"}
        known |= {"user": self.user(item["author"])}
        body = self._filled("pull-request", known)
        base = self.repository(repository, "repository")
        body["base"] |= {"ref": item["base_ref"], "sha": item["base_sha"], "repo": base}
        head = {**base, "full_name": item["head_repository"]}
        body["head"] |= {"ref": item["head_ref"], "sha": item["head_sha"], "repo": head}
        return body

    def issue(self, item: dict[str, Any], repository: dict[str, Any]) -> dict[str, Any]:
        url = f"{self._repository_url(repository['full_name'])}/issues/{item['number']}"
        page = f"{self._web}/{repository['full_name']}/issues/{item['number']}"
        known = {"number": item["number"], "title": item["title"], "state": item["state"]}
        known |= {"url": url, "comments_url": f"{url}/comments", "html_url": page}
        if "head_sha" in item:
            known |= {"pull_request": {"url": url.replace("/issues/", "/pulls/")}}
            known["pull_request"] |= {"html_url": page, "diff_url": page, "patch_url": page}
        else:
            kept = ("body", "state_reason", "created_at", "updated_at", "closed_at")
            known |= {key: item[key] for key in kept}
        return self._filled("issue", {**known, "user": self.user(item["author"])})

    def commit(self, repository: str, sha: str, login: str | None) -> dict[str, Any]:
        author = self.user(login) if login else None
        url = f"{self._repository_url(repository)}/commits/{sha}"
        return self._filled("commit", {"sha": sha, "url": url, "author": author})

    def comment(self, item: dict[str, Any]) -> dict[str, Any]:
        url = self._repository_url(item["repository"])
        page = f"{self._web}/{item['repository']}/pull/{item['issue']}#issuecomment-{item['id']}"
        known = {"id": item["id"], "body": item["body"], "user": self.user(item["user"])}
        known |= {"created_at": item["created_at"], "updated_at": item["updated_at"]}
        known |= {"url": f"{url}/issues/comments/{item['id']}", "html_url": page}
        return self._filled(
            "issue-comment", {**known, "issue_url": f"{url}/issues/{item['issue']}"}
        )

    def check(self, item: dict[str, Any]) -> dict[str, Any]:
        url = f"{self._repository_url(item['repository'])}/check-runs/{item['id']}"
        output = item["output"]
        kept = {key: output.get(key) for key in ("title", "summary", "text")}
        kept |= {"annotations_count": len(item["annotations"])}
        kept |= {"annotations_url": f"{url}/annotations"}
        keys = ("id", "name", "head_sha", "status", "conclusion", "external_id", "started_at")
        known = {key: item[key] for key in (*keys, "completed_at")}
        app = self._filled("nullable-integration", {"slug": item["app"], "name": item["app"]})
        known |= {"url": url, "check_suite": {"id": 1}, "output": kept, "app": app}
        return self._filled("check-run", known)

    def annotation(self, item: dict[str, Any]) -> dict[str, Any]:
        return self._filled("check-annotation", item)

    def workflow(self, item: dict[str, Any]) -> dict[str, Any]:
        url = self._repository_url(item["repository"])
        known = {"id": item["id"], "path": item["path"], "name": item["path"]}
        return self._filled("workflow", {**known, "url": f"{url}/actions/workflows/{item['id']}"})

    def run(self, item: dict[str, Any], repository: dict[str, Any]) -> dict[str, Any]:
        keys = ("id", "run_number", "display_title", "event", "status", "head_branch", "head_sha")
        known = {key: item[key] for key in (*keys, "path", "workflow_id", "created_at")}
        known |= {"repository": self.repository(repository, "minimal-repository")}
        return self._filled("workflow-run", {**known, **self.run_addresses(item)})

    def run_addresses(self, item: dict[str, Any]) -> dict[str, str]:
        page = f"{self._web}/{item['repository']}/actions/runs/{item['id']}"
        api = f"{self._repository_url(item['repository'])}/actions/runs/{item['id']}"
        return {"url": api, "html_url": page}

    def _filled(self, schema: str, known: dict[str, Any]) -> dict[str, Any]:
        return filled(self._contract, self._contract.schemas[schema], known)

    def _repository_url(self, full_name: str) -> str:
        return f"{self._api}/repos/{full_name}"


def _number(login: str) -> int:
    """Make up an account's id: the same for the same login."""
    return int.from_bytes(login.encode(), "big") % 2**31
