"""A small suite of tests that a test writes, runs under the plugin, and asks for its run record."""

from __future__ import annotations

from textwrap import dedent

import pytest
import torch  # noqa: F401 - pytester forgets what a run here imports, torch cannot be imported twice

from torchproof.record import load


class Suite:
    """Test files in a directory of their own, run by pytest with torchproof."""

    def __init__(self, pytester):
        self.path = pytester.path
        self._pytester = pytester

    def file(self, name, text):
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text), "utf-8")

    def run(self, *args, apart=False):
        """Run pytest here or, with ``apart``, in a process of its own; order as written.

        Tests that use more of torch than tensors go apart: its lazy parts survive no second import.
        The plugin that jaxtyping brings imports numpy.
        """
        off = [f"no:{name}" for name in ("randomly", "cacheprovider", "jaxtyping")]
        command = (*(word for name in off for word in ("-p", name)), *args)
        if apart:
            return self._pytester.runpytest_subprocess(*command, timeout=120)
        return self._pytester.runpytest_inprocess(*command)

    def record(self, *args, apart=False):
        """Run pytest and return the record it leaves."""
        self.run("--torchproof-record=out/run.json", *args, apart=apart)
        return load(self.path / "out" / "run.json")


@pytest.fixture
def suite(pytester):
    return Suite(pytester)
