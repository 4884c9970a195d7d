"""A stack of layers must not be one layer several times by accident."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from torchproof.proofs.finding import Finding
from torchproof.proofs.rule import rule


if TYPE_CHECKING:
    from collections.abc import Iterator

    from torchproof.proofs.bench import Bench

ID = "repeated-module"


@rule(
    ID,
    summary="the entries of a ModuleList or Sequential are modules of their own",
    source="nn.ModuleList([block] * 6), a frequent question on discuss.pytorch.org",
    needs=(),
    severity="warning",
)
def repeated_module(bench: Bench) -> Iterator[Finding]:
    """``ModuleList([block] * 6)`` holds one block six times: all six share their weights.

    Decided by identity: a container of torch (``ModuleList``, ``Sequential``, ``ModuleDict``) holds
    a module with parameters more than once. A warning only, as some architectures share layers on
    purpose (ALBERT, recurrent depth).

    Assumes nothing. Skipped never.
    """
    for key, model in bench.trainee.models.items():
        for path, module in model.named_modules(prefix=key):
            if not isinstance(
                module, (torch.nn.ModuleList, torch.nn.Sequential, torch.nn.ModuleDict)
            ):
                continue
            held = [each for each in module._modules.values() if each is not None]  # noqa: SLF001 - children() leaves repetitions out
            several = [each for each in held if any(True for _ in each.parameters())]
            different = {id(each) for each in several}
            if len(different) < len(several):
                yield Finding(
                    ID,
                    "warning",
                    f"{path or 'the model'} holds {len(several)} entries, but only "
                    f"{len(different)} different modules: the others share their weights.",
                    evidence={"entries": len(several), "different modules": len(different)},
                    location=None,
                    remedy="nn.ModuleList([Block() for _ in range(n)])  # instead of [block] * n",
                )
