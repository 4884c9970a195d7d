"""Real repositories and servers for the history's tests."""

from __future__ import annotations

import os
import socket
import subprocess
import threading
import time
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from torchproof.history.store import History
from torchproof.record import Metric, Outcome, Record, Source


NOW = 1_795_442_400.0  # 2026-11-23 14:00 UTC


class Git:
    """A repository driven from outside, as a user or an administrator would."""

    def __init__(self, path):
        self.path = Path(path)
        self.clock = int(NOW) - 1_000_000

    def __call__(self, *arguments, stdin=""):
        self.clock += 60
        env = {
            "PATH": os.environ["PATH"],
            "HOME": "/nonexistent",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_AUTHOR_DATE": f"{self.clock} +0000",
            "GIT_COMMITTER_DATE": f"{self.clock} +0000",
            **{f"GIT_{who}_NAME": "A User" for who in ("AUTHOR", "COMMITTER")},
            **{f"GIT_{who}_EMAIL": "user@example.org" for who in ("AUTHOR", "COMMITTER")},
        }
        argv = ["git", "-C", str(self.path), *arguments]
        done = subprocess.run(
            argv, env=env, input=stdin, capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    def commit(self, text, *parents):
        """Make a commit that changes nothing but says so, on the given parents."""
        tree = self("mktree")
        options = [item for parent in parents for item in ("-p", parent)]
        return self("commit-tree", tree, *options, "-m", text)

    def line(self, length, *, start=None, branch="main"):
        """Grow a branch by commits in a row; return them, oldest first."""
        commits = []
        for number in range(length):
            parents = [start] if start else []
            start = self.commit(f"{branch} {number}", *parents)
            commits.append(start)
        self("update-ref", f"refs/heads/{branch}", start)
        return commits

    def write(self, path, text, *, branch="torchproof-history"):
        """Put a file on a branch, past torchproof."""
        stream = (
            f"commit refs/heads/{branch}\ncommitter A <a@b> 1795442400 +0000\ndata 4\nedit\n"
            f"from refs/heads/{branch}^0\nM 100644 inline {path}\n"
            f"data {len(text.encode())}\n{text}\n"
        )
        self("fast-import", "--quiet", stdin=stream)


@pytest.fixture
def remote(tmp_path):
    """A bare repository with the branch main, configured as a git host is."""
    path = tmp_path / "remote.git"
    subprocess.run(["git", "init", "-q", "--bare", "-b", "main", path], check=True)
    git = Git(path)
    git("config", "uploadpack.allowFilter", "true")
    git("config", "uploadpack.allowAnySHA1InWant", "true")
    git("config", "http.receivepack", "true")
    git.url = path.as_uri()
    return git


@pytest.fixture
def history(remote):
    """Open a history whose clock runs a hundred times as fast, so that waits are short."""
    opened = []
    began = time.monotonic()

    def open_history(address=None, **options):
        defaults = {
            "clock": lambda: NOW + int(100 * (time.monotonic() - began)),
            "sleep": lambda seconds: time.sleep(seconds / 100),
        }
        opened.append(History(address or remote.url, **{**defaults, **options}).__enter__())
        return opened[-1]

    yield open_history
    for one in opened:
        one.__exit__()


@pytest.fixture
def record():
    """Make a record; ``at`` is its start, the rest goes into its source."""
    return make_record


def make_record(
    commit="a" * 40,
    *,
    at="2026-11-23T13:00:00Z",
    tier="unit",
    value=0.9,
    seed=0,
    run_id="1",
    **source,
):
    values = {"tested": commit, "branch": "main", "event": "push", "attempt": 1, **source}
    return Record(
        tier=tier,
        state="complete",
        started=at,
        seed=seed,
        outcomes=(Outcome("tests/test_net.py::test_quality", "passed", 0.5),),
        metrics=(
            Metric("tests/test_net.py::test_quality", "val/accuracy", value, better="higher"),
        ),
        source=Source(repository="owner/project", commit=commit, run_id=run_id, **values),
    )


@contextmanager
def git_daemon(root):
    """Serve the repositories under a directory over git://; yields the port."""
    with closing(socket.create_server(("127.0.0.1", 0))) as probe:
        port = probe.getsockname()[1]
    argv = ["git", "daemon", "--reuseaddr", "--export-all", "--enable=receive-pack"]
    argv += ["--listen=127.0.0.1", f"--port={port}", f"--base-path={root}", str(root)]
    with subprocess.Popen(argv, stderr=subprocess.DEVNULL, start_new_session=True) as daemon:
        _wait_for(port)
        yield port
        os.killpg(daemon.pid, 15)


@pytest.fixture
def daemon(remote):
    """The remote as git:// serves it, behind a proxy that counts bytes."""
    with git_daemon(remote.path.parent) as port, CountingProxy(port) as proxy:
        proxy.url = f"git://127.0.0.1:{proxy.port}/{remote.path.name}"
        yield proxy


class CountingProxy:
    """Passes connections on and counts what goes either way."""

    def __init__(self, port):
        self.target = port
        self.bytes = 0
        self.connections = 0
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self._listener.getsockname()[1]

    def __enter__(self):
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def __exit__(self, *_):
        self._listener.close()

    def _serve(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            try:
                server = socket.create_connection(("127.0.0.1", self.target))
            except OSError:
                client.close()
                continue
            for pair in ((client, server), (server, client)):
                threading.Thread(target=self._pump, args=pair, daemon=True).start()

    def _pump(self, source, target):
        try:
            while data := source.recv(65536):
                self.bytes += len(data)
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            target.close()


@pytest.fixture
def web(remote):
    """The remote over HTTP through git http-backend; asks for the password ``secret``.

    ``web.refuse(service, status)`` makes it answer a service (git-receive-pack) with a status.
    """
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Backend)
    server.root = remote.path.parent
    server.seen = []
    server.refused = {}
    server.url = f"http://127.0.0.1:{server.server_port}/{remote.path.name}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


class _Backend(BaseHTTPRequestHandler):
    """Just enough of CGI for git http-backend."""

    def do_GET(self):
        path, _, query = self.path.partition("?")
        self.server.seen.append(self.headers.get("Authorization"))
        if not self.headers.get("Authorization"):
            return self._answer(401, {"WWW-Authenticate": 'Basic realm="test"'})
        for service, status in self.server.refused.items():
            if service in self.path:
                return self._answer(status, {})
        return self._cgi(path, query)

    def do_POST(self):
        return self.do_GET()

    def _cgi(self, path, query):
        body = self._body()
        env = {
            "PATH": os.environ["PATH"],
            "GIT_PROJECT_ROOT": str(self.server.root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
            "REMOTE_USER": "user",
            "REQUEST_METHOD": self.command,
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
        }
        answer = subprocess.run(
            ["git", "http-backend"], env=env, input=body, capture_output=True, check=True
        )
        head, _, content = answer.stdout.partition(b"\r\n\r\n")
        fields = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
        status = int(fields.pop("Status", "200").split()[0])
        return self._answer(status, fields, content)

    def _body(self):
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        chunks = []
        while size := int(self.rfile.readline(), 16):
            chunks.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(chunks)

    def _answer(self, status, fields, content=b""):
        self.send_response(status)
        for name, value in {**fields, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        pass


def _wait_for(port):
    for _ in range(200):
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            time.sleep(0.02)
        else:
            return
    raise AssertionError("the server did not start")
