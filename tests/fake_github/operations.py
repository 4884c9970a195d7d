"""What each operation of the API does to the world, and what it answers."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any


if TYPE_CHECKING:
    from tests.fake_github.bodies import Bodies
    from tests.fake_github.world import World

DOCS = "https://docs.github.com/rest"
MAX_COMMENT = 65_536
MAX_INPUTS = 65_535
MAX_TITLE = 256
ISSUE_FILTERS = {"state", "creator", "page", "per_page"}


@dataclass
class Ask:
    """A request that has passed the description: its parameters, and whose token it carries."""

    params: dict[str, str]
    query: dict[str, str]
    body: dict[str, Any]
    login: str = ""
    ghes: bool = False

    @property
    def repository(self) -> str:
        return f"{self.params['owner']}/{self.params['repo']}"


@dataclass
class Reply:
    """An answer; ``items`` instead of a body where the answer comes in pages."""

    status: int
    body: Any = None
    items: list[Any] | None = None
    key: str = ""
    headers: dict[str, str] = field(default_factory=dict)


class Refusal(Exception):  # noqa: N818 an answer rather than an error
    """An answer that ends an operation early."""

    def __init__(self, status: int, message: str, *errors: dict[str, str]) -> None:
        body = {"message": message, "documentation_url": DOCS, "status": str(status)}
        self.reply = Reply(status, {**body, "errors": list(errors)} if errors else body)


class Operations:
    """One method for each operation, named after it."""

    def __init__(self, world: World, bodies: Bodies) -> None:
        self._world = world
        self._bodies = bodies

    def perform(self, operation: str, ask: Ask) -> Reply:
        name = operation.partition("/")[2].replace("-", "_")
        method = getattr(self, f"{operation.partition('/')[0]}_{name}")
        return method(ask)

    def users_get_authenticated(self, ask: Ask) -> Reply:
        if ask.login.endswith("[bot]"):
            raise Refusal(403, "Resource not accessible by integration")
        return Reply(200, self._bodies.user(ask.login, schema="public-user"))

    def repos_get(self, ask: Ask) -> Reply:
        return Reply(200, self._bodies.repository(self._repository(ask)))

    def pulls_get(self, ask: Ask) -> Reply:
        pull = self._pull(ask, "pull_number")
        return Reply(200, self._bodies.pull(pull, self._repository(ask)))

    def issues_get(self, ask: Ask) -> Reply:
        where = {"repository": ask.repository, "number": int(ask.params["issue_number"])}
        item = self._world.one("issues", **where) or self._one("pulls", **where)
        return Reply(200, self._bodies.issue(item, self._repository(ask)))

    def issues_list_for_repo(self, ask: Ask) -> Reply:
        """List issues and pull requests, newest first; only the filters that are known here."""
        _refuse_filters(ask.query)
        items = [*self._all("pulls", repository=ask.repository)]
        items += self._all("issues", repository=ask.repository)
        state, creator = ask.query.get("state", "open"), ask.query.get("creator")
        fitting = [i for i in items if state in (i["state"], "all")]
        fitting = [i for i in fitting if creator in (i["author"], None)]
        repository = self._repository(ask)
        ordered = sorted(fitting, key=lambda item: -item["number"])
        return Reply(200, items=[self._bodies.issue(item, repository) for item in ordered])

    def issues_create(self, ask: Ask) -> Reply:
        _refuse_long(ask.body.get("body") or "")
        title = ask.body["title"]
        if not title or len(title) > MAX_TITLE:
            error = {"resource": "Issue", "code": "custom", "field": "title"}
            raise Refusal(422, "Validation Failed", {**error, "message": "title is too long"})
        body = ask.body.get("body", "")
        item = self._world.add_issue(ask.repository, title, body, user=ask.login)
        return Reply(201, self._bodies.issue(item, self._repository(ask)))

    def issues_update(self, ask: Ask) -> Reply:
        number = int(ask.params["issue_number"])
        item = self._one("issues", repository=ask.repository, number=number)
        _refuse_long(ask.body.get("body") or "")
        now = self._world.now()
        item.update({**ask.body, "updated_at": now})
        item["closed_at"] = now if item["state"] == "closed" else None
        return Reply(200, self._bodies.issue(item, self._repository(ask)))

    def repos_get_commit(self, ask: Ask) -> Reply:
        sha = ask.params["ref"]
        known = self._world.one("authors", repository=ask.repository, sha=sha) or {}
        return Reply(200, self._bodies.commit(ask.repository, sha, known.get("login")))

    def issues_list_comments(self, ask: Ask) -> Reply:
        number = self._pull(ask, "issue_number")["number"]
        where = {"repository": ask.repository, "issue": number}
        since = ask.query.get("since", "")
        comments = [c for c in self._all("comments", **where) if c["updated_at"] >= since]
        return Reply(200, items=[self._bodies.comment(item) for item in comments])

    def issues_create_comment(self, ask: Ask) -> Reply:
        number = self._pull(ask, "issue_number")["number"]
        _refuse_long(ask.body["body"])
        item = self._world.add_comment(ask.repository, number, ask.body["body"], user=ask.login)
        return Reply(201, self._bodies.comment(item))

    def issues_get_comment(self, ask: Ask) -> Reply:
        return Reply(200, self._bodies.comment(self._comment(ask)))

    def issues_update_comment(self, ask: Ask) -> Reply:
        item = self._comment(ask)
        _refuse_long(ask.body["body"])
        item.update(body=ask.body["body"], updated_at=self._world.now())
        return Reply(200, self._bodies.comment(item))

    def issues_delete_comment(self, ask: Ask) -> Reply:
        self._world.data["comments"].remove(self._comment(ask))
        return Reply(204)

    def checks_create(self, ask: Ask) -> Reply:
        if not ask.login.endswith("[bot]"):
            raise Refusal(403, "You must authenticate via a GitHub App.")
        item = {"id": self._world.next_id(), "repository": ask.repository, "annotations": []}
        item |= {"app": ask.login.removesuffix("[bot]"), "started_at": self._world.now()}
        item |= {"status": "queued", "conclusion": None, "completed_at": None, "output": {}}
        item |= {"external_id": "", **self._check_changes(item, ask.body)}
        self._world.data["checks"].append(item)
        return Reply(201, self._bodies.check(item))

    def checks_update(self, ask: Ask) -> Reply:
        item = self._check(ask)
        item.update(self._check_changes(item, ask.body))
        return Reply(200, self._bodies.check(item))

    def checks_get(self, ask: Ask) -> Reply:
        return Reply(200, self._bodies.check(self._check(ask)))

    def checks_list_annotations(self, ask: Ask) -> Reply:
        marks = self._check(ask)["annotations"]
        return Reply(200, items=[self._bodies.annotation(mark) for mark in marks])

    def checks_list_for_ref(self, ask: Ask) -> Reply:
        where = {"repository": ask.repository, "head_sha": ask.params["ref"]}
        if "check_name" in ask.query:
            where["name"] = ask.query["check_name"]
        checks = self._all("checks", **where)
        return Reply(200, items=[self._bodies.check(item) for item in checks], key="check_runs")

    def actions_get_workflow(self, ask: Ask) -> Reply:
        return Reply(200, self._bodies.workflow(self._workflow(ask)))

    def actions_list_workflow_runs(self, ask: Ask) -> Reply:
        where = {"workflow_id": self._workflow(ask)["id"]}
        known = {"event": "event", "branch": "head_branch", "head_sha": "head_sha"}
        where |= {key: ask.query[name] for name, key in known.items() if name in ask.query}
        runs = reversed(self._all("runs", **where))
        repository = self._repository(ask)
        items = [self._bodies.run(item, repository) for item in runs]
        return Reply(200, items=items, key="workflow_runs")

    def actions_get_workflow_run(self, ask: Ask) -> Reply:
        item = self._one("runs", id=int(ask.params["run_id"]))
        return Reply(200, self._bodies.run(item, self._repository(ask)))

    def actions_create_workflow_dispatch(self, ask: Ask) -> Reply:
        item = self._start(ask, self._workflow(ask))
        if ask.ghes or not ask.body.get("return_run_details"):
            return Reply(204)
        addresses = self._bodies.run_addresses(item)
        body = {"workflow_run_id": item["id"], "run_url": addresses["url"]}
        return Reply(200, {**body, "html_url": addresses["html_url"]})

    def _start(self, ask: Ask, workflow: dict[str, Any]) -> dict[str, Any]:
        inputs = ask.body.get("inputs", {})
        unexpected = sorted(set(inputs) - set(workflow["inputs"]))
        if unexpected:
            raise Refusal(422, f"Unexpected inputs provided: {json.dumps(unexpected)}")
        if len(json.dumps(inputs)) > MAX_INPUTS:
            raise Refusal(422, "inputs are too large.")
        if ask.body["ref"] not in self._world.branches(ask.repository):
            raise Refusal(422, f"No ref found for: {ask.body['ref']}")
        runs = self._all("runs", workflow_id=workflow["id"])
        item = {"id": self._world.next_id(), "repository": ask.repository, "inputs": inputs}
        item |= {"workflow_id": workflow["id"], "path": workflow["path"], "status": "queued"}
        item |= {"event": "workflow_dispatch", "head_branch": ask.body["ref"]}
        item |= {"head_sha": self._world.commit_of(ask.repository, ask.body["ref"])}
        item |= {"run_number": len(runs) + 1, "created_at": self._world.now()}
        item |= {"display_title": _title(workflow, inputs)}
        self._world.data["runs"].append(item)
        return item

    def _check_changes(self, item: dict[str, Any], body: dict[str, Any]) -> dict[str, Any]:
        """Merge a request into a check run as GitHub does: annotations are added."""
        output = dict(body.get("output", {}))
        marks = [*item["annotations"], *output.pop("annotations", [])]
        changes = {**body, "output": {**item["output"], **output}, "annotations": marks}
        if "conclusion" in body:
            changes |= {"status": "completed", "completed_at": self._world.now()}
        return changes

    def _repository(self, ask: Ask) -> dict[str, Any]:
        return self._world.data["repositories"][ask.repository]

    def _pull(self, ask: Ask, name: str) -> dict[str, Any]:
        return self._one("pulls", repository=ask.repository, number=int(ask.params[name]))

    def _comment(self, ask: Ask) -> dict[str, Any]:
        number = int(ask.params["comment_id"])
        return self._one("comments", repository=ask.repository, id=number)

    def _check(self, ask: Ask) -> dict[str, Any]:
        number = int(ask.params["check_run_id"])
        return self._one("checks", repository=ask.repository, id=number)

    def _workflow(self, ask: Ask) -> dict[str, Any]:
        name = ask.params["workflow_id"]
        for item in self._all("workflows", repository=ask.repository):
            if name in (str(item["id"]), item["path"].rpartition("/")[2]):
                return item
        raise Refusal(404, "Not Found")

    def _one(self, kind: str, **where: Any) -> dict[str, Any]:
        item = self._world.one(kind, **where)
        if item is None:
            raise Refusal(404, "Not Found")
        return item

    def _all(self, kind: str, **where: Any) -> list[dict[str, Any]]:
        return [item for item in self._world.data[kind] if where.items() <= item.items()]


def _refuse_filters(query: dict[str, str]) -> None:
    unknown = sorted(set(query) - ISSUE_FILTERS)
    if unknown:
        raise Refusal(422, f"the fake does not know the filters {', '.join(unknown)}")


def _refuse_long(body: str) -> None:
    if len(body) > MAX_COMMENT:
        words = f"Body is too long (maximum is {MAX_COMMENT} characters)"
        error = {"resource": "IssueComment", "code": "unprocessable", "field": "data"}
        raise Refusal(422, "Validation Failed", {**error, "message": words})


def _title(workflow: dict[str, Any], inputs: dict[str, str]) -> str:
    def value(match: re.Match[str]) -> str:
        text = inputs.get(match["name"], "")
        return str(json.loads(text).get(match["key"])) if match["key"] else text

    expression = r"\$\{\{ *(?:fromJSON\()?inputs\.(?P<name>[\w-]+)(?:\)\.(?P<key>\w+))? *\}\}"
    title = re.sub(expression, value, workflow["run_name"])
    return title or workflow["path"]
