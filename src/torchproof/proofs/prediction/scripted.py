"""What the graph of a traced or scripted module has fixed: dropout in every mode, one branch.

A trace keeps the operations that ran for one example, whatever the code would do for another:
https://docs.pytorch.org/docs/stable/generated/torch.jit.trace.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Optional

import torch
from torch.nn.modules.module import register_module_forward_hook

from torchproof.proofs.prediction.promoted import SHRINKS
from torchproof.proofs.process.drawings import Drawing
from torchproof.proofs.process.isolation import untouched
from torchproof.proofs.process.seeds import fix_seed
from torchproof.proofs.rule import Skip
from torchproof.proofs.step.inference import Arguments, call_in_eval
from torchproof.proofs.tensors.bits import distance
from torchproof.proofs.tensors.trees import clone, main_output


if TYPE_CHECKING:
    from torchproof.proofs.bench import Bench
    from torchproof.proofs.prediction.answers import Answer
    from torchproof.proofs.trainee import Trainee

# Where an operation takes the share that it drops, and whether it trains; None: always.
_DROPPING = {
    "aten::dropout": (1, 2),
    "aten::dropout_": (1, 2),
    "aten::native_dropout": (1, 2),
    "aten::feature_dropout": (1, 2),
    "aten::alpha_dropout": (1, 2),
    "aten::feature_alpha_dropout": (1, 2),
    "aten::scaled_dot_product_attention": (4, None),
    "aten::lstm": (5, 6),
    "aten::gru": (4, 5),
}


class Parted(NamedTuple):
    """Code, and how far what stands for it when it runs is from it: scripted or compiled.

    ``size`` is that of the largest number that the code returns, ``eps`` its relative rounding.
    """

    code: Any
    gap: float
    size: float
    eps: float

    @property
    def is_beyond_rounding(self) -> bool:
        """Tell whether 2**14 roundings of the largest number would not lead so far."""
        return self.gap * SHRINKS > self.eps * self.size


def parted_from_its_code(bench: Bench) -> list[Parted]:
    """Return what ``predict`` calls of scripted modules whose model of the same weights is known.

    The model is called at once with the same arguments, in evaluation mode.

    Raises:
        Skip: The model cannot be called so.
    """
    found: list[Parted] = []
    with bench.trial() as trial, untouched(), fix_seed(bench.seed):

        def leave(module: torch.nn.Module, given: Any, output: Any) -> None:
            model = _written_as(trial.trainee, module)
            if model is not None:
                found.append(_parted(model, given, output))

        handle = register_module_forward_hook(leave)
        try:
            trial.predict()
        finally:
            handle.remove()
    return found


def _written_as(trainee: Trainee, module: torch.nn.Module) -> Optional[torch.nn.Module]:
    """Return the model that a scripted module was made of: of one class and the same memory."""
    if not isinstance(module, torch.jit.ScriptModule):
        return None
    own, kind = _memory(module), getattr(module, "original_name", None)
    for model in trainee.models.values():
        plain = not isinstance(model, torch.jit.ScriptModule)
        if own and plain and type(model).__name__ == kind and _memory(model) == own:
            return model
    return None


def _memory(module: torch.nn.Module) -> dict[str, int]:
    return {name: each.data_ptr() for name, each in module.named_parameters()}


def _parted(model: torch.nn.Module, given: Any, output: Any) -> Parted:
    kept = main_output(clone(output))
    plain = main_output(call_in_eval(model, Arguments(given, {})))
    if kept is None or plain is None or not plain.is_floating_point():
        raise Skip("the traced model returns no numbers with a fraction")
    size = float(plain.detach().abs().max())
    return Parted(model, distance(kept, plain), size, torch.finfo(plain.dtype).eps)


def fixed_dropouts(found: list[Answer]) -> list[Drawing]:
    """Return the operations of scripted modules that drop values in every mode.

    Args:
        found: The modules that were called; if one was called more often, nothing is returned.
    """
    called = [id(each.module) for each in found]
    if len(set(called)) != len(called):
        return []
    modules = (module for each in found for module in each.module.modules())
    graphs: list[Any] = [
        module.inlined_graph for module in modules if isinstance(module, torch.jit.ScriptModule)
    ]
    return [
        Drawing(kind.removeprefix("aten::"), None, moved=True)
        for graph in graphs
        for kind, places in _DROPPING.items()
        for node in graph.findAllNodes(kind)
        if _drops(list(node.inputs()), *places)
    ]


def _drops(inputs: list[Any], share: int, train: int | None) -> bool:
    positive = bool(inputs[share].toIValue() or 0.0)
    return positive and (train is None or inputs[train].toIValue() is True)
