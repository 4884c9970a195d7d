"""What a forward pass does, operation by operation and module by module, in full precision.

A `torch_dispatch` mode sees every operation below composites, whatever spelling the code has:
``F.relu``, ``torch.relu``, ``x.relu_()`` and `nn.ReLU` are one. Where the code asks for a lower
precision (``x.float()`` in a norm), the mode gives float64, so that the numbers are those of the
function and not of its rounding.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Callable

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from torchproof.contracts.lookups import lookups


if TYPE_CHECKING:
    from torchproof.contracts.model import Operations

_untyped: Any = TorchDispatchMode

_HIGH = {
    torch.float16: torch.float64,
    torch.bfloat16: torch.float64,
    torch.float32: torch.float64,
    torch.complex64: torch.complex128,
}
# They move numbers about, or label what a profiler sees; what they are given depends on the sizes
# of the input.
_MOVES = (
    "alias", "as_strided", "clone", "contiguous", "copy", "detach", "empty", "empty_like", "expand",
    "lift_fresh", "new_empty", "permute", "record_function_enter_new", "record_function_exit",
    "reshape", "result_type", "select", "slice", "split", "split_with_sizes", "squeeze", "t",
    "to_copy", "transpose", "unbind", "unsafe_view", "unsqueeze", "view",
)  # fmt: skip
_PREFIXES = ("native_", "_")
_ONLY_IN_TRAINING = ("momentum",)
_MOST_LISTED = 8


class Watch(TorchDispatchMode):  # type: ignore[no-untyped-call, unused-ignore]
    """Writes down operations; asks for float64 wherever a lower precision is asked for.

    Attributes:
        random: The operations that draw random numbers, each with its module.
        rows: For each table that was read, by which ids, and its number of rows.
        scores: The largest finite number that a softmax was given.
    """

    def __init__(self, *, promote: bool, training: bool = False) -> None:
        _untyped.__init__(self)
        self._promote = promote
        self._skipped = () if training else _ONLY_IN_TRAINING
        self._path: list[str] = [""]
        self._seen: dict[str, Counter[str]] = {}
        self.random: list[tuple[str, str]] = []
        self.rows: list[tuple[torch.Tensor, int]] = []
        self.scores = 0.0

    def __enter__(self) -> Watch:  # noqa: PYI034 - Self is not in Python 3.9
        """Begin to watch; what the code makes without naming a precision is high as well."""
        self._before = torch.get_default_dtype()
        torch.set_default_dtype(torch.float64 if self._promote else self._before)
        _untyped.__enter__(self)
        return self

    def __exit__(self, *error: object) -> None:
        """Watch no longer."""
        _untyped.__exit__(self, *error)
        torch.set_default_dtype(self._before)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run the operation, perhaps in a higher precision, and note it."""
        kwargs = dict(kwargs or {})
        if self._promote and kwargs.get("dtype") in _HIGH:
            kwargs["dtype"] = _HIGH[kwargs["dtype"]]
        result = func(*args, **kwargs)
        self._note(func, args, kwargs)
        return result

    def follow(self, model: torch.nn.Module) -> Callable[[], None]:
        """Know from now on in which module an operation runs; returns what ends that."""
        handles: list[Any] = []
        for name, module in model.named_modules():
            if not isinstance(module, torch.jit.ScriptModule):
                handles += self._hooks(name, module)

        def leave() -> None:
            for handle in handles:
                handle.remove()

        return leave

    def operations(self) -> Operations:
        """Return what ran, by module: ``leaky_relu negative_slope=0.01``, ``addmm (2 times)``."""
        return {
            path: [
                text if count == 1 else f"{text} ({count} times)"
                for text, count in sorted(found.items())
            ]
            for path, found in sorted(self._seen.items())
        }

    def _hooks(self, name: str, module: torch.nn.Module) -> list[Any]:
        def enter(*_: Any) -> None:
            self._path.append(name)

        def leave(*_: Any) -> None:
            self._path.pop()

        return [
            module.register_forward_pre_hook(enter, prepend=True),
            module.register_forward_hook(leave, always_call=True),
        ]

    def _note(self, func: Any, args: Any, kwargs: Any) -> None:
        name = readable(func.overloadpacket.__name__)
        if torch.Tag.nondeterministic_seeded in func.tags:
            self.random.append((name, self._path[-1]))
        if name == "softmax":
            self.scores = max(self.scores, _largest(args[0]))
        self.rows += [(ids.detach().clone(), int(rows)) for ids, rows in lookups(name, args)]
        if name not in _MOVES:
            settings = _settings(func, args, kwargs, self._skipped)
            text = f"{name} {', '.join(settings)}" if settings else name
            self._seen.setdefault(self._path[-1], Counter())[text] += 1


def readable(name: str) -> str:
    """Return an operation's name without what tells variants apart: ``relu_`` is ``relu``."""
    for prefix in _PREFIXES:
        name = name.removeprefix(prefix)
    return name.rstrip("_")


def _largest(values: torch.Tensor) -> float:
    finite = values[torch.isfinite(values)]
    return float(finite.max()) if finite.numel() else 0.0


def _settings(func: Any, args: Any, kwargs: Any, skipped: tuple[str, ...]) -> list[str]:
    """Return the numbers and switches that an operation was given, with their names."""
    named = {spec.name: value for spec, value in zip(func._schema.arguments, args)}  # noqa: SLF001 - the only way to an argument's name
    return [
        f"{name}={_text(value)}"
        for name, value in {**named, **kwargs}.items()
        if name not in skipped and _is_setting(value)
    ]


def _is_setting(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return 0 < len(value) <= _MOST_LISTED and all(isinstance(v, (int, float)) for v in value)
    return isinstance(value, (int, float, str))


def _text(value: Any) -> str:
    return "×".join(map(str, value)) if isinstance(value, (list, tuple)) else f"{value}"
