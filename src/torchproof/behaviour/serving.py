"""One answer of a model, observed from its inputs to what comes back, in whatever process.

Run by path in the serving process, by an interpreter that may be another one: so this file imports
nothing of torchproof, and torch and numpy only where the service did.

    python serving.py module:name weights inputs answer

The service's function gets the path of the weights and returns what answers inputs.
"""

from __future__ import annotations

import ctypes
import hashlib
import importlib
import platform
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Callable


if TYPE_CHECKING:
    from collections.abc import Iterator


def observe(predict: Callable[[Any], Any], inputs: Any) -> dict[str, Any]:
    """Ask for an answer and return it with everything that can be skewed, as plain values.

    ``entered`` and ``left`` are what the outermost module got and gave in its first call, None
    where no module was called; ``weights`` holds a digest of each of its parameters and buffers.
    """
    import torch

    seen: dict[str, Any] = {}
    with _first_call(torch, seen), torch.no_grad():
        answers = predict(inputs)
    module = seen.pop("module", None)
    state = {} if module is None else module.state_dict()
    tensors = [value for value in state.values() if isinstance(value, torch.Tensor)]
    first = next((each for each in tensors if each.is_floating_point()), None)
    return {
        "answers": _kept(torch, answers),
        "entered": seen.get("entered"),
        "left": seen.get("left"),
        "weights": {name: _digest(torch, value) for name, value in state.items()},
        "training": None if module is None else module.training,
        "dtype": "" if first is None else str(first.dtype),
        "device": "" if first is None else first.device.type,
        "versions": versions(),
    }


def versions() -> dict[str, str]:
    """Return the versions that a saved model depends on."""
    found = {"python": platform.python_version()}
    for name in ("torch", "numpy"):
        if name in sys.modules:
            found[name] = str(sys.modules[name].__version__)
    return found


def main(target: str, weights: str, inputs: str, answer: str) -> None:
    """Serve once: load, answer, write down what was seen."""
    sys.path.insert(0, "")
    module, _, name = target.partition(":")
    load = getattr(importlib.import_module(module), name)

    import torch

    given = torch.load(inputs, weights_only=True)
    torch.save(observe(load(weights), given), answer)


@contextmanager
def _first_call(torch: Any, seen: dict[str, Any]) -> Iterator[None]:
    """Note what the first module that is called gets and gives; it is the outermost one."""

    def before(module: Any, given: tuple[Any, ...]) -> None:
        if "module" not in seen:
            tensors = [each for each in given if isinstance(each, torch.Tensor)]
            seen["module"] = module
            seen["entered"] = tensors[0].detach().cpu().clone() if tensors else None

    def after(module: Any, _: Any, made: Any) -> None:
        if module is seen.get("module") and "left" not in seen:
            seen["left"] = made.detach().cpu().clone() if isinstance(made, torch.Tensor) else None

    hooks = torch.nn.modules.module
    handles = [
        hooks.register_module_forward_pre_hook(before),
        hooks.register_module_forward_hook(after),
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _kept(torch: Any, answers: Any) -> Any:
    """Return answers as a tensor on the CPU, or as plain values."""
    if isinstance(answers, torch.Tensor):
        return answers.detach().cpu()
    if hasattr(answers, "tolist"):
        return torch.tensor(answers.tolist()) if answers.dtype.kind in "fiub" else answers.tolist()
    if isinstance(answers, (list, tuple)):
        return [_kept(torch, each) for each in answers]
    return answers


def _digest(torch: Any, value: Any) -> str:
    """Return a digest of a weight's values in float64, so that another dtype alone tells apart."""
    if not isinstance(value, torch.Tensor):
        return repr(value)
    dense = value.detach().cpu().to_dense() if value.layout != torch.strided else value.detach()
    wide = dense.cpu().to(torch.complex128 if dense.is_complex() else torch.float64)
    numbers = torch.view_as_real(wide) if wide.is_complex() else wide
    content = hashlib.sha256(str(tuple(value.shape)).encode())
    flat = numbers.contiguous()
    content.update(ctypes.string_at(flat.data_ptr(), flat.numel() * flat.element_size()))
    return content.hexdigest()[:16]


if __name__ == "__main__":
    # The service's modules are looked for where the service runs, not beside this file.
    sys.path.pop(0)
    main(*sys.argv[1:])
