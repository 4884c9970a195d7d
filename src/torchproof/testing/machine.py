"""What the tests run on, told without importing torch: device, versions, digest of the packages."""

from __future__ import annotations

import hashlib
import os
import platform
import sys
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING


if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


def gpus(environ: Mapping[str, str] = os.environ, devices: str = "/dev") -> tuple[str, ...]:
    """Return the device files of the NVIDIA GPUs that this process may use."""
    if environ.get("CUDA_VISIBLE_DEVICES", "all") in ("", "-1", "NoDevFiles"):
        return ()
    return tuple(sorted(str(path) for path in Path(devices).glob("nvidia[0-9]*")))


def version(package: str) -> str:
    """Return a package's installed version, or ``none``."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "none"


def device(torch: str) -> str:
    """Return the device that a torch of this version can use here: cuda or cpu."""
    return "cpu" if torch == "none" or torch.endswith("+cpu") or not gpus() else "cuda"


def fingerprint() -> dict[str, dict[str, str]]:
    """Return what a result depends on beside code and seed, as kind → name → text."""
    torch = version("torch")
    environment = {
        "python": platform.python_version(),
        "torch": torch,
        "pytest": version("pytest"),
        "platform": f"{sys.platform}-{platform.machine()}",
        "packages": packages_digest(sys.path),
    }
    return {"environment": environment, "hardware": {"device": device(torch)}}


def packages_digest(search: Iterable[str]) -> str:
    """Return a digest of names and versions of the installed packages.

    The names of ``*.dist-info`` directories say both, which is 100 times as fast as reading them.
    Directories installed in place are left out: their version often is the commit.
    """
    found = {
        path.name
        for place in search
        for path in Path(place).glob("*.dist-info")
        if not _in_place(path)
    }
    return hashlib.sha256("\n".join(sorted(found)).encode()).hexdigest()[:16]


def _in_place(path: Path) -> bool:
    source = path / "direct_url.json"
    return source.exists() and '"dir_info"' in source.read_text("utf-8", "replace")
