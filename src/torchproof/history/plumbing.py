"""The few things the history needs of git: list refs and files, read blobs, write a commit."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, NamedTuple

from torchproof.errors import HistoryError
from torchproof.history.failure import GitError


if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from torchproof.history.git import Repository
    from torchproof.history.patience import Retry

AUTHOR = "torchproof[bot] <torchproof[bot]@users.noreply.github.com>"

# What git itself asks with when it lacks an object: no negotiation, the named objects only.
_JUST_THESE = {"fetch.negotiationAlgorithm": "noop"}


class Refs(NamedTuple):
    """What a remote has: ref → commit, and the branch its HEAD names, if any."""

    commits: Mapping[str, str]
    head: str | None


class Blobs:
    """Reads file contents by blob id, those not yet here in one request, made with ``retry``."""

    def __init__(self, repository: Repository, retry: Retry) -> None:
        self._repository = repository
        self._retry = retry
        self._known: dict[str, bytes] = {}

    def read(self, ids: Iterable[str]) -> dict[str, bytes]:
        """Return the contents of blobs; raises HistoryError if the remote lacks one."""
        ids = list(dict.fromkeys(ids))
        missing = [blob for blob in ids if blob not in self._known]
        if missing:
            stdin = "".join(f"{blob}\n" for blob in missing).encode()
            options = ("--filter=blob:none", "--stdin")
            self._retry(lambda: fetch(self._repository, *options, stdin=stdin))
            output = self._repository.git("cat-file", "--batch", "--buffer", stdin=stdin)
            self._known.update(_batch(output))
        return {blob: self._known[blob] for blob in ids}


def list_refs(repository: Repository, *patterns: str) -> Refs:
    """Ask the remote for its HEAD and the refs that match; a remote without them is no error."""
    output = repository.git("ls-remote", "--symref", "origin", "HEAD", *patterns).decode()
    pairs = [line.partition("\t")[::2] for line in output.splitlines()]
    head = next((ref[5:] for ref, name in pairs if name == "HEAD" and ref[:5] == "ref: "), None)
    commits = {ref: commit for commit, ref in pairs if not commit.startswith("ref: ")}
    return Refs(commits, head.removeprefix("refs/heads/") if head else None)


def fetch(
    repository: Repository, *arguments: str, source: str = "origin", stdin: bytes = b""
) -> None:
    """Fetch, with nothing that git would do beside it; options first, then refspecs."""
    options = [item for item in arguments if item.startswith("--")]
    refspecs = [item for item in arguments if not item.startswith("--")]
    fixed = ("--quiet", "--no-tags", "--no-write-fetch-head", "--recurse-submodules=no")
    repository.git(
        "fetch",
        *fixed,
        *options,
        "--end-of-options",
        source,
        *refspecs,
        stdin=stdin,
        config=_JUST_THESE if stdin else None,
    )


def fetch_if_there(repository: Repository, *arguments: str, source: str, retry: Retry) -> bool:
    """Fetch a commit from one of several sources; False if this one has no such commit.

    Raises:
        GitError: The remote does not answer.
    """

    def attempt() -> bool:
        try:
            fetch(repository, *arguments, source=source)
        except GitError as error:
            # Only the remote must answer; a checkout that cannot be read, or holds a part only,
            # just does not help.
            if source == "origin" and not error.unknown_commit:
                raise
            return False
        return True

    return retry(attempt)


def resolve(repository: Repository, ref: str) -> str:
    """Return the commit a local ref stands at."""
    return repository.git("rev-parse", "--verify", "--end-of-options", ref).decode().strip()


def list_files(repository: Repository, commit: str) -> dict[str, str]:
    """Map every path in a commit to its blob id; reads no blob."""
    output = repository.git("ls-tree", "-r", "-z", "--full-tree", commit).decode(errors="replace")
    lines = (line.partition("\t") for line in output.split("\0") if line)
    return {path: facts.split()[2] for facts, _, path in lines}


def write_commit(
    repository: Repository,
    edits: Mapping[str, bytes | None],
    *,
    parent: str | None,
    message: str,
    time: float,
) -> str:
    """Make a commit without index, work tree or any blob of its parent.

    Args:
        repository: Where to make it.
        edits: Path → new contents, or None to delete the path.
        parent: The commit it follows; None makes an orphan.
        message: The commit message.
        time: Seconds since the epoch.
    """
    stream = [b"commit refs/torchproof/next\nmark :1\n"]
    stream.append(f"committer {AUTHOR} {int(time)} +0000\n".encode())
    stream.append(_data(message.encode()))
    stream.append(f"from {parent}\n".encode() if parent else b"")
    stream += [f"D {path}\n".encode() for path, data in edits.items() if data is None]
    for path, data in edits.items():
        if data is not None:
            stream.append(f"M 100644 inline {path}\n".encode() + _data(data))
    stream.append(b"get-mark :1\n")
    output = repository.git("fast-import", "--quiet", "--force", stdin=b"".join(stream))
    return output.decode().strip()


def blob_id(data: bytes) -> str:
    """Compute the id that git gives to a file's contents."""
    header = f"blob {len(data)}\0".encode()
    return hashlib.sha1(header + data, usedforsecurity=False).hexdigest()


def _data(data: bytes) -> bytes:
    return f"data {len(data)}\n".encode() + data + b"\n"


def _batch(output: bytes) -> dict[str, bytes]:
    """Take apart what ``cat-file --batch`` prints: id, type, size, then the contents."""
    blobs = {}
    start = 0
    while start < len(output):
        end = output.index(b"\n", start)
        blob, kind, *size = output[start:end].decode().split()
        if kind != "blob":
            raise HistoryError(f"the history's object {blob:.12} is {kind}", "Check the remote.")
        stop = end + 1 + int(size[0])
        blobs[blob] = output[end + 1 : stop]
        start = stop + 1
    return blobs
