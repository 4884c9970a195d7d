"""Bugs of the class `switches-restored`; the marked line is where it shows."""

import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - as everybody writes it
import zoo

import torchproof
from torchproof import Trainee
from torchproof.proofs.process.switches import set_autocast


RULE = "switches-restored"


def gradients_off():
    torch.set_grad_enabled(False)


def double():
    torch.set_default_dtype(torch.float64)


def autocast():
    torch.autocast("cpu", dtype=torch.bfloat16).__enter__()


def deterministic():
    torch.use_deterministic_algorithms(mode=True, warn_only=True)


def program(switch):
    def build():
        model = zoo.mlp()
        optimizer = torch.optim.SGD(model.parameters(), 0.1)

        def step(batch):  # here
            with torch.enable_grad():
                optimizer.zero_grad()
                loss = F.cross_entropy(model(batch["x"]), batch["y"])
                loss.backward()
                optimizer.step()
            switch()
            return loss

        return Trainee(model, zoo.classes(4), step)

    return build


@pytest.mark.parametrize(
    ("switch", "name"),
    [(gradients_off, "gradients"), (double, "default dtype"), (autocast, "autocast")],
)
def test_a_switch_left_in_another_position(caught, switch, name):
    try:
        finding, line = caught(RULE, program(switch))
    finally:
        set_autocast((False, False), 0)
    assert line.endswith("# here")
    assert finding.evidence["switch"] == name


def test_deterministic_algorithms_are_an_info():
    (finding,) = torchproof.prove(program(deterministic), rules=[RULE]).findings
    assert finding.severity == "info"


def test_a_switch_put_back_is_silent():
    def switch():
        with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
            pass

    assert not torchproof.prove(program(switch), rules=[RULE]).findings
