"""Bugs of the class `serving-parity`."""

import pairs
import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - as everybody writes it
import zoo
from torch import nn

import torchproof


RULE = "serving-parity"


class Net(nn.Module):
    def __init__(self, activation=F.relu, scale=1.0):
        super().__init__()
        self.first, self.norm, self.head = nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Linear(8, 3)
        self.activation, self.scale = activation, scale

    def forward(self, x):
        return self.head(self.activation(self.norm(self.first(self.scale * x))))


def served(serve, model=Net, **options):
    return pairs.learner(
        model(),
        pairs.labelled(4),
        lambda m, b: F.cross_entropy(m(b["x"]), b["y"]),
        serve=serve,
        **options,
    )


def test_another_activation(caught):
    def serve():  # here
        return Net(F.leaky_relu)

    finding, line = caught(RULE, lambda: served(serve))
    assert line.endswith("# here")
    assert finding.evidence["largest difference"] > 0


def test_a_number_that_is_not_in_the_checkpoint(caught):
    caught(RULE, lambda: served(Net, lambda: Net(scale=2.0)))


def test_names_that_do_not_fit(caught):
    finding, _ = caught(RULE, lambda: served(zoo.mlp))
    assert "do not load" in finding.message
    assert "Missing key(s)" in finding.message


def test_sizes_that_do_not_fit(caught):
    def serve():
        model = Net()
        model.head = nn.Linear(8, 4)
        return model

    finding, _ = caught(RULE, lambda: served(serve))
    assert "size mismatch for head.weight" in finding.message


def test_weights_drawn_at_the_start_and_not_saved(caught):
    class Projected(Net):
        def __init__(self):
            super().__init__()
            self.projection = torch.randn(4, 4)

        def forward(self, x):
            return super().forward(x @ self.projection)

    caught(RULE, lambda: served(Projected, Projected))


def the_same_builder():
    return served(Net)


def another_way_to_add():
    """Rounds differently and says the same."""

    class Split(Net):
        def forward(self, x):
            hidden = F.relu(self.norm(self.first(x)))
            return (hidden[:, :3] @ self.head.weight[:, :3].T) + (
                hidden[:, 3:] @ self.head.weight[:, 3:].T + self.head.bias
            )

    return served(Split)


def with_dropout():
    return served(zoo.mlp, zoo.mlp)


def with_a_predict():
    trainee = served(Net)
    model = trainee.model
    trainee.predict = lambda batch: model.eval()(batch["x"]).argmax(1)
    return trainee


def a_student_of_two():
    student, teacher = Net(), zoo.mlp()
    optimizer = torch.optim.Adam(student.parameters())

    def step(batch):
        optimizer.zero_grad()
        loss = F.mse_loss(student(batch["x"]), teacher(batch["x"]).detach())
        loss.backward()
        optimizer.step()
        return loss

    return torchproof.Trainee(
        {"student": student, "teacher": teacher}, pairs.labelled(4), step, target=None, serve=Net
    )


@pytest.mark.parametrize(
    "build", [the_same_builder, another_way_to_add, with_dropout, with_a_predict, a_student_of_two]
)
def test_right_programs_are_silent(build):
    proof = torchproof.prove(build, rules=[RULE])
    assert not proof.findings
    assert not proof.skipped
