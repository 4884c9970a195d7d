"""The fake GitHub's side of a connection: reads requests, writes answers and breaks off."""

from __future__ import annotations

import json
import socket
import struct
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from tests.fake_github import git_http
from tests.fake_github.faults import Wire


if TYPE_CHECKING:
    from tests.fake_github.http_server import FakeGitHub


class Server(ThreadingHTTPServer):
    """A web server that knows which GitHub it serves."""

    daemon_threads = True
    request_queue_size = 64
    github: FakeGitHub


class Handler(BaseHTTPRequestHandler):
    """Leads each request to the API, to git, or to whoever commands the fake."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    server: Server

    def handle_one_request(self) -> None:
        """Serve every method alike."""
        self.raw_requestline = self.rfile.readline(65537)
        if not self.raw_requestline:
            self.close_connection = True
        elif self.parse_request():
            self._serve()
            self.wfile.flush()

    def _serve(self) -> None:
        github, body = self.server.github, self._body()
        if self.path.startswith("/_fake/"):
            result = github.command(self.path.removeprefix("/_fake/"), json.loads(body or b"{}"))
            self._send(Wire(200, json.dumps(result).encode()))
        elif git_http.is_git(self.path):
            git_http.serve(self, github.world, body)
        else:
            wire = github.answer(self.command, self.path, self.headers, body)
            self._reset() if wire is None else self._send(wire)

    def _send(self, wire: Wire) -> None:
        self.send_response(wire.status)
        headers = {"Content-Type": "application/json; charset=utf-8", **wire.headers}
        if wire.status != 204:
            headers["Content-Length"] = str(len(wire.body))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(wire.body[: wire.sent])
        self.close_connection = wire.sent is not None

    def _reset(self) -> None:
        """End the connection with RST, as a host does that went away."""
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        chunks = []
        while size := int(self.rfile.readline(), 16):
            chunks.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(chunks)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 the name is the library's
        """Keep quiet: requests are in the state."""
