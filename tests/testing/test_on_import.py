"""A callback runs right after a module's own code, once, and loads nothing by itself."""

from __future__ import annotations

import importlib
import sys

from torchproof.testing.on_import import OnImport


def test_the_callback_sees_the_finished_module(tmp_path, monkeypatch):
    (tmp_path / "late_one.py").write_text("value = 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    seen = []
    hook = OnImport(["late_one"], lambda name: seen.append((name, sys.modules[name].value)))
    hook.install()
    try:
        assert "late_one" not in sys.modules
        importlib.import_module("late_one")
        importlib.import_module("late_one")
    finally:
        hook.remove()
        del sys.modules["late_one"]
    assert seen == [("late_one", 1)]


def test_a_module_that_is_not_there_stays_an_import_error():
    hook = OnImport(["no_such_module_anywhere"], print)
    hook.install()
    try:
        assert importlib.util.find_spec("no_such_module_anywhere") is None
    finally:
        hook.remove()
