"""A test's id: the same however pytest-xdist distributes the tests."""

from __future__ import annotations

from typing import TYPE_CHECKING


if TYPE_CHECKING:
    import pytest


def id_of(config: pytest.Config, nodeid: str) -> str:
    """Return a node id without the ``@group`` that pytest-xdist adds under ``--dist loadgroup``.

    A seed and a history that depend on it would not survive another way of running the suite.
    """
    # A worker is told by the first option, the controller by the second.
    grouped = config.getoption("loadgroup", None) or config.getoption("dist", "") == "loadgroup"
    at = nodeid.rfind("@")
    return nodeid[:at] if grouped and at > nodeid.rfind("]") and at > 0 else nodeid
