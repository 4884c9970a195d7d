"""Git's smart HTTP protocol for the fake's repositories, by git's own CGI program."""

from __future__ import annotations

import base64
import re
import subprocess
from typing import TYPE_CHECKING
from urllib.parse import urlsplit


if TYPE_CHECKING:
    from http.server import BaseHTTPRequestHandler

    from tests.fake_github.world import World

_SERVICE = re.compile(
    r"/(?P<name>[^/]+/[^/]+?)(?:\.git)?(?P<rest>/info/refs|/git-upload-pack|/git-receive-pack)"
)


def is_git(path: str) -> bool:
    return _SERVICE.fullmatch(urlsplit(path).path) is not None


def serve(handler: BaseHTTPRequestHandler, world: World, body: bytes) -> None:
    """Answer one request of a git client; a push needs a token with ``contents: write``."""
    parts = urlsplit(handler.path)
    match = _SERVICE.fullmatch(parts.path)
    repository = world.data["repositories"].get(match["name"]) if match else None
    if match is None or repository is None:
        _answer(handler, 404, b"Repository not found.\n")
        return
    token = world.data["tokens"].get(_token(handler.headers.get("Authorization", "")))
    pushing = "git-receive-pack" in parts.path + parts.query
    if token is None and (pushing or repository["private"]):
        _answer(
            handler,
            401,
            b"Authentication required.\n",
            {"WWW-Authenticate": 'Basic realm="GitHub"'},
        )
    elif pushing and token["permissions"].get("contents") != "write":
        _answer(handler, 403, b"Write access to repository not granted.\n")
    else:
        environ = _environ(handler, world, f"/{match['name']}.git{match['rest']}", parts.query)
        login = {"REMOTE_USER": token["login"]} if token else {}
        _relay(handler, {**environ, **login}, body)


def _environ(
    handler: BaseHTTPRequestHandler, world: World, path: str, query: str
) -> dict[str, str]:
    return {
        "GIT_HTTP_EXPORT_ALL": "1",
        "GIT_PROJECT_ROOT": str(world.git_root),
        "GIT_PROTOCOL": handler.headers.get("Git-Protocol", ""),
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "safe.directory",
        "GIT_CONFIG_VALUE_0": "*",
        "CONTENT_TYPE": handler.headers.get("Content-Type", ""),
        "HTTP_CONTENT_ENCODING": handler.headers.get("Content-Encoding", ""),
        "PATH": "/usr/bin:/bin",
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "REMOTE_ADDR": handler.client_address[0],
        "REQUEST_METHOD": handler.command,
    }


def _relay(handler: BaseHTTPRequestHandler, environ: dict[str, str], body: bytes) -> None:
    environ = {**environ, "CONTENT_LENGTH": str(len(body))}
    done = subprocess.run(
        ["git", "http-backend"], input=body, env=environ, capture_output=True, check=True
    )
    head, _, payload = done.stdout.partition(b"\r\n\r\n")
    headers = dict(line.split(": ", 1) for line in head.decode().splitlines())
    status = int(headers.pop("Status", "200").split()[0])
    _answer(handler, status, payload, headers)


def _answer(
    handler: BaseHTTPRequestHandler,
    status: int,
    body: bytes,
    headers: dict[str, str] | None = None,
) -> None:
    handler.send_response(status)
    for name, value in {**(headers or {}), "Content-Length": str(len(body))}.items():
        handler.send_header(name, value)
    handler.end_headers()
    handler.wfile.write(body)


def _token(authorization: str) -> str:
    """Read the token out of ``basic base64(anyone:TOKEN)`` or ``bearer TOKEN``."""
    scheme, _, value = authorization.partition(" ")
    if scheme.lower() != "basic":
        return value
    return base64.b64decode(value).decode().rpartition(":")[2]
