"""Calls back as soon as a module has been imported, without importing it."""

from __future__ import annotations

import importlib.util
import sys
from importlib.abc import MetaPathFinder
from typing import TYPE_CHECKING, Any, Callable, Optional


if TYPE_CHECKING:
    from collections.abc import Iterable
    from importlib.machinery import ModuleSpec


class OnImport(MetaPathFinder):
    """A finder that finds what the others find and adds a callback to the load.

    Args:
        names: Modules to wait for; those imported already are left out.
        callback: Called once for each, with its name, right after its code has run.
    """

    def __init__(self, names: Iterable[str], callback: Callable[[str], None]) -> None:
        self._waiting = {name for name in names if name not in sys.modules}
        self._callback = callback

    def install(self) -> None:
        """Start to wait."""
        sys.meta_path.insert(0, self)

    def remove(self) -> None:
        """Wait no longer."""
        if self in sys.meta_path:
            sys.meta_path.remove(self)

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Optional[ModuleSpec]:
        """Find the module as if this finder were not there, and prepare the callback."""
        del path, target
        if name not in self._waiting:
            return None
        self._waiting.discard(name)  # so that the search below does not end here again
        try:
            spec = importlib.util.find_spec(name)
        finally:
            self._waiting.add(name)  # who looks for a module need not import it
        if spec is not None and spec.loader is not None:
            self._add_callback(spec.loader, name)
        return spec

    def _add_callback(self, loader: Any, name: str) -> None:
        load = loader.exec_module

        def load_and_call(module: Any) -> None:
            self._waiting.discard(name)
            load(module)
            self._callback(name)

        loader.exec_module = load_and_call
