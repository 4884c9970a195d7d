"""Training that goes on from a checkpoint in the same process: bugs of the class `resume`."""

import copy

import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - as everybody writes it
import zoo

import torchproof


RULE = "resume"


class Job:
    """Trains, and goes on from its own checkpoint before the calls that are named."""

    def __init__(self, *restore, at=(2,), **options):
        self.model, self.options = zoo.mlp(), options
        self.restored, self.at, self.calls = restore, at, 0
        self.make()

    def make(self):
        self.optimizer = torch.optim.Adam(self.model.parameters(), **self.options)
        self.scheduler = torch.optim.lr_scheduler.StepLR(self.optimizer, 1, gamma=0.9)
        self.scaler = torch.amp.GradScaler("cpu", growth_interval=1)

    def resume(self, saved):
        self.make()
        self.model.load_state_dict(saved["model"])  # here
        for name in self.restored:
            getattr(self, name).load_state_dict(saved[name])

    def save(self, *names):
        return copy.deepcopy({name: getattr(self, name).state_dict() for name in names})

    def train(self, batch):
        self.optimizer.zero_grad()
        loss = F.cross_entropy(self.model(batch["x"]), batch["y"])
        self.scaler.scale(loss).backward()
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.scheduler.step()
        return loss

    def step(self, batch):
        if self.calls in self.at:
            self.resume(self.save("model", *ALL))
        self.calls += 1
        return self.train(batch)

    def trainee(self):
        return torchproof.Trainee(self.model, zoo.classes(4), self.step)


ALL = ("optimizer", "scheduler", "scaler")


@pytest.mark.parametrize(
    ("restored", "state"),
    [
        ((), "state of Adam, StepLR, GradScaler"),
        (("scheduler", "scaler"), "state of Adam"),
        (("optimizer", "scaler"), "state of StepLR"),
        (("optimizer", "scheduler"), "state of GradScaler"),
    ],
)
def test_a_step_that_goes_on_without_part_of_its_checkpoint(caught, restored, state):
    finding, line = caught(RULE, lambda: Job(*restored).trainee())
    assert line.endswith("# here")
    assert f"without the {state}:" in finding.message


def resumed_while_built(*restored):
    def build():
        batch, first = zoo.classes(4), Job()
        for _ in range(3):
            first.train(batch)
        job = Job(*restored)
        job.resume(first.save("model", *ALL))
        return torchproof.Trainee(job.model, batch, job.train)

    return build


@pytest.mark.parametrize("restored", [(), ("scheduler",), ("optimizer", "scaler")])
def test_a_trainee_that_is_built_without_part_of_its_checkpoint(caught, restored):
    caught(RULE, resumed_while_built(*restored))


def loaded_from_a_file(*restored):
    """Another process has saved the checkpoint, which nobody has seen."""
    first = Job()
    for _ in range(3):
        first.train(zoo.classes(4))
    saved = first.save("model", *ALL)

    def build():
        job = Job(*restored)
        job.resume(saved)
        return torchproof.Trainee(job.model, zoo.classes(4), job.train)

    return build


def test_an_empty_optimizer_in_the_midst_of_a_loaded_schedule(caught):
    finding, _ = caught(RULE, loaded_from_a_file("scheduler"))
    assert "without the state of Adam" in finding.message


class Anew(Job):
    """Begins anew on purpose: from a checkpoint that holds nothing but the model."""

    def step(self, batch):
        if self.calls in self.at:
            self.resume(self.save("model"))
        self.calls += 1
        return self.train(batch)


class Slower(Job):
    """Begins anew on purpose: with half the learning rate."""

    def resume(self, saved):
        self.options = {"lr": 5e-4}
        super().resume(saved)


class Swapped(Job):
    """Looks at other weights for a moment, and saves all it has every time."""

    def step(self, batch):
        saved = self.save("model", *ALL)
        self.model.load_state_dict({name: each / 2 for name, each in saved["model"].items()})
        self.model(batch["x"])
        self.model.load_state_dict(saved["model"])
        return self.train(batch)


class Restarted(Job):
    """Keeps a snapshot of each cycle, and begins the next with a new optimizer."""

    def step(self, batch):
        if self.calls in self.at:
            self.snapshot = self.save("model", *ALL)
            self.make()
        self.calls += 1
        return self.train(batch)


class RolledBack(Job):
    """Goes back to an earlier step with a new optimizer, as after a loss that is not finite."""

    def step(self, batch):
        if self.calls == 2:
            self.resume(self.kept)
        loss = self.train(batch)
        if self.calls == 0:
            self.kept = self.save("model", *ALL)
        self.calls += 1
        return loss


def with_an_offset():
    """Counts the epochs of the schedule from where it stood."""
    model, made = zoo.mlp(), {}

    def make(start):
        made["optimizer"] = torch.optim.Adam(model.parameters())
        made["scheduler"] = torch.optim.lr_scheduler.LambdaLR(
            made["optimizer"], lambda epoch: 0.9 ** (epoch + start)
        )

    def step(batch):
        if made["calls"] == 2:
            saved = copy.deepcopy([model.state_dict(), made["optimizer"].state_dict()])
            made["scheduler"].state_dict()
            make(start=2)
            model.load_state_dict(saved[0])
            made["optimizer"].load_state_dict(saved[1])
        made["calls"] += 1
        made["optimizer"].zero_grad()
        loss = F.cross_entropy(model(batch["x"]), batch["y"])
        loss.backward()
        made["optimizer"].step()
        made["scheduler"].step()
        return loss

    make(start=0)
    made["calls"] = 0
    return torchproof.Trainee(model, zoo.classes(4), step)


def fine_tuned():
    """Takes the weights of a whole checkpoint to another task, which another loop trains."""
    batch, first = zoo.classes(4), Job()
    for _ in range(3):
        first.train(batch)
    saved = first.save("model", *ALL)
    model = zoo.mlp()
    model.load_state_dict(saved["model"])
    return zoo.classifier(model, batch, torch.optim.Adam(model.parameters()))


@pytest.mark.parametrize(
    "build",
    [
        lambda: Job(*ALL).trainee(),
        lambda: Job(*ALL, at=(1, 2)).trainee(),
        resumed_while_built(*ALL),
        loaded_from_a_file(*ALL),
        loaded_from_a_file(),
        lambda: Anew().trainee(),
        lambda: Slower().trainee(),
        lambda: Swapped().trainee(),
        lambda: Restarted().trainee(),
        lambda: RolledBack().trainee(),
        with_an_offset,
        fine_tuned,
    ],
)
def test_a_checkpoint_that_is_restored_whole_or_left_on_purpose_is_silent(build):
    assert not torchproof.prove(build, rules=[RULE]).findings


class WithPlateau(Job):
    """Trains with another optimizer and another scheduler, whose state begins with them."""

    def make(self):
        super().make()
        self.optimizer = torch.optim.Adagrad(self.model.parameters())
        self.scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(self.optimizer)

    def train(self, batch):
        self.optimizer.zero_grad()
        loss = F.cross_entropy(self.model(batch["x"]), batch["y"])
        loss.backward()
        self.optimizer.step()
        self.scheduler.step(loss.item())
        return loss


@pytest.mark.parametrize(
    ("restored", "state"),
    [(("scheduler",), "state of Adagrad"), (("optimizer",), "state of ReduceLROnPlateau")],
)
def test_a_state_that_is_there_before_the_first_step(caught, restored, state):
    finding, _ = caught(RULE, lambda: WithPlateau(*restored).trainee())
    assert f"without the {state}:" in finding.message


def test_such_a_state_that_is_restored_is_silent():
    proof = torchproof.prove(lambda: WithPlateau(*ALL).trainee(), rules=[RULE])
    assert not proof.findings
