"""What the docker engine is told about a sealed container: the seal's rules, written down once.

Pure. Field names are those of ``POST /containers/create`` in the Docker Engine API.
"""

from __future__ import annotations

import io
import tarfile
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any


if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from torchproof.run.engine import Me
    from torchproof.run.scratch import Owner
    from torchproof.run.seal import Command

INSIDE = PurePosixPath("/torchproof")
"""Where everything of ours lies in the container."""

SHARED_MEMORY = 2 * 1024**3
"""Bytes of /dev/shm: what data loader workers and NCCL need; docker's own default is 64 MiB."""

MAX_PROCESSES = 4096
"""Processes and threads together: more than any test needs, less than a host can bear."""

_BY_SIGNAL = 128
_MAX_SIGNAL = 64


@dataclass(frozen=True, kw_only=True)
class Sibling:
    """What all containers of one seal have in common; see `ContainerSeal`."""

    me: Me | None
    image: str
    owner: Owner
    workspace: PurePosixPath
    labels: Mapping[str, str]
    env: Mapping[str, str]
    memory: int | None
    network: str | None
    lift_memlock: bool = True


def description(
    sibling: Sibling, command: Command, mounts: Iterable[Mapping[str, Any]]
) -> dict[str, Any]:
    """Describe the container that runs one command."""
    environment = _environment(sibling, command)
    return {
        "Image": sibling.image,
        "User": f"{sibling.owner.uid}:{sibling.owner.gid}",
        "Entrypoint": list(command.argv),
        "WorkingDir": str(command.cwd or sibling.workspace),
        "Env": [f"{key}={value}" for key, value in environment.items()],
        "Labels": dict(sibling.labels),
        "Healthcheck": {"Test": ["NONE"]},
        "AttachStdout": True,
        "AttachStderr": True,
        "HostConfig": {"Mounts": list(mounts), **_host_description(sibling, command.gpu)},
    }


def bind(source: str, target: PurePosixPath, *, read_only: bool = False) -> dict[str, Any]:
    """Describe a bind mount; unlike ``Binds`` it fails where the source is missing."""
    return {"Type": "bind", "Source": source, "Target": str(target), "ReadOnly": read_only}


def owned_directory(name: str, owner: Owner) -> bytes:
    """Make a tar archive of one empty directory; unpacked over another, it changes the owner."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        entry = tarfile.TarInfo(name)
        entry.type = tarfile.DIRTYPE
        entry.uid, entry.gid, entry.mode = owner.uid, owner.gid, 0o700
        tar.addfile(entry)
    return archive.getvalue()


def signed(code: int) -> int:
    """Turn the engine's exit code 128 + n into the negative number of signal n."""
    return _BY_SIGNAL - code if _BY_SIGNAL < code <= _BY_SIGNAL + _MAX_SIGNAL else code


def _host_description(sibling: Sibling, gpu: str | None) -> dict[str, Any]:
    memory = sibling.memory or 0
    memlock = [_limit("memlock", -1)] if gpu and sibling.lift_memlock else []
    return {
        "CapDrop": ["ALL"],
        "SecurityOpt": ["no-new-privileges"],
        "PidMode": f"container:{sibling.me.id}" if sibling.me else "",
        "NetworkMode": sibling.network or (sibling.me.network if sibling.me else "default"),
        "ShmSize": SHARED_MEMORY,
        "PidsLimit": MAX_PROCESSES,
        "Memory": memory,
        "MemorySwap": memory,
        "Ulimits": [_limit("core", 0), *memlock],
        "DeviceRequests": [_nvidia(gpu)] if gpu else [],
        # The output goes through us; the engine would keep a second copy on the host.
        "LogConfig": {"Type": "none"},
    }


def _limit(name: str, value: int) -> dict[str, Any]:
    return {"Name": name, "Soft": value, "Hard": value}


def _nvidia(gpu: str) -> dict[str, Any]:
    capabilities = [["gpu", "compute", "utility"]]
    return {"Driver": "nvidia", "DeviceIDs": [gpu], "Capabilities": capabilities}


def _environment(sibling: Sibling, command: Command) -> dict[str, str]:
    # Where nvidia is the host's default runtime, an image can ask for all devices by itself.
    devices = {} if command.gpu else {"NVIDIA_VISIBLE_DEVICES": "void"}
    own = {
        "HOME": str(INSIDE / "home"),
        "TMPDIR": str(INSIDE / "tmp"),
        "USER": "torchproof",
        "LOGNAME": "torchproof",
    }
    return {**sibling.env, **command.env, **devices, **own}
