"""HTTP over a unix socket, as the docker engine speaks it; failures become one kind of error."""

from __future__ import annotations

import contextlib
import http
import http.client
import json
import socket
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from torchproof.errors import HostError


if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

_FRAME_HEADER = 8
_READ_ITS_LOG = "Look at the engine's own log, for example `journalctl -u docker`."

_REMEDIES = {
    "could not select device driver": "Install the NVIDIA container toolkit on the host and run "
    "`nvidia-ctk runtime configure --runtime=docker`, then restart docker.",
    "unknown runtime specified nvidia": "Install the NVIDIA container toolkit on the host.",
    "no such image": "Correct `image` in the settings, or pull it on the runner beforehand.",
    "no space left on device": "Free disk space on the runner, for example `docker system prune`.",
    "executable file not found": "Name a program that the image holds, or another `image`.",
    "no such container": "It was removed by somebody else while it was in use.",
}


def request(
    path: Path,
    method: str,
    url: str,
    query: Mapping[str, Any],
    *,
    body: bytes | None = None,
    timeout: float | None = None,
) -> http.client.HTTPResponse:
    """Send one request on a connection of its own; the caller reads and closes the response.

    Args:
        path: The socket.
        method: GET, POST, PUT or DELETE.
        url: The resource.
        query: Its parameters.
        body: A JSON object or a tar archive.
        timeout: Seconds that any one wait may take; None is for ever.

    Raises:
        HostError: The engine cannot be reached, or refuses; with its own words.
    """
    connection = _Connection(path, timeout)
    kind = "application/json" if body is None or body[:1] == b"{" else "application/x-tar"
    headers = {"Content-Type": kind, "Connection": "close"}
    try:
        connection.request(method, f"{url}?{urlencode(query)}", body, headers)
        response = connection.getresponse()
    except (OSError, http.client.HTTPException) as error:
        raise _unreachable(path, error) from error
    if response.status >= http.HTTPStatus.BAD_REQUEST:
        raise _refused(response)
    return response


def frames(response: http.client.HTTPResponse) -> Iterator[bytes]:
    """Take the payloads out of a multiplexed stream: one byte stream id, 3 zeros, 4 bytes length.

    The connection ends where the container's output does, be it in the middle of a frame.
    """
    with response, _loss_is_an_error():
        while len(header := response.read(_FRAME_HEADER)) == _FRAME_HEADER:
            missing = int.from_bytes(header[4:], "big")
            while missing and (data := response.read1(missing)):
                missing -= len(data)
                yield data


@contextlib.contextmanager
def _loss_is_an_error() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise HostError(
            f"the docker engine went away while it was read from: {error.strerror}", _READ_ITS_LOG
        ) from error


def refusal(message: str) -> HostError:
    """Make the error for the engine's own words, with a remedy where one is known."""
    lowered = message.lower()
    remedy = next((remedy for known, remedy in _REMEDIES.items() if known in lowered), "")
    return HostError(f"the docker engine refused: {message.strip().rstrip('.')}", remedy)


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: Path, timeout: float | None) -> None:
        super().__init__("docker", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


def _refused(response: http.client.HTTPResponse) -> HostError:
    with response:
        text = response.read().decode("utf-8", "replace")
    try:
        message = str(json.loads(text)["message"])
    except (ValueError, KeyError, TypeError):
        message = text or response.reason
    return refusal(message)


def _unreachable(path: Path, error: Exception) -> HostError:
    if isinstance(error, PermissionError):
        remedy = "Add this user to the group that owns the socket, usually `docker`."
    elif isinstance(error, FileNotFoundError):
        remedy = "Start docker, or say where its socket is."
    else:
        remedy = _READ_ITS_LOG
    reason = getattr(error, "strerror", None) or type(error).__name__
    return HostError(f"the docker engine cannot be reached: {reason}", remedy, where=str(path))
