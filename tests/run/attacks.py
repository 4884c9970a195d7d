"""What hostile test code tries against its supervisor; prints what worked, one JSON list.

Run by a bare python3 inside a seal. Only looks and opens: nothing is written or killed. The word to
find is CANARY with a number, spelt so that this file does not hold it itself.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import socket
import subprocess
import sys
from pathlib import Path


SECRET = re.compile(b"CANARY" + rb"-\d+")
RUNNER_NAMES = re.compile(r"(GITHUB|ACTIONS|INPUT|RUNNER|STATE)_")
PLACES = ("/github", "/torchproof", "/tmp", "/var/tmp", "/run", "/home", "/root", "/opt", "/etc")


def others():
    """All processes that are not our own: ancestors and the rest of the machine."""
    found = [int(path.name) for path in Path("/proc").glob("[0-9]*")]
    return [pid for pid in found if pid != os.getpid()]


def works(action):
    with contextlib.suppress(OSError):
        return bool(action())
    return False


def opens(path, mode):
    with open(path, mode):
        return True


def read_environ():
    return any(
        works(lambda pid=pid: SECRET.search(Path(f"/proc/{pid}/environ").read_bytes()))
        for pid in others()
    )


def read_memory():
    return any(works(lambda pid=pid: opens(f"/proc/{pid}/mem", "rb")) for pid in others())


def list_descriptors():
    return any(works(lambda pid=pid: list(Path(f"/proc/{pid}/fd").iterdir())) for pid in others())


def write_descriptors():
    return any(works(lambda pid=pid: opens(f"/proc/{pid}/fd/1", "wb")) for pid in others())


def enter_root():
    return any(
        works(lambda pid=pid: list(Path(f"/proc/{pid}/root/").iterdir())) for pid in others()
    )


def signal_others():
    return any(works(lambda pid=pid: os.kill(pid, 0) is None) for pid in others())


def connect_docker():
    paths = ["/var/run/docker.sock", "/run/docker.sock"]
    paths += [f"/proc/{pid}/root/var/run/docker.sock" for pid in others()]
    return any(works(lambda path=path: connect(path)) for path in paths)


def connect(path):
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(path)
        return True


def read_own_environment():
    return any(RUNNER_NAMES.match(name) for name in os.environ) or bool(
        SECRET.search(repr(dict(os.environ)).encode())
    )


def find_in_files():
    paths = [
        Path(folder, name)
        for place in {str(Path.cwd()), *PLACES}
        for folder, _, names in os.walk(place)
        for name in names
    ]
    return [str(path) for path in paths if works(lambda path=path: holds_secret(path))]


def holds_secret(path):
    return path.is_file() and SECRET.search(path.read_bytes())


def ask_git():
    asked = subprocess.run(
        ["git", "config", "--list", "--show-origin"], capture_output=True, check=False
    )
    return SECRET.search(asked.stdout)


def append_to_file_commands():
    folder = Path("/github/file_commands")
    return any(works(lambda path=path: opens(path, "ab")) for path in (folder / "env", folder))


def become_root():
    return works(lambda: os.setuid(0) is None)


def keep_privileges():
    status = dict(
        line.split(":\t", 1) for line in Path("/proc/self/status").read_text().splitlines()
    )
    return int(status["CapEff"], 16) or int(status["CapPrm"], 16) or status["NoNewPrivs"] != "1"


def inherit_descriptors():
    return [path.name for path in Path("/proc/self/fd").iterdir() if int(path.name) > 3]


ATTACKS = (
    read_environ,
    read_memory,
    list_descriptors,
    write_descriptors,
    enter_root,
    signal_others,
    connect_docker,
    read_own_environment,
    find_in_files,
    ask_git,
    append_to_file_commands,
    become_root,
    keep_privileges,
    inherit_descriptors,
)

if __name__ == "__main__":
    worked = {attack.__name__: str(found) for attack in ATTACKS if (found := attack())}
    sys.stdout.write(json.dumps(worked))
