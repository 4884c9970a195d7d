"""Random generators of every kind that an object holds or refers to, and their states."""

from __future__ import annotations

import functools
import hashlib
import pickle
import random
import sys
from inspect import getclosurevars
from itertools import islice
from types import FunctionType, MethodType, ModuleType
from typing import Any

import torch

from torchproof.proofs.process.fingerprints import digest


# An object may hold anything; generators lie near its surface.
_MOST_OBJECTS = 1000
_ITEMS = 16


def generators(name: str, root: Any) -> list[tuple[str, Any]]:
    """Return the generators that an object holds or refers to, by path, the nearest first."""
    waiting, seen, found = [(name, root)], {id(root)}, []
    for path, node in waiting:  # which grows
        if isinstance(node, random.SystemRandom):
            continue  # it has no state
        if isinstance(node, _kinds()):
            found.append((path, node))
            continue
        for step, child in _children(node):
            if id(child) not in seen and len(waiting) < _MOST_OBJECTS:
                seen.add(id(child))
                waiting.append((f"{path}{step}", child))
    return found


def _children(node: Any) -> list[tuple[str, Any]]:
    if isinstance(node, (list, tuple)):
        return [(f"[{index}]", each) for index, each in enumerate(node[:_ITEMS])]
    if isinstance(node, dict):
        return [(f"[{key!r}]", each) for key, each in islice(node.items(), _ITEMS)]
    if isinstance(node, functools.partial):
        return [("", node.func), (".args", node.args), (".keywords", node.keywords)]
    if _is_code(node):
        return [(".__self__", getattr(node, "__self__", None)), *_referred(node)]
    if isinstance(node, (type, ModuleType, torch.Tensor, torch.nn.Module)):
        return []
    held = [(f".{name}", each) for name, each in getattr(node, "__dict__", {}).items()]
    methods = {name: getattr(type(node), name, None) for name in ("__getitem__", "__call__")}
    return [*held, *[(f".{name}", each) for name, each in methods.items() if _is_code(each)]]


def _is_code(node: Any) -> bool:
    return isinstance(node, (FunctionType, MethodType))


def _referred(function: Any) -> list[tuple[str, Any]]:
    """Return what a function refers to from outside: its closure and the globals that it names."""
    around = getclosurevars(function)
    named = {**around.nonlocals, **around.globals}
    return [(f".{name}", each) for name, each in named.items()]


def _kinds() -> tuple[type, ...]:
    numpy: Any = sys.modules.get("numpy")
    theirs = (numpy.random.Generator, numpy.random.RandomState) if numpy else ()
    return (random.Random, torch.Generator, *theirs)


def global_generators() -> dict[str, Any]:
    """Return the generators of python, torch and numpy by the module that draws from them."""
    numpy: Any = sys.modules.get("numpy")
    known: dict[str, Any] = {"random": random, "torch": torch.default_generator}
    return {**known, **({"numpy.random": numpy.random} if numpy else {})}


def state(generator: Any) -> Any:
    """Copy the state of a generator, so that it can be put back."""
    if isinstance(generator, torch.Generator):
        return generator.get_state()
    if hasattr(generator, "getstate"):
        return generator.getstate()
    if hasattr(generator, "get_state"):
        return generator.get_state(legacy=False)
    return generator.bit_generator.state


def put_back(generator: Any, value: Any) -> None:
    """Give a generator a state that it had."""
    if hasattr(generator, "setstate"):
        generator.setstate(value)
    elif hasattr(generator, "set_state"):
        generator.set_state(value)
    else:
        generator.bit_generator.state = value


def advance(generator: Any) -> None:
    """Draw a number, and a normal one, as of these every second one is drawn ahead."""
    if isinstance(generator, torch.Generator):
        torch.rand(1, generator=generator)
        torch.randn(1, generator=generator)
    else:
        generator.random()
        (generator.normal if hasattr(generator, "normal") else generator.gauss)(0.0, 1.0)


def hashed(value: Any) -> bytes:
    """Return a digest of a generator's state."""
    if isinstance(value, torch.Tensor):
        return digest([value])
    return hashlib.blake2b(pickle.dumps(value), digest_size=16).digest()
