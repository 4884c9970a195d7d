"""The registry of rules: one property that right training code has, one file, one function each.

A rule is a generator ``(bench) -> findings`` in a module of `torchproof.proofs.rules`, registered
by the decorator `rule`; being there is all it takes to be part of `prove`. Its docstring says the
property, how it is decided, what it assumes, when it says *skipped*, and where it comes from.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Callable, Optional

from torchproof.errors import UsageError


if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from torchproof.proofs.bench import Bench
    from torchproof.proofs.finding import Finding

    Check = Callable[[Bench], Iterator[Finding]]


class Skip(Exception):  # noqa: N818 - not an error: the rule cannot be judged here, and says why
    """A rule cannot be judged on this trainee; the text says why."""


@dataclass(frozen=True)
class Rule:
    """One property that right training code has.

    ``needs`` names what a trainee has to offer before the rule can be judged (see `bench.NEEDS`);
    ``severity`` is that of its gravest finding.
    """

    id: str
    summary: str
    source: str
    needs: tuple[str, ...]
    severity: str
    check: Check = field(repr=False, compare=False)

    @property
    def explanation(self) -> str:
        """Property, decision, assumptions and source, as the rule's docstring has them."""
        return inspect.getdoc(self.check) or ""


_registered: dict[str, Rule] = {}


def rule(
    id_: str, *, summary: str, source: str, needs: Iterable[str], severity: str
) -> Callable[[Check], Check]:
    """Register the decorated function as a rule."""

    def register(check: Check) -> Check:
        _registered[id_] = Rule(id_, summary, source, tuple(needs), severity, check)
        return check

    return register


def rules() -> list[Rule]:
    """Return every rule, by id."""
    _load()
    return [_registered[id_] for id_ in sorted(_registered)]


def chosen(names: Optional[Iterable[str]]) -> list[Rule]:
    """Return the named rules in the order of the registry, or all of them for None."""
    if names is None:
        return rules()
    wanted = {names} if isinstance(names, str) else set(names)
    check_names(wanted, "rules")
    return [each for each in rules() if each.id in wanted]


def check_names(names: Iterable[Any], where: str) -> None:
    """Refuse a name that no rule has, and offer the nearest one.

    Raises:
        UsageError: A name is not the id of a rule.
    """
    known = [each.id for each in rules()]
    for name in names:
        if name not in known:
            near = get_close_matches(str(name), known, 1) or known
            raise UsageError(
                f"{where} names {name!r:.60}, which is not a rule", f"Is it {near[0]}?"
            )


@lru_cache(maxsize=1)
def _load() -> None:
    package = importlib.import_module("torchproof.proofs.rules")
    for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
        importlib.import_module(module.name)
