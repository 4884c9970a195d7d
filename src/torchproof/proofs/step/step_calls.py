"""Whether the code that ran could step another optimizer at another time, read from its source.

A call of ``.step`` that did not run may run later: behind a counter, an early return, a list that
grows. It never does behind a test of flags that nothing assigns to.
"""

from __future__ import annotations

import ast
import linecache
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Union

from torchproof.proofs.process.places import place


if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from torchproof.proofs.process.places import Running

_Function = Union[ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda]
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
_LOOPS = (ast.For, ast.comprehension)
_FLAGS = (ast.BoolOp, ast.UnaryOp, ast.Compare, ast.Name, ast.Constant)
_SAME = (ast.Eq, ast.NotEq, ast.Is, ast.IsNot, ast.In, ast.NotIn)
_GRAMMAR = (ast.boolop, ast.Not, ast.Load, *_SAME)


def may_step_others(ran: Iterable[Running], stepped: Mapping[str, int]) -> bool:
    """Tell whether these functions hold a call of ``.step`` that may yet come to something else.

    Args:
        ran: The functions that ran.
        stepped: How many optimizers and schedulers were stepped on each line, as ``path:line``.
    """
    return any(_may(each, stepped) for each in set(ran))


def _may(running: Running, stepped: Mapping[str, int]) -> bool:
    tree = _parsed(running.code.co_filename)
    functions = [] if tree is None else [each for each in _functions(tree) if _is(each, running)]
    if not functions:
        return True
    left = dict(stepped)
    assigned = _rebound(tree) | {name for each in functions for name in _stored(each)}
    flags = running.plain - assigned
    return any(
        _open(call, above, running, left, flags)
        for function in functions
        for call, above in _calls(function, [])
    )


def _open(
    call: ast.Call,
    above: list[ast.AST],
    running: Running,
    left: dict[str, int],
    flags: frozenset[str],
) -> bool:
    """Tell whether a call of ``.step`` may come to another optimizer than those seen there."""
    line = place(running.code.co_filename, call.lineno)
    if left.get(line, 0):
        left[line] -= 1
        return _varies(call, above)
    guards = [test for one in above for test in _tests(one, call)]
    return not guards or not all(_is_flag(each, flags) for each in guards)


def _varies(call: ast.Call, above: list[ast.AST]) -> bool:
    """Tell whether a name in the call takes several values: a parameter or that of a loop."""
    names = {each.id for each in ast.walk(call) if isinstance(each, ast.Name)}
    for each in above:
        if isinstance(each, _FUNCTIONS) and names & _parameters(each):
            return True
        if isinstance(each, _LOOPS) and _takes_several(each, names):
            return True
    inner = [each for each in ast.walk(call.func) if isinstance(each, (ast.Call, ast.Subscript))]
    return any(isinstance(each, ast.Call) or not _constant(each.slice) for each in inner)


def _takes_several(loop: Union[ast.For, ast.comprehension], names: set[str]) -> bool:
    written_out = isinstance(loop.iter, (ast.Tuple, ast.List))
    return bool(names & _names(loop.target)) and not written_out


def _tests(node: ast.AST, call: ast.Call) -> list[Any]:
    """Return what a node asks before it comes to a call; None for what cannot be read."""
    if isinstance(node, (ast.If, ast.IfExp)):
        return [node.test]
    if isinstance(node, ast.BoolOp):
        return [each for each in node.values if call not in ast.walk(each)]
    return [None] if isinstance(node, (ast.For, ast.While, ast.Try, ast.comprehension)) else []


def _is_flag(test: Any, flags: frozenset[str]) -> bool:
    if test is None:
        return False
    for each in ast.walk(test):
        if isinstance(each, ast.Name) and each.id not in flags:
            return False
        if not isinstance(each, (*_FLAGS, *_GRAMMAR)):
            return False
    return True


def _calls(node: ast.AST, above: list[ast.AST]) -> Iterator[tuple[ast.Call, list[ast.AST]]]:
    """Give each call of ``.step`` in a function, not in those inside it, with what is around it."""
    if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "step":
        yield node, above
    for each in ast.iter_child_nodes(node):
        if not isinstance(each, _FUNCTIONS):
            yield from _calls(each, [*above, node])


def _functions(tree: ast.AST) -> list[_Function]:
    return [each for each in ast.walk(tree) if isinstance(each, _FUNCTIONS)]


def _is(function: _Function, running: Running) -> bool:
    decorators = getattr(function, "decorator_list", [])
    first = min([function.lineno, *(each.lineno for each in decorators)])
    name = getattr(function, "name", "<lambda>")
    return (first, name) == (running.code.co_firstlineno, running.code.co_name)


def _parameters(function: _Function) -> set[str]:
    given = function.args
    return {each.arg for each in (*given.posonlyargs, *given.args, *given.kwonlyargs)} - {"self"}


def _stored(function: _Function) -> set[str]:
    names = [each for each in ast.walk(function) if isinstance(each, ast.Name)]
    return _parameters(function) | {each.id for each in names if isinstance(each.ctx, ast.Store)}


def _rebound(tree: Any) -> set[str]:
    """Return the names that some function of a file assigns to from inside."""
    kinds = (ast.Global, ast.Nonlocal)
    return {name for each in ast.walk(tree) if isinstance(each, kinds) for name in each.names}


def _names(node: ast.AST) -> set[str]:
    return {each.id for each in ast.walk(node) if isinstance(each, ast.Name)}


def _constant(node: ast.AST) -> bool:
    kinds = (ast.Constant, ast.UnaryOp, ast.USub)
    return all(isinstance(each, kinds) for each in ast.walk(node))


@lru_cache(maxsize=64)
def _parsed(filename: str) -> Any:
    try:
        return ast.parse("".join(linecache.getlines(filename)))
    except (SyntaxError, ValueError):
        return None
