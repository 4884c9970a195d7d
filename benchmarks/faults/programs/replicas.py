"""Bugs of data-parallel training: replicas that no longer hold the same parameters."""

from __future__ import annotations

from contextlib import nullcontext

import torch
from benchmarks.faults.case import case
from benchmarks.faults.parts import Batch, mlp, points
from torch import Tensor, distributed, nn
from torch.nn import functional
from torch.nn.parallel import DistributedDataParallel

from torchproof import Trainee


def _join() -> None:
    """Make this process a group of one."""
    if not distributed.is_initialized():
        store = distributed.HashStore()
        distributed.init_process_group("gloo", store=store, rank=0, world_size=1)


@case(75, "MLP", "replica-parity")
def wrapper_bypassed(*, right: bool) -> Trainee:
    """The wrapped module is called past the wrapper, which then averages nothing."""
    _join()
    model = mlp()
    replica = DistributedDataParallel(model)
    optimizer = torch.optim.SGD(replica.parameters(), lr=0.1)

    def step(batch: Batch) -> Tensor:
        optimizer.zero_grad()
        forward = replica.module  # wrong
        if right:
            forward = replica  # right
        loss = functional.cross_entropy(forward(batch["x"]), batch["y"])
        loss.backward()
        optimizer.step()
        return loss

    return Trainee(model, points(), step)


@case(75, "CNN", "replica-parity")
def never_synchronised(*, right: bool) -> Trainee:
    """The last micro-batch, too, goes backward under ``no_sync``."""
    _join()
    model = nn.Sequential(nn.Conv1d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(16, 3))
    replica = DistributedDataParallel(model)
    optimizer = torch.optim.Adam(replica.parameters(), lr=1e-2)

    def step(batch: Batch) -> Tensor:
        optimizer.zero_grad()
        total = torch.zeros(())
        parts = list(zip(batch["x"].chunk(2), batch["y"].chunk(2), strict=True))
        for index, (x, y) in enumerate(parts):
            last = index == len(parts)  # wrong
            if right:
                last = index == len(parts) - 1  # right
            with nullcontext() if last else replica.no_sync():
                loss = functional.cross_entropy(replica(x[:, None]), y) / len(parts)
                loss.backward()
            total += loss.detach()
        optimizer.step()
        return total

    return Trainee(model, points(), step)


@case(75, "MLP", "replica-parity")
def head_not_averaged(*, right: bool) -> Trainee:
    """Gradients are averaged by hand, those of the new head are forgotten."""
    _join()
    body, head = nn.Sequential(nn.Linear(6, 16), nn.Tanh()), nn.Linear(16, 3)
    model = nn.Sequential(body, head)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    def step(batch: Batch) -> Tensor:
        optimizer.zero_grad()
        loss = functional.cross_entropy(model(batch["x"]), batch["y"])
        loss.backward()
        shared = body  # wrong
        if right:
            shared = model  # right
        for parameter in shared.parameters():
            distributed.all_reduce(parameter.grad)
            parameter.grad /= distributed.get_world_size()
        optimizer.step()
        return loss

    return Trainee(model, points(), step)
