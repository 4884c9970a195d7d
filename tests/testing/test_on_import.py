"""A callback runs right after a module's own code, once, and loads nothing by itself."""

from __future__ import annotations

import importlib
import importlib.util
import sys

import pytest

from torchproof.testing.on_import import OnImport


@pytest.fixture
def seen(tmp_path, monkeypatch):
    """Wait for the module ``late_one``; collects its name and its value when it is imported."""
    (tmp_path / "late_one.py").write_text("value = 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    found = []
    hook = OnImport(["late_one"], lambda name: found.append((name, sys.modules[name].value)))
    hook.install()
    yield found
    hook.remove()
    sys.modules.pop("late_one", None)


def test_the_callback_sees_the_finished_module(seen):
    assert "late_one" not in sys.modules
    importlib.import_module("late_one")
    importlib.import_module("late_one")
    assert seen == [("late_one", 1)]


def test_to_look_whether_a_module_is_there_is_not_to_import_it(seen):
    assert importlib.util.find_spec("late_one").origin.endswith("late_one.py")
    assert seen == []
    importlib.import_module("late_one")
    assert seen == [("late_one", 1)]


def test_a_module_that_is_not_there_stays_an_import_error():
    hook = OnImport(["no_such_module_anywhere"], print)
    hook.install()
    try:
        for _ in range(2):
            assert importlib.util.find_spec("no_such_module_anywhere") is None
    finally:
        hook.remove()
