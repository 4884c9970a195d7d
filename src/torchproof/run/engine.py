"""A thin client of the docker engine's HTTP API over its unix socket.

Only the standard library and only the calls that the seal and the lease need. Paths are
unversioned, so that the engine answers with its own version of the API. Reference: the Docker
Engine API, https://docs.docker.com/reference/api/engine/.
"""

from __future__ import annotations

import contextlib
import json
import re
import socket
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from torchproof.errors import HostError
from torchproof.run.unix_http import frames, refusal, request


if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

SOCKET = Path("/var/run/docker.sock")
TIMEOUT = 60.0
"""Seconds an ordinary call may take; waiting and streaming calls have no limit."""

_OWN_ID = re.compile(r"containers/([0-9a-f]{64})/")


@dataclass(frozen=True, kw_only=True)
class Mount:
    """A directory of the host (``source``) as one container sees it (``destination``)."""

    source: PurePosixPath
    destination: PurePosixPath


@dataclass(frozen=True, kw_only=True)
class Me:
    """The container this process runs in, as its engine describes it."""

    id: str
    image: str
    labels: Mapping[str, str]
    mounts: tuple[Mount, ...]
    network: str


class Engine:
    """The docker engine behind a unix socket.

    Every call opens its own connection, so that a signal handler may use an engine that is in the
    middle of another call. Every failure is a `HostError` with the engine's own words.
    """

    def __init__(self, path: Path = SOCKET) -> None:
        self.socket = path
        self._me: Me | None = None
        self._looked_for_me = False

    def info(self) -> dict[str, Any]:
        """Describe the engine: version, runtimes, storage, security options."""
        described: dict[str, Any] = self._json("GET", "/info")
        return described

    def pull(self, image: str) -> None:
        """Fetch an image unless it is there; only from where no login is needed."""
        with contextlib.suppress(HostError):
            self._json("GET", f"/images/{quote(image)}/json")
            return
        query = {"fromImage": image if ":" in image.rpartition("/")[2] else f"{image}:latest"}
        with request(self.socket, "POST", "/images/create", query) as progress:
            for line in progress:
                if error := json.loads(line).get("error"):
                    raise refusal(error)

    def create(self, spec: Mapping[str, Any], *, name: str | None = None) -> str:
        """Create a container from the API's own description and return its id."""
        query = {"name": name} if name else {}
        return str(self._json("POST", "/containers/create", query, spec)["Id"])

    def start(self, container: str) -> None:
        """Start a created container."""
        self._json("POST", f"/containers/{container}/start")

    def wait(self, container: str) -> int:
        """Wait until the container has ended and return its exit code (128 + n for signal n)."""
        ended = self._json("POST", f"/containers/{container}/wait", timeout=None)
        return int(ended["StatusCode"])

    def logs(self, container: str, *, follow: bool = False) -> Iterator[bytes]:
        """Read what the container has written; with ``follow`` until it ends."""
        query = {"stdout": 1, "stderr": 1, "follow": int(follow)}
        return self._stream("GET", f"/containers/{container}/logs", query)

    def attach(self, container: str) -> Iterator[bytes]:
        """Read what the container writes from now on, whatever its log driver.

        The connection stands when this returns: attach, then `start`, and nothing is lost. A slow
        reader slows the container down; nothing is kept on the host.
        """
        query = {"stream": 1, "stdout": 1, "stderr": 1}
        return self._stream("POST", f"/containers/{container}/attach", query)

    def put(self, container: str, where: PurePosixPath, tar: bytes) -> None:
        """Unpack a tar archive into a directory of the container or of a volume it mounts."""
        url, query = f"/containers/{container}/archive", {"path": where}
        request(self.socket, "PUT", url, query, body=tar, timeout=TIMEOUT).close()

    def inspect(self, container: str) -> dict[str, Any]:
        """Describe a container."""
        described: dict[str, Any] = self._json("GET", f"/containers/{container}/json")
        return described

    def kill(self, container: str, signal: str = "SIGKILL") -> None:
        """Send a signal to the container's first process."""
        self._json("POST", f"/containers/{container}/kill", {"signal": signal})

    def remove(self, container: str, *, force: bool = False) -> None:
        """Remove a container and its anonymous volumes; ``force`` ends it first."""
        self._json("DELETE", f"/containers/{container}", {"force": int(force), "v": 1})

    def list(self, labels: Mapping[str, str | None]) -> list[dict[str, Any]]:
        """List all containers that have these labels, running or not; None is any value."""
        wanted = [key if value is None else f"{key}={value}" for key, value in labels.items()]
        query = {"all": 1, "filters": json.dumps({"label": wanted})}
        found: list[dict[str, Any]] = self._json("GET", "/containers/json", query)
        return found

    def me(self) -> Me | None:
        """Find the container this process runs in; None on a host or under another engine."""
        if not self._looked_for_me:
            self._me = self._find_me()
            self._looked_for_me = True
        return self._me

    def host_path(self, path: Path) -> str:
        """Say what the host calls a path of ours, through the mounts of our own container."""
        me = self.me()
        if me is None:
            return str(path)
        around = [mount for mount in me.mounts if path.is_relative_to(mount.destination)]
        if not around:
            raise HostError(
                "it is not on a volume of this container, so a sibling container cannot see it",
                "Use a path below /github/workspace or below another mounted directory.",
                where=str(path),
            )
        nearest = max(around, key=lambda mount: len(mount.destination.parts))
        return str(nearest.source / path.relative_to(nearest.destination))

    def _find_me(self) -> Me | None:
        name = own_id(Path("/proc/self/mountinfo").read_text("utf-8")) or socket.gethostname()
        try:
            found = self.inspect(quote(name, safe=""))
        except HostError as error:
            if "no such container" not in error.what.lower():
                raise
            return None
        # A machine's host name may be some container's name; the container's own host name is sure.
        if name not in (found["Id"], found["Config"]["Hostname"]):
            return None
        return Me(
            id=found["Id"],
            image=found["Image"],
            labels=found["Config"]["Labels"] or {},
            mounts=tuple(_mounts(found)),
            network=found["HostConfig"]["NetworkMode"],
        )

    def _json(
        self,
        method: str,
        path: str,
        query: Mapping[str, Any] | None = None,
        body: Mapping[str, Any] | None = None,
        timeout: float | None = TIMEOUT,
    ) -> Any:
        data = None if body is None else json.dumps(body).encode()
        with request(
            self.socket, method, path, query or {}, body=data, timeout=timeout
        ) as response:
            return json.loads(response.read() or b"null")

    def _stream(self, method: str, path: str, query: Mapping[str, Any]) -> Iterator[bytes]:
        return frames(request(self.socket, method, path, query))


def own_id(mountinfo: str) -> str | None:
    """Find our container's id in ``/proc/self/mountinfo``: the engine mounts /etc/hostname.

    A host that runs containers has their ids in its mounts too, but none on /etc/hostname.
    """
    for line in mountinfo.splitlines():
        root, point = line.split()[3:5]
        found = _OWN_ID.search(root)
        if found and point == "/etc/hostname":
            return found.group(1)
    return None


def _mounts(container: Mapping[str, Any]) -> Iterator[Mount]:
    for mount in container["Mounts"]:
        if mount.get("Source"):
            source, destination = mount["Source"], mount["Destination"]
            yield Mount(source=PurePosixPath(source), destination=PurePosixPath(destination))
