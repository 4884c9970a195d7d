"""A Lightning module is proven as it trains: its steps are those of ``Trainer.fit``, bit by bit."""

from __future__ import annotations

import pytest
import torch

import torchproof
from torchproof.errors import UsageError


lightning = pytest.importorskip("pytorch_lightning")


class Classifier(lightning.LightningModule):
    """As the documentation writes one: logs, validates, and moves its rate after each batch."""

    def __init__(self, dropout=0.1):
        super().__init__()
        self.net = torch.nn.Sequential(
            torch.nn.Linear(4, 16),
            torch.nn.ReLU(),
            torch.nn.Dropout(dropout),
            torch.nn.Linear(16, 3),
        )

    def forward(self, x):
        return self.net(x)

    def training_step(self, batch, batch_idx):
        x, y = batch
        loss = torch.nn.functional.cross_entropy(self(x), y)
        self.log("loss", loss)
        return {"loss": loss}

    def validation_step(self, batch, batch_idx):
        x, y = batch
        return torch.nn.functional.cross_entropy(self(x), y)

    def configure_optimizers(self):
        optimizer = torch.optim.Adam(self.parameters(), 1e-2)
        schedule = torch.optim.lr_scheduler.StepLR(optimizer, 2)
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": schedule, "interval": "step"},
        }


class ByHand(Classifier):
    """Manual optimization: the step does everything."""

    def __init__(self):
        super().__init__()
        self.automatic_optimization = False

    def training_step(self, batch, batch_idx):
        x, y = batch
        optimizer = self.optimizers()
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(self(x), y)
        self.manual_backward(loss)
        optimizer.step()
        return loss


class TwoAtOnce(Classifier):
    def configure_optimizers(self):
        return [torch.optim.SGD(self.parameters(), 0.1), torch.optim.SGD(self.parameters(), 0.1)]


class KeepsDropout(Classifier):
    """The bug: inference goes on in training mode."""

    def predict_step(self, batch, batch_idx):
        return self.train()(batch[0])


class ForgetsZeroGrad(ByHand):
    """The bug: gradients pile up."""

    def training_step(self, batch, batch_idx):
        x, y = batch
        loss = torch.nn.functional.cross_entropy(self(x), y)
        self.manual_backward(loss)
        self.optimizers().step()
        return loss


def batch():
    return torch.randn(8, 4), torch.randint(3, (8,))


@pytest.mark.parametrize("kind", [Classifier, ByHand])
def test_a_right_module_is_proven_and_learns(kind):
    def build():
        return torchproof.from_lightning(kind(), batch())

    proof = torchproof.prove(build)
    assert proof.passed, str(proof)
    assert "evaluation-is-a-no-op" not in proof.skipped


@pytest.mark.parametrize(
    ("kind", "rule"), [(KeepsDropout, "pure-prediction"), (ForgetsZeroGrad, "stale-gradients")]
)
def test_a_bug_in_a_module_is_named(kind, rule):
    proof = torchproof.prove(lambda: torchproof.from_lightning(kind(), batch()))
    assert rule in {finding.rule for finding in proof.findings if finding.severity == "error"}


def test_its_steps_are_those_that_fit_takes(tmp_path):
    steps, clip = 5, 0.05

    def fresh():
        torch.manual_seed(0)
        return Classifier(dropout=0.0), batch()

    real, (x, y) = fresh()
    rows = torch.utils.data.TensorDataset(x.repeat(steps, 1), y.repeat(steps))
    lightning.Trainer(
        default_root_dir=tmp_path,
        accelerator="cpu",
        max_epochs=1,
        gradient_clip_val=clip,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    ).fit(real, torch.utils.data.DataLoader(rows, batch_size=8))

    module, example = fresh()
    trainee = torchproof.from_lightning(module, example, gradient_clip_val=clip)
    for _ in range(steps):
        trainee.step(trainee.batch)

    for name, parameter in real.named_parameters():
        assert torch.equal(module.get_parameter(name), parameter), name


def test_several_optimizers_need_a_step_of_their_own():
    with pytest.raises(UsageError, match="configures 2 optimizers and optimizes automatically"):
        torchproof.from_lightning(TwoAtOnce(), batch())


def test_another_module_is_sent_to_trainee():
    with pytest.raises(UsageError, match="the module is a Linear, not a LightningModule"):
        torchproof.from_lightning(torch.nn.Linear(2, 2), batch())
