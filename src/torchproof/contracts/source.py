"""Where a lock comes from: a file, or an https address that may be pinned to one content.

``https://host/path/encoder.arch.json#sha256=<64 hex digits>`` is refused if it holds anything else.
"""

from __future__ import annotations

import hashlib
import re
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable, Union
from urllib.parse import urldefrag, urlsplit

from torchproof.contracts.reading import MAX_BYTES, read
from torchproof.errors import HostError, UsageError


if TYPE_CHECKING:
    from torchproof.contracts.lock import Architecture

SECONDS = 30.0

_PIN = re.compile(r"sha256=([0-9a-f]{64})")

Opener = Callable[..., Any]


class _OnlyHttps(urllib.request.HTTPRedirectHandler):
    """Follows no redirect that leaves https."""

    def redirect_request(  # noqa: PLR0917 - the library's signature
        self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> Any:
        if urlsplit(newurl).scheme != "https":
            raise UsageError("the address leads away from https", where=newurl)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def read_lock(where: Union[str, Path], *, opener: Opener | None = None) -> Architecture:
    """Read the lock at a path or an https address.

    Args:
        where: The path, or the address; ``#sha256=…`` pins its content.
        opener: Opens an address: ``opener(url, timeout=seconds)``.

    Raises:
        UsageError: It is not there, not https, not what was pinned, or no lock.
        HostError: The address cannot be reached.
    """
    text = str(where)
    if not re.match(r"[a-z][a-z0-9+.-]+://", text):
        return read(_from_file(Path(where)), where=text)
    if not text.startswith("https://"):
        raise UsageError("a lock is read over https only", "Use https, or a file.", where=text)
    url, pin = urldefrag(text)
    wanted = _PIN.fullmatch(pin)
    if pin and not wanted:
        what = f"the pin {pin!r:.80} is not sha256= and 64 hex digits"
        raise UsageError(what, "Write #sha256=… as sha256sum prints it.", where=url)
    data = _from_address(url, opener or urllib.request.build_opener(_OnlyHttps).open)
    found = hashlib.sha256(data).hexdigest()
    if wanted and found != wanted[1]:
        what = f"its content is {found}, pinned is {wanted[1]}"
        raise UsageError(
            what, "The producer changed it: look at the change, then pin it.", where=url
        )
    return read(data, where=url)


def _from_file(path: Path) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read(MAX_BYTES + 1)
    except OSError as error:
        what = f"the lock cannot be read: {error.strerror}"
        raise UsageError(what, "Check the path.", where=str(path)) from error


def _from_address(url: str, opener: Opener) -> bytes:
    try:
        with opener(url, timeout=SECONDS) as answer:
            return bytes(answer.read(MAX_BYTES + 1))
    except OSError as error:
        what = f"the lock cannot be fetched: {error}"
        raise HostError(f"{what:.300}", "Check the address and the network.", where=url) from error
