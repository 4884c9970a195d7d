"""The plugin directory: the test side of this package, to be put on PYTHONPATH.

It holds the package without the action side and the metadata by which pytest finds the plugin, and
nothing else: what lies on PYTHONPATH hides what the user has installed. Nothing is installed into
the user's environment.
"""

from __future__ import annotations

import shutil
from importlib.metadata import distribution
from pathlib import Path


ENTRY_POINTS = ("pytest11", "pytest_randomly.random_seeder")
TEST_SIDE = (
    "__init__.py",
    "adapters",
    "behaviour",
    "contracts",
    "data",
    "errors.py",
    "proofs",
    "py.typed",
    "record",
    "settings.py",
    "synthetic",
    "testing",
)


def lay(directory: Path) -> None:
    """Lay the plugin out in a directory, readable for every user.

    Works from an installed wheel and from an editable checkout; an earlier one is replaced.
    """
    source = Path(__file__).parents[1]
    target = directory / "torchproof"
    directory.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(target, ignore_errors=True)

    def left_out(folder: str, names: list[str]) -> set[str]:
        wanted = TEST_SIDE if Path(folder) == source else names
        return {name for name in names if name == "__pycache__" or name not in wanted}

    shutil.copytree(source, target, ignore=left_out, copy_function=shutil.copyfile)
    _lay_metadata(directory)
    for path in [directory, *directory.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)


def _lay_metadata(directory: Path) -> None:
    ours = distribution("torchproof")
    info = directory / f"torchproof-{ours.version}.dist-info"
    info.mkdir(exist_ok=True)
    head = f"Metadata-Version: 2.1\nName: torchproof\nVersion: {ours.version}\n"
    (info / "METADATA").write_text(head, "utf-8")
    lines = []
    for group in ENTRY_POINTS:
        found = ours.entry_points.select(group=group)
        lines += [f"[{group}]", *(f"{point.name} = {point.value}" for point in found)]
    (info / "entry_points.txt").write_text("\n".join([*lines, ""]), "utf-8")
