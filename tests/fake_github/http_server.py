"""The fake GitHub as a web server: API, git and, under ``/_fake/``, the strings to pull.

The API answers at the root, as api.github.com does, and below ``/api/v3``, as GitHub Enterprise
Server does. A request or answer against GitHub's description is recorded in ``violations`` and
becomes an error that no client can overlook.
"""

from __future__ import annotations

import json
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from tests.fake_github.bodies import Bodies
from tests.fake_github.contract import Contract
from tests.fake_github.faults import Fault, Wire, spoilt
from tests.fake_github.handler import Handler, Server
from tests.fake_github.operations import Ask, Operations, Refusal, Reply
from tests.fake_github.permissions import permitted
from tests.fake_github.world import World


if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

API_V3 = "/api/v3"


class FakeGitHub:
    """A GitHub with its web server.

    Args:
        flavour: ``github.com`` or ``ghes``.
        directory: Keeps state.json and the git repositories; without one there is no git.
        host: Address to listen on.
        port: To listen on, 0 for any.
        name: Host name under which clients reach it.
    """

    def __init__(
        self,
        *,
        flavour: str = "github.com",
        directory: Path | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        name: str = "",
    ) -> None:
        self.flavour = flavour
        self.world = World(directory)
        self.contract = Contract(flavour)
        self.faults: list[Fault] = []
        self.before: dict[str, Callable[[], Any]] = {}
        self._lock = threading.RLock()
        self.server = Server((host, port), Handler)
        self.server.github = self
        self.url = f"http://{name or host}:{self.server.server_address[1]}"
        self.api_url = self.url + (API_V3 if flavour == "ghes" else "")
        bodies = Bodies(self.contract, api=self.api_url, web=self.url)
        self._operations = Operations(self.world, bodies)

    def fail(self, kind: str, **details: Any) -> None:
        """Let the next matching requests fail; see `Fault`."""
        self.faults.append(Fault(kind, **details))

    def answer(self, method: str, target: str, headers: Any, body: bytes) -> Wire | None:
        """Answer one API request; None resets the connection."""
        parts = urlsplit(target)
        path = parts.path.removeprefix(API_V3)
        fault = self._take_fault(method, path)
        wire = Wire(500, b"")
        if fault is None or fault.effect or fault.kind in ("cut-json", "truncated"):
            wire = self._perform(method, path, dict(parse_qsl(parts.query)), headers, body)
        return wire if fault is None else spoilt(fault, wire, str(headers))

    def _perform(
        self, method: str, path: str, query: dict[str, str], headers: Any, body: bytes
    ) -> Wire:
        found = self.contract.find(method, path)
        if found is None:
            return self._violation(method, path, "the operation is not in the description")
        operation, params = found
        content = json.loads(body) if body else None
        if operation.id in self.before:
            self.before[operation.id]()
        problem = self.contract.request_problem(operation, query, content)
        if problem and self._is_new_to_ghes(problem):
            return self._wire(Refusal(400, f"Invalid request.\n\n{problem}.").reply, path, query)
        if problem:
            return self._violation(method, path, problem)
        ask = Ask(params, query, content or {}, ghes=self.flavour == "ghes")
        with self._lock:
            reply = self._reply(operation.id, ask, headers.get("Authorization", ""))
            self.world.save()
        if reply.items is not None:
            reply = self._page(reply, path, query)
        problem = self.contract.response_problem(operation, reply.status, reply.body)
        if problem:
            return self._violation(method, path, f"answer {reply.status}: {problem}")
        return self._wire(reply, path, query)

    def _reply(self, operation: str, ask: Ask, authorization: str) -> Reply:
        try:
            ask.login = self._admitted(operation, ask, authorization)
            return self._operations.perform(operation, ask)
        except Refusal as refusal:
            return refusal.reply

    def _admitted(self, operation: str, ask: Ask, authorization: str) -> str:
        """Return whose token it is, if that may do this."""
        if not authorization:
            raise Refusal(401, "Requires authentication")
        token = self.world.data["tokens"].get(authorization.partition(" ")[2])
        if token is None:
            raise Refusal(401, "Bad credentials")
        if "owner" not in ask.params:
            return token["login"]
        repository = self.world.data["repositories"].get(ask.repository)
        if repository is None:
            raise Refusal(404, "Not Found")
        rights = {"metadata": "read", **token["permissions"]}
        if not permitted(operation, rights, private=repository["private"]):
            raise Refusal(403, "Resource not accessible by integration")
        return token["login"]

    def _is_new_to_ghes(self, problem: str) -> bool:
        return self.flavour == "ghes" and problem.startswith('"return_run_details"')

    def _page(self, reply: Reply, path: str, query: dict[str, str]) -> Reply:
        size, number = int(query.get("per_page", 30)), int(query.get("page", 1))
        items = (reply.items or [])[(number - 1) * size : number * size]
        last = max(1, -(-len(reply.items or []) // size))
        links = {"next": number + 1, "last": last} if number < last else {}
        if number > 1:
            links |= {"prev": number - 1, "first": 1}
        address = f"{self.api_url}{path}"
        link = ", ".join(
            f'<{address}?{urlencode({**query, "page": page})}>; rel="{rel}"'
            for rel, page in links.items()
        )
        total = {"total_count": len(reply.items or []), reply.key: items}
        headers = {"Link": link} if link else {}
        return Reply(reply.status, total if reply.key else items, headers=headers)

    def _wire(self, reply: Reply, path: str, query: dict[str, str]) -> Wire:
        self.world.data["requests"][-1]["status"] = reply.status
        body = b"" if reply.body is None else json.dumps(reply.body).encode()
        limits = {"X-RateLimit-Limit": "1000", "X-RateLimit-Remaining": "999"}
        limits |= {"X-RateLimit-Reset": str(int(time.time()) + 3600)}
        return Wire(reply.status, body, {**limits, **reply.headers})

    def _violation(self, method: str, path: str, problem: str) -> Wire:
        with self._lock:
            self.world.data["violations"].append(f"{method} {path}: {problem}")
            self.world.save()
        return Wire(500, json.dumps({"message": f"fake GitHub: {problem}"}).encode())

    def _take_fault(self, method: str, path: str) -> Fault | None:
        with self._lock:
            self.world.data["requests"].append({"method": method, "path": path, "status": 0})
            fault = next((item for item in self.faults if item.hits(method, path)), None)
            if fault:
                fault.times -= 1
            return fault

    def command(self, name: str, arguments: dict[str, Any]) -> Any:
        """Do what a test of another process asks for: ``state``, ``fail`` or an ``add_…``."""
        with self._lock:
            if name == "state":
                return self.world.data
            if name == "fail":
                return self.fail(**arguments)
            result = getattr(self.world, f"add_{name}")(**arguments)
            self.world.save()
            return result


@contextmanager
def running(**arguments: Any) -> Iterator[FakeGitHub]:
    """Run a fake GitHub in a thread, and insist that nobody broke GitHub's description."""
    github = FakeGitHub(**arguments)
    thread = threading.Thread(target=github.server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield github
    finally:
        github.server.shutdown()
        github.server.server_close()
        thread.join()
    assert not github.world.data["violations"], github.world.data["violations"]
