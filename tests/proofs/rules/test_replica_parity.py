"""Bugs of the class `replica-parity`; the marked line is where replicas part."""

import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - as everybody writes it
import zoo
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel

import torchproof
from torchproof import Trainee


RULE = "replica-parity"


@pytest.fixture(autouse=True)
def group():
    """One process that is a group of its own."""
    store = distributed.HashStore()
    distributed.init_process_group("gloo", store=store, rank=0, world_size=1)
    yield
    distributed.destroy_process_group()


def norm_net():
    return nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Dropout(0.2), nn.Linear(8, 3))


def trained(forward, *, wrap=True, between=lambda model: None, batch=None, model=None):
    """Train with something between the backward pass and the update."""

    def build():
        net = model() if model else norm_net()
        replica = DistributedDataParallel(net) if wrap else net
        optimizer = torch.optim.AdamW(net.parameters(), 1e-2)

        def step(batch):
            optimizer.zero_grad()
            loss = F.cross_entropy(forward(replica, batch["x"]), batch["y"])
            loss.backward()
            between(replica)
            optimizer.step()  # here
            return loss

        return Trainee(net, zoo.classes(4) if batch is None else batch(), step)

    return build


def average(model):
    for parameter in model.parameters():
        distributed.all_reduce(parameter.grad)
        parameter.grad /= distributed.get_world_size()


def test_a_call_past_the_wrapper(caught):
    finding, line = caught(RULE, trained(lambda replica, x: replica.module(x)))
    assert line.endswith("# here")
    assert finding.evidence["parameters in agreement"] == 0
    assert "DistributedDataParallel did not average" in finding.message


def test_a_backward_pass_under_no_sync(caught):
    def forward(replica, x):
        with replica.no_sync():
            return replica(x)

    caught(RULE, trained(forward))


def test_a_parameter_changed_by_a_number_of_its_own_process(caught):
    def decay(replica):
        rate = replica.module[0].bias.grad.abs().sum() * 0 + replica.rows_seen
        replica.module[0].weight.data.mul_(1 - 1e-3 * rate)

    def forward(replica, x):
        replica.rows_seen = x.abs().mean().detach()
        return replica(x)

    finding, _ = caught(RULE, trained(forward, between=decay))
    assert "0.weight" in finding.message
    assert finding.evidence["parameters apart"] == 1


def test_gradients_averaged_for_a_part_of_the_model(caught):
    def forward(model, x):
        return model(x)

    finding, _ = caught(RULE, trained(forward, wrap=False, between=lambda model: average(model[0])))
    assert finding.evidence["parameters in agreement"] == 2
    assert "3.weight" in finding.message


def average_copies(model):
    for parameter in model.parameters():
        distributed.all_reduce(parameter.grad.clone())


def test_copies_of_the_gradients_are_averaged(caught):
    build = trained(lambda model, x: model(x), wrap=False, between=average_copies)
    finding, _ = caught(RULE, build)
    assert "their gradients are exchanged, and the update does not use" in finding.message


def test_gradients_are_averaged_after_the_update(caught):
    def build():
        model = norm_net()
        optimizer = torch.optim.SGD(model.parameters(), 0.1)

        def step(batch):
            optimizer.zero_grad()
            loss = F.cross_entropy(model(batch["x"]), batch["y"])
            loss.backward()
            optimizer.step()
            average(model)
            return loss

        return Trainee(model, zoo.classes(4), step)

    finding, _ = caught(RULE, build)
    assert "their gradients are exchanged" in finding.message


def test_processes_that_only_share_a_metric_are_a_warning():
    def report(_):
        distributed.all_reduce(torch.ones(1))

    build = trained(lambda model, x: model(x), wrap=False, between=report)
    (finding,) = torchproof.prove(build, rules=[RULE]).findings
    assert finding.severity == "warning"


def accumulating():
    model = nn.Linear(4, 3)
    replica = DistributedDataParallel(model)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    calls = []

    def step(batch):
        calls.append(None)
        loss = F.cross_entropy(replica(batch["x"]), batch["y"]) / 2
        if len(calls) % 2:
            with replica.no_sync():
                F.cross_entropy(replica(batch["x"]), batch["y"]).backward()
            return loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        return loss

    return Trainee(model, zoo.classes(4), step)


def parameters_averaged_behind_the_update():
    model = norm_net()
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)

    def step(batch):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(batch["x"]), batch["y"])
        loss.backward()
        optimizer.step()
        for parameter in model.parameters():
            distributed.all_reduce(parameter.data)
        return loss

    return Trainee(model, zoo.classes(4), step)


def experts_that_stay_at_home():
    """Each process has experts of its own; tokens travel, gradients of experts do not."""
    gate, expert = nn.Linear(4, 4), nn.Linear(4, 3)
    model = nn.ModuleList([gate, expert])
    optimizer = torch.optim.SGD(model.parameters(), 0.1)

    class Travel(torch.autograd.Function):
        @staticmethod
        def forward(ctx, rows):
            arrived = [torch.empty_like(rows)]
            distributed.all_gather(arrived, rows)
            return arrived[0]

        @staticmethod
        def backward(ctx, gradient):
            gradient = gradient.clone()
            distributed.all_reduce(gradient)
            return gradient

    def step(batch):
        optimizer.zero_grad()
        loss = F.cross_entropy(expert(Travel.apply(gate(batch["x"]))), batch["y"])
        loss.backward()
        average(gate)
        optimizer.step()
        return loss

    return Trainee(model, zoo.classes(4), step, predict=lambda batch: expert(gate(batch["x"])))


@pytest.mark.parametrize(
    "build",
    [
        trained(lambda replica, x: replica(x)),
        trained(lambda model, x: model(x), wrap=False, between=average),
        trained(
            lambda replica, x: replica(x),
            between=lambda replica: nn.utils.clip_grad_norm_(replica.parameters(), 0.01),
        ),
        accumulating,
        parameters_averaged_behind_the_update,
        experts_that_stay_at_home,
    ],
    ids=["wrapped", "by hand", "clipped", "accumulated", "parameters averaged", "experts"],
)
def test_right_programs_are_silent(build):
    proof = torchproof.prove(build, rules=[RULE])
    assert not proof.skipped
    assert not proof.findings, str(proof)
    assert torchproof.prove(build).passed


def rows_all_alike():
    return {"x": torch.ones(6, 4), "y": torch.zeros(6, dtype=torch.int64)}


@pytest.mark.parametrize(
    ("build", "why"),
    [
        (zoo.plain_mlp, "exchanges nothing with other processes"),
        (trained(lambda replica, x: replica(x), batch=rows_all_alike), "rows of the batch are"),
    ],
)
def test_it_says_why_it_cannot_judge(build, why):
    assert why in torchproof.prove(build, rules=[RULE]).skipped[RULE]


def test_what_is_exchanged_may_depend_on_the_rows():
    def forward(model, x):
        distributed.all_reduce(torch.ones(1 + int((x > x[0]).sum())))
        return model(x)

    build = trained(forward, wrap=False, between=average)
    assert "depends on its rows" in torchproof.prove(build, rules=[RULE]).skipped[RULE]


def test_without_a_process_group_there_is_nothing_to_judge():
    distributed.destroy_process_group()
    try:
        proof = torchproof.prove(zoo.plain_mlp, rules=[RULE])
    finally:
        store = distributed.HashStore()
        distributed.init_process_group("gloo", store=store, rank=0, world_size=1)
    assert proof.skipped[RULE] == "there is no process group of torch.distributed"
