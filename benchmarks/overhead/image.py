"""What the action's image adds to its base, as the engine keeps it and as a registry sends it."""

from __future__ import annotations

import json
import subprocess
import tarfile
import tempfile
import zlib
from typing import IO

from benchmarks.overhead.figure import Figure


_CHUNK = 1024 * 1024
_MEGABYTE = 1e6
_WHAT = "image over its base, {}"


def over_base(image: str, base: str) -> list[Figure]:
    """Weigh the layers that an image has beyond those of another.

    Args:
        image: The action's image.
        base: What it was built on.
    """
    try:
        below = len(_layers(base))
        plain, packed = _weigh(image, below)
    except (OSError, subprocess.CalledProcessError):
        note = f"there is no docker engine with the images {image} and {base}"
        return [Figure(what=_WHAT.format("compressed"), unit="MB", note=note)]
    return [
        Figure(what=_WHAT.format("unpacked"), unit="MB", values=(plain / _MEGABYTE,)),
        Figure(what=_WHAT.format("compressed"), unit="MB", values=(packed / _MEGABYTE,)),
    ]


def _layers(image: str) -> list[str]:
    argv = ("docker", "image", "inspect", "--format={{json .RootFS.Layers}}", image)
    found: list[str] = json.loads(subprocess.run(argv, check=True, capture_output=True).stdout)
    return found


def _weigh(image: str, below: int) -> tuple[int, int]:
    """Return the bytes of the upper layers' archives, and of these after compression."""
    with tempfile.TemporaryFile() as file:
        subprocess.run(("docker", "save", image), check=True, stdout=file)
        file.seek(0)
        with tarfile.open(fileobj=file) as archive:
            names = json.load(_member(archive, "manifest.json"))[0]["Layers"][below:]
            sizes = [_sizes(_member(archive, name)) for name in names]
    return sum(plain for plain, _ in sizes), sum(packed for _, packed in sizes)


def _member(archive: tarfile.TarFile, name: str) -> IO[bytes]:
    file = archive.extractfile(name)
    if file is None:
        raise OSError(f"{name} is no file")
    return file


def _sizes(layer: IO[bytes]) -> tuple[int, int]:
    packer, plain, packed = zlib.compressobj(), 0, 0
    while chunk := layer.read(_CHUNK):
        plain += len(chunk)
        packed += len(packer.compress(chunk))
    return plain, packed + len(packer.flush())
