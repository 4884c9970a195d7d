"""The architecture of a model: all that another service must agree on to use its weights.

Which weights there are, what the function answers when they are filled from their names, what only
training does, and which operations run. The answers decide; the operations explain, and are
comparable only within one release of torch.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import torch

from torchproof.contracts import inputs, weights
from torchproof.contracts.copies import copied
from torchproof.contracts.lock import Architecture
from torchproof.contracts.model import Operations, Probe
from torchproof.contracts.probe import Subject, probe
from torchproof.contracts.watch import Watch
from torchproof.errors import UsageError
from torchproof.proofs.process.isolation import untouched
from torchproof.proofs.step.inference import Arguments
from torchproof.proofs.tensors.trees import map_tensors


if TYPE_CHECKING:
    from collections.abc import Mapping

LARGEST = 200_000_000  # weights of a model that is still probed, which takes 8 bytes each


def architecture(
    model: torch.nn.Module, example: Any = None, *, schema_only: bool = False
) -> Architecture:
    """Take the architecture of a model; the model and all global state stay as they are.

    Args:
        model: The model. Its weights do not matter: two seeds, or before and after training, have
            one architecture.
        example: What the model is called with: a tensor, a tuple of positional arguments or a dict
            of keyword arguments. Only its form matters, but for integers that are not token ids and
            for masks, which belong to the architecture as they are.
        schema_only: Take the weights' names and shapes alone, and probe nothing. So it is also for
            a model on the meta device and for one of more than 200 million weights.

    Raises:
        UsageError: The model cannot be compared; the sentence says what it has that cannot.
    """
    model = weights.unwrapped(model)
    entries = weights.entries(model)
    why_not = _why_not(model, example, schema_only=schema_only)
    nothing: Operations = {}
    found, operations, training = Probe(why_not=why_not), nothing, nothing
    if not why_not:
        with untouched():
            found, operations, training = _probed(model, example)
    return Architecture(
        model=type(model).__name__,
        torch=str(torch.__version__).partition("+")[0],
        entries=entries,
        tied=weights.tied(model),
        probe=found,
        training=training,
        operations=operations,
    )


def _why_not(model: torch.nn.Module, example: Any, *, schema_only: bool) -> str:
    if weights.on_meta(model):
        return "the model is on the meta device"
    if schema_only:
        return "only the schema was asked for"
    count = sum(one.numel() for one in model.parameters())
    if count > LARGEST:
        return f"the model has {count:,} weights, more than {LARGEST:,}"
    if example is None:
        what = "an architecture is taken with an example of the model's input"
        raise UsageError(what, "Pass example=, or schema_only=True for names and shapes alone.")
    return ""


def _probed(model: torch.nn.Module, example: Any) -> tuple[Probe, Operations, Operations]:
    warnings.simplefilter("ignore")  # the user has seen them, or will, where they belong
    torch.set_default_dtype(torch.float32)
    if hasattr(torch.backends, "mha"):
        fast = torch.backends.mha.get_fastpath_enabled()
        torch.backends.mha.set_fastpath_enabled(value=False)  # one fused operation explains nothing
    try:
        call = Arguments(*map_tensors(tuple(inputs.arguments(model, example)), _on_cpu))
        ours = _copied_to_cpu(model)
        return probe(Subject(ours, call, _rows(ours, call)))
    finally:
        if hasattr(torch.backends, "mha"):
            torch.backends.mha.set_fastpath_enabled(value=fast)


def _rows(model: torch.nn.Module, call: Arguments) -> Mapping[str, int]:
    """Find which inputs are token ids: those that an embedding is called with."""
    watch = Watch(promote=False)
    args, kwargs = map_tensors(tuple(call), torch.Tensor.clone)
    try:
        with torch.no_grad(), watch:
            copied(model).eval()(*args, **kwargs)
    except Exception:  # noqa: BLE001 - the probe will meet it again and say so
        return {}
    found: dict[str, int] = {}
    for name, tensor in inputs.named(call).items():
        if tensor.dtype in (torch.int32, torch.int64):
            same = [rows for ids, rows in watch.rows if _same(ids, tensor)]
            found.update({name: min(same)} if same else {})
    return found


def _same(ids: torch.Tensor, tensor: torch.Tensor) -> bool:
    return ids.numel() == tensor.numel() and torch.equal(
        ids.flatten().to(tensor.dtype), tensor.flatten()
    )


def _copied_to_cpu(model: torch.nn.Module) -> torch.nn.Module:
    """Copy a model to the CPU; tensors that a graph made, as weight norm leaves them, are cut."""
    memo: dict[int, Any] = {}
    for part in model.modules():
        for value in vars(part).values():
            if isinstance(value, torch.Tensor) and not value.is_leaf:
                memo[id(value)] = value.detach().clone()
    try:
        return copied(model, memo).cpu()
    except Exception as error:
        what = f"the model cannot be copied ({type(error).__name__}: {error})"
        raise UsageError(f"{what:.600}", "Pass one that is freshly built.") from error


def _on_cpu(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.detach().cpu()
