"""Git as a process, always on a bare repository of our own and never in the user's checkout.

Needs git 2.32, the first that takes both GIT_CONFIG_COUNT and GIT_CONFIG_GLOBAL. Settings travel in
two ways: those that a remote on this machine must see too, in a file of ours that stands in for the
user's ~/.gitconfig; all others, with the remote's address and the token, in GIT_CONFIG_* variables,
so that neither of these is on a command line or a disk.
"""

from __future__ import annotations

import base64
import os
import re
import signal
import subprocess
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from torchproof.errors import HistoryError
from torchproof.history.failure import GitError


if TYPE_CHECKING:
    from collections.abc import Mapping

OLDEST = (2, 32)
TIMEOUT = 120.0

_PASSED_ON = (
    "ALL_PROXY",
    "CURL_CA_BUNDLE",
    "GIT_EXEC_PATH",
    "GIT_SSH",
    "GIT_SSH_COMMAND",
    "GIT_SSL_CAINFO",
    "GIT_SSL_CAPATH",
    "HOME",
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "NO_PROXY",
    "PATH",
    "SSH_AUTH_SOCK",
    "SSL_CERT_DIR",
    "SSL_CERT_FILE",
    "TMPDIR",
    "all_proxy",
    "http_proxy",
    "https_proxy",
    "no_proxy",
)
# What git reads in place of ~/.gitconfig; an upload-pack or receive-pack on this machine does too.
_SETTINGS = """\
[safe]
    directory = *
[protocol]
    version = 2
    allow = never
[protocol "file"]
    allow = always
[protocol "git"]
    allow = always
[protocol "http"]
    allow = always
[protocol "https"]
    allow = always
[protocol "ssh"]
    allow = always
[uploadpack]
    allowFilter = true
    allowAnySHA1InWant = true
"""
# What holds for our side alone: the hooks of a remote on this machine must run.
_OWN = {
    "core.hooksPath": os.devnull,
    "gc.auto": "0",
    "http.lowSpeedLimit": "1000",
    "http.lowSpeedTime": "30",
    "maintenance.auto": "false",
    "push.followTags": "false",
    "push.gpgSign": "false",
    "push.recurseSubmodules": "no",
}
# Values a person sets for their own machine: credential helpers, proxies, certificates.
_USER_SETTINGS = """\
[include]
    path = ~/.config/git/config
    path = ~/.gitconfig
"""

_USERINFO = re.compile(r"//[^/@\s]+@")


class Repository:
    """A bare repository of our own with one remote, ``origin``.

    Args:
        directory: Where to make it; must not exist.
        remote: Any address git understands, or a path.
        token: Sent as basic authorization to the remote's host and to no other.
        timeout: Seconds that one git command may take.
    """

    def __init__(
        self,
        directory: Path,
        remote: str,
        *,
        token: str | None = None,
        environ: Mapping[str, str] = os.environ,
        timeout: float = TIMEOUT,
    ) -> None:
        self.directory = directory
        self.timeout = timeout
        self._secrets = _secrets(token)
        self._environ = _environment(environ, directory / "settings")
        self._config = {
            **_OWN,
            "remote.origin.url": address(remote),
            **_authorization(remote, token),
        }
        _refuse_old_git(self._environ.get("PATH", os.defpath))
        directory.mkdir(parents=True)
        own = "HOME" in environ and token is None
        settings = (_USER_SETTINGS if own else "[credential]\n    helper =\n") + _SETTINGS
        (directory / "settings").write_text(settings, encoding="utf-8")
        self.git("init", "--quiet", "--bare", "--template=", str(directory))

    def git(
        self,
        verb: str,
        *arguments: str,
        stdin: bytes = b"",
        config: Mapping[str, str] | None = None,
    ) -> bytes:
        """Run one git command and return what it prints.

        Raises:
            GitError: It failed, or took longer than the timeout.
        """
        argv = ["git", f"--git-dir={self.directory}", verb, *arguments]
        environ = self._environ | _config_variables({**self._config, **(config or {})})
        try:
            code, output, errors = _run(argv, stdin, environ, self.directory, self.timeout)
        except subprocess.TimeoutExpired:
            raise GitError(verb, -signal.SIGKILL, self._no_answer()) from None
        if code:
            raise GitError(verb, code, self._scrubbed(errors.decode("utf-8", "replace")))
        return output

    def _no_answer(self) -> str:
        return f"fatal: no end within {self.timeout:.0f} seconds"

    def _scrubbed(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return _USERINFO.sub("//", text)


def address(remote: str) -> str:
    """Make a path absolute, as git runs in a directory of ours; leave every other address alone."""
    return str(Path(remote).resolve()) if Path(remote).exists() else remote


def _run(
    argv: list[str], stdin: bytes, environ: Mapping[str, str], cwd: Path, timeout: float
) -> tuple[int, bytes, bytes]:
    pipe = subprocess.PIPE
    # A session of its own, so that a time-out also ends the transports that git has started.
    with subprocess.Popen(
        argv, stdin=pipe, stdout=pipe, stderr=pipe, env=environ, cwd=cwd, start_new_session=True
    ) as process:
        try:
            output, errors = process.communicate(stdin, timeout)
        except BaseException:
            with suppress(ProcessLookupError):  # it may have ended just now
                os.killpg(process.pid, signal.SIGKILL)
            raise
        return process.returncode, output, errors


def _environment(environ: Mapping[str, str], settings: Path) -> dict[str, str]:
    kept = {name: environ[name] for name in _PASSED_ON if name in environ}
    return {
        "GIT_SSH_COMMAND": "ssh -oBatchMode=yes",
        **kept,
        "GIT_CONFIG_GLOBAL": str(settings),
        "GIT_TERMINAL_PROMPT": "0",
        "LC_ALL": "C",
    }


def _config_variables(config: Mapping[str, str]) -> dict[str, str]:
    variables = {"GIT_CONFIG_COUNT": str(len(config))}
    for index, (key, value) in enumerate(config.items()):
        variables[f"GIT_CONFIG_KEY_{index}"] = key
        variables[f"GIT_CONFIG_VALUE_{index}"] = value
    return variables


def _authorization(remote: str, token: str | None) -> dict[str, str]:
    url = urlsplit(remote)
    if not token or url.scheme not in ("http", "https"):
        return {}
    host = url.netloc.rpartition("@")[2]
    header = f"AUTHORIZATION: basic {_basic(token)}"
    return {"http.extraHeader": "", f"http.{url.scheme}://{host}/.extraHeader": header}


def _basic(token: str) -> str:
    return base64.b64encode(f"x-access-token:{token}".encode()).decode()


def _secrets(token: str | None) -> tuple[str, ...]:
    return (token, _basic(token)) if token else ()


@lru_cache(maxsize=4)
def _refuse_old_git(path: str) -> None:
    try:
        answer = subprocess.run(
            ["git", "version"],
            env={"PATH": path},
            capture_output=True,
            text=True,
            check=True,
            timeout=TIMEOUT,
        ).stdout
    except (OSError, subprocess.SubprocessError) as error:
        raise HistoryError("git cannot be started", "Install git 2.32 or newer.") from error
    version = re.search(r"(\d+)\.(\d+)", answer)
    if version is None or (int(version[1]), int(version[2])) < OLDEST:
        raise HistoryError(f"{answer.strip()} is too old", "Install git 2.32 or newer.")
