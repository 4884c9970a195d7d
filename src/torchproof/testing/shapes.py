"""Named dimensions: jaxtyping's annotations of the user's packages, checked while tests run.

`Shapes` lets jaxtyping's import hook decorate what the packages of ``shapes.packages`` define, with
beartype as the type checker; both come from the user's environment. A violation raises
``jaxtyping.TypeCheckError`` out of the call; `sentence` says in one line which dimension it is
about. Everything it knows is read from the texts of jaxtyping (0.2.24 to 0.3) and beartype.
"""

from __future__ import annotations

import importlib
import importlib.util
import re
import sys
from types import ModuleType, TracebackType
from typing import TYPE_CHECKING, Any, Callable, Optional

import pytest

from torchproof.errors import HostError
from torchproof.testing.definition import place_of, split


if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Sequence
    from pathlib import Path

NEEDED = ("jaxtyping", "beartype")
CHECKER = "beartype.beartype"
MAX_NAMED = 5
_LIBRARIES = {*NEEDED, "torch"}

_CHECKED = re.compile(r"checking the (?:parameters|return value) of (\S+)\.$", re.MULTILINE)
_ARGUMENT = re.compile(r"typechecking parameter '(\w+)'")
_ACTUAL = re.compile(r"^Actual value: (.*?)(?:\(torch\))?$", re.MULTILINE)
_EXPECTED = re.compile(r"^Expected type: (?:<class ')?(.*?)(?:'>)?\.$", re.MULTILINE)
_ANNOTATED = re.compile(r"(\w+): [\w.]+\[[^']*'([^']*)'\]")
_HOME = re.compile(r"\b(?:jax)?typing\.")
_VALUES = re.compile(r"^(\w+)=(.+)$", re.MULTILINE)
_WHY = re.compile(r"violates type hint .*, as .*?\b((?:this|the) .*?)\.?\s*\Z", re.DOTALL)
_CLASH = re.compile(r"the size of dimension (\S+) is (\d+) .* the existing value of (\d+)")


class Shapes:
    """A pytest plugin: checks the packages, and says a violation in one sentence.

    Args:
        packages: The packages to check, with all their modules.
        root: pytest's rootdir; paths are shown relative to it.

    Attributes:
        late: One sentence for each package of which modules were imported before `start`.
    """

    def __init__(self, packages: Sequence[str], root: Path) -> None:
        self._packages = packages
        self._root = root
        self.late: list[str] = []

    def start(self, plugins: Iterable[tuple[str, Any]]) -> Callable[[], None]:
        """Have the packages checked from their import on.

        Args:
            plugins: What pytest has loaded by now, by name; one of them may have been too early.

        Returns:
            A function that ends it.

        Raises:
            HostError: jaxtyping or beartype is not installed.
        """
        missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
        if missing:
            what = f"shapes.packages needs {' and '.join(missing)}, not installed here"
            raise HostError(what, f"Install: {' '.join(missing)}, such as by torchproof's install.")
        plugins = list(plugins)
        for package in self._packages:
            modules = [name for name in sys.modules if _inside(name, package)]
            if modules:
                self.late.append(_too_late(package, modules, _importer(package, plugins)))
        hook = importlib.import_module("jaxtyping").install_import_hook(
            list(self._packages), CHECKER
        )
        return hook.uninstall  # type: ignore[no-any-return]

    def pytest_terminal_summary(self, terminalreporter: Any, config: pytest.Config) -> None:
        """Say what is not checked."""
        # With pytest-xdist the packages are imported in the workers.
        unseen = [] if config.pluginmanager.hasplugin("dsession") else self._unseen()
        for line in (*self.late, *unseen):
            terminalreporter.write_line(f"torchproof: {line}", yellow=True)

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: Any
    ) -> Generator[None, None, None]:
        """Let the test fail with the sentence; jaxtyping's own text goes into a section."""
        error = _violation(call.excinfo.value) if call.excinfo else None
        if error is not None:
            item.add_report_section(call.when, "jaxtyping", str(error))
            error.args = (sentence(error, self._root),)
            error.__cause__ = error.__context__ = None
            if error is call.excinfo.value:
                trace = _without_libraries(call.excinfo.tb)
                call.excinfo = pytest.ExceptionInfo.from_exc_info((type(error), error, trace))
        yield

    def _unseen(self) -> list[str]:
        return [
            f"shapes.packages: no module of {package} was imported, so nothing of it was checked"
            for package in self._packages
            if not any(_inside(name, package) for name in sys.modules)
        ]


def sentence(error: BaseException, root: Path) -> str:
    """Return which dimension was bound to what, by which argument of which function, and where.

    Args:
        error: A ``jaxtyping.TypeCheckError``.
        root: The directory to which the place is relative.
    """
    text = str(error)
    checked = _CHECKED.search(text)
    if checked is None:
        return text
    name = checked.group(1)
    place = place_of(name, root)
    annotated = _ANNOTATED.findall(text.partition("Parameter annotations: ")[2])
    arguments = ", ".join(argument for argument, _ in annotated)
    said = f"{split(name)[1]}({arguments}): {_broken(error, text, annotated)}"
    return f"{said}, {place}" if place else said


def _broken(error: BaseException, text: str, annotated: Sequence[tuple[str, str]]) -> str:
    argument = _ARGUMENT.search(text)
    where = f"argument {argument.group(1)}" if argument else "the returned value"
    why = _WHY.search(str(_first_cause(error)))
    clash = _CLASH.search(why.group(1)) if why else None
    if clash:
        dimension, size, before = clash.groups()
        origin = _origin(dimension, annotated)
        return f"dimension {dimension} is {before}{origin} but {size} in {where}"
    shown, expected = _ACTUAL.search(text), _EXPECTED.search(text)
    declared = _HOME.sub("", expected.group(1)) if expected else "otherwise"
    said = f"{where} is {shown.group(1) if shown else 'not what is declared'}, declared {declared}"
    reason = why.group(1) if why else _bound(declared, text, annotated)
    return f"{said} ({reason})" if reason else said


def _bound(declared: str, text: str, annotated: Sequence[tuple[str, str]]) -> str:
    """Say what the dimensions of a declaration are bound to."""
    values = _VALUES.findall(text.rpartition("as follows.")[2])
    return ", ".join(
        f"{dimension} is {value}{_origin(dimension, annotated)}"
        for dimension, value in values
        if re.search(rf"\b{dimension}\b", declared)
    )


def _origin(dimension: str, annotated: Sequence[tuple[str, str]]) -> str:
    """Name the argument that bound a dimension: the first that mentions it."""
    for argument, dimensions in annotated:
        if dimension in re.split(r"[\s*#?]+", dimensions):
            return f" from argument {argument}"
    return ""


def _first_cause(error: BaseException) -> BaseException:
    while error.__cause__ is not None:
        error = error.__cause__
    return error


def _violation(error: Optional[BaseException]) -> Optional[BaseException]:
    """Return the violation that an error is or was raised from."""
    jaxtyping = sys.modules.get("jaxtyping")
    while error is not None and jaxtyping is not None:
        if isinstance(error, jaxtyping.TypeCheckError):
            break
        error = error.__cause__ or error.__context__
    return error if jaxtyping is not None else None


def _without_libraries(trace: TracebackType) -> TracebackType:
    """Return the traceback without frames of torch and the checkers, if any others are left."""
    frames: list[TracebackType] = []
    step: Optional[TracebackType] = trace
    while step is not None:
        if step.tb_frame.f_globals.get("__name__", "").partition(".")[0] not in _LIBRARIES:
            frames.append(step)
        step = step.tb_next
    kept: Optional[TracebackType] = None
    for each in reversed(frames):
        kept = TracebackType(kept, each.tb_frame, each.tb_lasti, each.tb_lineno)
    return kept or trace


def _inside(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


def _importer(package: str, plugins: Sequence[tuple[str, Any]]) -> str:
    """Return the file of the first plugin or conftest.py that holds something of the package."""
    for _, plugin in plugins:
        if isinstance(plugin, ModuleType) and _holds(plugin, package):
            return str(getattr(plugin, "__file__", plugin.__name__))
    return ""


def _holds(module: ModuleType, package: str) -> bool:
    homes = [module.__name__]
    for value in vars(module).values():
        home = value.__name__ if isinstance(value, ModuleType) else getattr(value, "__module__", "")
        homes.append(str(home))
    return any(_inside(home, package) for home in homes)


def _too_late(package: str, modules: Sequence[str], importer: str) -> str:
    named = ", ".join(modules[:MAX_NAMED]) + (", …" if len(modules) > MAX_NAMED else "")
    by = f" by {importer}" if importer else ""
    return (
        f"shapes.packages: {package} was imported{by} before torchproof could watch it, "
        f"so the dimensions in {named} are not checked; import it there when it is needed"
    )
