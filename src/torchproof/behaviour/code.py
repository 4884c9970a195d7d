"""The fingerprint of a computation: its code, the values bound to its functions, its inputs."""

from __future__ import annotations

import inspect
from functools import partial
from types import FunctionType, MethodType, ModuleType
from typing import TYPE_CHECKING, Any

from torchproof.behaviour.sources import sources
from torchproof.data.fingerprint import fingerprint
from torchproof.errors import UsageError


if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def computation(functions: Sequence[Any], values: Mapping[str, Any]) -> str:
    """Return a fingerprint that differs whenever the result of the functions may differ.

    Args:
        functions: Functions, classes, or partials of them.
        values: What else the result depends on: configuration, data, seed, environment.

    Raises:
        UsageError: A function holds a value that cannot be hashed, or has no source.
    """
    bound = _Bound()
    for function in functions:
        bound.take(function)
    facts = {"code": sources(bound.functions), "bound": bound.values, **values}
    return fingerprint(facts).partition(":")[2]


class _Bound:
    """The functions that functions hold, and the values bound to them, in the order found."""

    def __init__(self) -> None:
        self.functions: list[Any] = []
        self.values: list[Any] = []
        self._seen: set[int] = set()

    def take(self, value: Any) -> None:
        value = _unchecked(value)
        if id(value) in self._seen:
            return
        self._seen.add(id(value))
        if isinstance(value, partial):
            self._all([value.func, *value.args, *value.keywords, *value.keywords.values()])
        elif isinstance(value, MethodType):
            self._all([value.__func__, value.__self__])
        elif isinstance(value, FunctionType):
            self._function(value)
        elif inspect.isclass(value):
            self._name(value)
        elif isinstance(value, ModuleType) or inspect.isbuiltin(value):
            self.values.append(value.__name__)
        else:
            self._value(value)

    def _all(self, values: Sequence[Any]) -> None:
        for value in values:
            self.take(value)

    def _function(self, function: FunctionType) -> None:
        self._name(function)
        self._all([cell.cell_contents for cell in function.__closure__ or ()])
        self._all([*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values()])

    def _name(self, definition: Any) -> None:
        self.values.append(f"{definition.__module__}:{definition.__qualname__}")
        if definition.__module__ != "builtins":
            self.functions.append(definition)

    def _value(self, value: Any) -> None:
        try:
            self.values.append(fingerprint(value))
        except UsageError as error:
            what = f"a function to fingerprint holds a value of its own: {error.what}"
            remedy = "Pass it as config= or data=, or make it inside the function."
            raise UsageError(what, remedy) from error


def _unchecked(value: Any) -> Any:
    """Return the user's function under those that a checker of types has made of it."""
    while isinstance(value, FunctionType) and hasattr(value, "__wrapped__"):
        home = value.__globals__.get("__name__", "").partition(".")[0]
        if home != "jaxtyping" and not value.__code__.co_filename.startswith("<@beartype"):
            break
        value = value.__wrapped__
    return value
