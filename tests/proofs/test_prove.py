"""What `prove` promises whatever the rules are."""

import gc
import random
import warnings
import weakref

import numpy as np
import pytest
import torch
import torch._dynamo  # replaces torch.manual_seed when it is first imported
import zoo
from torch import nn
from torch.nn.modules import module as global_hooks
from torch.optim import optimizer as optimizer_hooks

import torchproof
from torchproof.errors import UsageError


def state_of_the_process():
    """Everything that the caller of a proof could notice."""
    cudnn = torch.backends.cudnn
    hooks = [
        dict(global_hooks._global_forward_hooks),
        dict(global_hooks._global_forward_pre_hooks),
        dict(optimizer_hooks._global_optimizer_pre_hooks),
        dict(optimizer_hooks._global_optimizer_post_hooks),
    ]
    return [
        random.getstate(),
        str(np.random.get_state()),  # noqa: NPY002 - the global state is meant
        torch.get_rng_state().tolist(),
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
        (cudnn.enabled, cudnn.benchmark, cudnn.deterministic),
        torch.get_default_dtype(),
        torch.is_grad_enabled(),
        torch.is_anomaly_enabled(),
        list(warnings.filters),
        hooks,
        torch.optim.Optimizer.add_param_group,
        torch.optim.lr_scheduler.LRScheduler.step,
        (torch.amp.GradScaler.scale, torch.amp.GradScaler.unscale_, torch.manual_seed),
        (torch.is_autocast_enabled("cpu"), warnings.showwarning),
        (torch.autocast_increment_nesting(), torch.autocast_decrement_nesting()),
        torch.overrides._get_current_function_mode_stack(),
    ]


def careless(error=None):
    """A program that changes every switch it can reach."""
    random.seed(1)
    np.random.seed(1)  # noqa: NPY002 - the global state is meant
    torch.manual_seed(1)
    torch.use_deterministic_algorithms(True)  # noqa: FBT003 - torch's own signature
    torch.backends.cudnn.benchmark = not torch.backends.cudnn.benchmark
    torch.set_default_dtype(torch.float64)
    torch.autocast("cpu", torch.bfloat16).__enter__()
    torch.autograd.set_detect_anomaly(True)
    warnings.simplefilter("ignore")
    trainee = zoo.classifier(zoo.mlp(), zoo.classes(4))
    inner = trainee.step

    def step(batch):
        loss = inner(batch)
        torch.no_grad().__enter__()
        if error:
            raise error
        torch.set_grad_enabled(True)
        return loss

    trainee.step = step
    return trainee


@pytest.mark.parametrize("build", [zoo.plain_mlp, zoo.transformer_encoder, careless])
def test_a_proof_leaves_no_trace(build):
    before = state_of_the_process()
    torchproof.prove(build)
    torchproof.overfit(build, steps=3)
    assert state_of_the_process() == before


def test_a_proof_that_fails_leaves_no_trace_either():
    before = state_of_the_process()
    with pytest.raises(KeyError, match="the user's own"):
        torchproof.prove(lambda: careless(KeyError("the user's own")))
    assert state_of_the_process() == before


def test_the_batch_and_models_outside_are_not_touched():
    batch, kept = zoo.classes(4), []

    def build():
        trainee = zoo.classifier(zoo.mlp(), batch)
        kept.append(trainee.model)
        inner = trainee.step
        trainee.step = lambda batch: inner({**batch, "x": batch["x"].mul_(0.5)})
        return trainee

    before = batch["x"].clone()
    (finding,) = torchproof.prove(build).findings
    assert finding.rule == "batch-untouched"
    assert torch.equal(batch["x"], before)
    assert all(not model._forward_pre_hooks for model in kept)


def test_trainees_are_let_go():
    models = []

    def build():
        trainee = zoo.plain_mlp()
        models.append(weakref.ref(trainee.model))
        return trainee

    torchproof.prove(build, rules=["stale-gradients"])
    gc.collect()
    assert not any(model() for model in models)


# Most programs have no sequences, padding, labels, predict, serve, loader, replicas or cache.
ABOUT_SOMETHING_SPECIAL = {
    *("causality", "label-positions", "padding-ignored", "serving-parity", "input-parity"),
    *("labels-used", "label-leak", "inputs-used", "sample-pairing"),
    *("class-ids", "rows-predicted", "trained-prediction"),
    *("worker-randomness", "worker-shards", "epoch-order", "replica-parity"),
    *("accumulation-parity", "compile-parity", "cache-parity", "evaluation-mean"),
}


@pytest.mark.parametrize("build", zoo.HEALTHY, ids=lambda build: build.__name__)
def test_right_programs_pass_by_every_rule(build):
    proof = torchproof.prove(build)
    assert proof.passed, str(proof)
    assert len(proof.skipped.keys() - ABOUT_SOMETHING_SPECIAL) <= 4
    assert proof.cost.steps <= 60


def test_the_cost_is_counted():
    cost = torchproof.prove(zoo.plain_mlp).cost
    assert 1 < cost.builds <= 30
    assert 1 < cost.predicts <= 30
    assert 1 < cost.steps <= 40
    assert cost.device == "cpu"
    assert 0 < cost.seconds < 10


def test_the_same_seed_gives_the_same_proof():
    first, second = (torchproof.prove(zoo.model_that_computes_its_loss, seed=7) for _ in range(2))
    assert first == second


def test_a_users_error_comes_as_it_is():
    def build():
        return zoo.classifier(zoo.mlp(inputs=5), zoo.classes(4))

    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        torchproof.prove(build)


def test_a_program_that_is_not_reproducible_is_not_judged_by_its_bits():
    dice = random.Random(0)

    def build():
        trainee = zoo.plain_mlp()
        inner = trainee.step
        trainee.step = lambda batch: inner({**batch, "x": batch["x"] * dice.random()})
        return trainee

    proof = torchproof.prove(build)
    assert [(each.rule, each.severity) for each in proof.findings] == [("reproducible", "warning")]
    assert "is not reproducible from the seed" in proof.skipped["evaluation-is-a-no-op"]


def zero_grad_forgotten(**options):
    model = nn.Linear(4, 3)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)

    def step(batch):
        loss = nn.functional.cross_entropy(model(batch["x"]), batch["y"])
        loss.backward()
        optimizer.step()
        return loss

    return torchproof.Trainee(model, zoo.classes(4), step, **options)


def test_a_waived_finding_is_kept_and_does_not_fail():
    proof = torchproof.prove(lambda: zero_grad_forgotten(waive={"stale-gradients": "momentum"}))
    (finding,) = proof.findings
    assert finding.waived == "momentum"
    assert proof.passed


def test_a_finding_reads_in_one_glance():
    text = str(torchproof.prove(zero_grad_forgotten))
    assert text.startswith("error stale-gradients at ")
    assert text.endswith("failed")


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (
            lambda: torchproof.prove(zoo.plain_mlp, rules=["stale-gradient"]),
            "Is it stale-gradients",
        ),
        (lambda: torchproof.prove(lambda: None), "build returned a NoneType, not a"),
        (lambda: torchproof.prove(lambda: zero_grad_forgotten(waive={"x": "why"})), "not a rule"),
        (lambda: torchproof.prove(zoo.plain_mlp, seed=-1), "not negative"),
    ],
)
def test_a_wrong_call_gets_one_clear_sentence(call, sentence):
    with pytest.raises(torchproof.TorchproofError) as caught:
        call()
    assert sentence in str(caught.value)
    assert caught.value.exit_code == 2


def test_build_has_to_make_a_fresh_trainee():
    once = zoo.plain_mlp()
    with pytest.raises(torchproof.TorchproofError, match="is not fresh"):
        torchproof.prove(lambda: once)


@pytest.mark.parametrize("answer", [None, "done", torch.zeros(3)])
def test_a_step_has_to_return_its_loss(answer):
    def build():
        return torchproof.Trainee(nn.Linear(1, 1), torch.ones(2, 1), lambda batch: answer)

    with pytest.raises(torchproof.TorchproofError, match="not a loss"):
        torchproof.prove(build)


def test_no_rule_begins_once_the_budget_is_spent():
    everything, some = (torchproof.prove(zoo.plain_mlp, budget=budget) for budget in (None, 8))
    late = {rule for rule, why in some.skipped.items() if why == "8 steps are spent"}
    assert late
    assert some.cost.steps < everything.cost.steps
    assert {*some.skipped} == {*everything.skipped} | late


@pytest.mark.parametrize("budget", [0, -1, 2.5, "20"])
def test_a_budget_is_a_number_of_steps(budget):
    with pytest.raises(UsageError, match="budget is"):
        torchproof.prove(zoo.plain_mlp, budget=budget)


def test_what_is_no_function_is_one_sentence():
    with pytest.raises(UsageError, match="build is of the type Trainee, not a function"):
        torchproof.prove(zoo.plain_mlp())


def test_rules_that_are_skipped_for_one_reason_share_a_line():
    proof = torchproof.prove(zoo.plain_mlp, rules=["worker-shards", "epoch-order"])
    skipped, end = str(proof).split("\n")
    assert skipped.startswith("skipped epoch-order, worker-shards: Trainee(loader=...) does not")
    assert end == "passed"
