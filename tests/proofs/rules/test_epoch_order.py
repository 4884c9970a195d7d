"""Bugs of the class `epoch-order`; the marked line draws the order."""

import pytest
import torch
import zoo
from loaded import PLAIN, ROWS, Stream, trained_from
from torch.utils.data import (
    BatchSampler,
    DataLoader,
    DistributedSampler,
    Sampler,
    SubsetRandomSampler,
    WeightedRandomSampler,
)

import torchproof


RULE = "epoch-order"


class Order(Sampler):
    def __init__(self, source):
        self.source = source

    def __iter__(self):
        return iter(torch.randperm(ROWS, generator=self.source()).tolist())  # here

    def __len__(self):
        return ROWS


def from_one_seed():
    return torch.Generator().manual_seed(0)


def batches_in(order):
    return BatchSampler(order, 4, drop_last=True)


class Loop:
    """A loader of the project's own."""

    def __init__(self, batches):
        self.batches = batches

    def __iter__(self):
        yield from self.batches()  # here


class Epochs:
    """A loader that counts its epochs, and may tell the sampler."""

    def __init__(self, tell):
        self.epoch, self.tell = 0, tell
        self._sampler = DistributedSampler(PLAIN, num_replicas=2, rank=1)

    def __iter__(self):
        if self.tell:
            self._sampler.set_epoch(self.epoch)
        self.epoch += 1
        yield from DataLoader(PLAIN, 2, sampler=self._sampler)  # here


class Shown(Epochs):
    """Others can reach its sampler, and see how many epochs it counts."""

    @property
    def sampler(self):
        return self._sampler


def shuffled(source):
    """Draw the order of a stream from the generator that ``source()`` gives."""

    def share(rows):
        return torch.randperm(len(rows), generator=source()).tolist()  # here

    return Stream(share)


def shuffled_on():
    generator = from_one_seed()
    return shuffled(lambda: generator)


class Told(Stream):
    """The training loop calls ``dataset.set_epoch(epoch)``."""

    def set_epoch(self, epoch):
        self.epoch = epoch


@pytest.mark.parametrize(
    "loader",
    [
        lambda: DataLoader(shuffled(from_one_seed), 4),
        lambda: DataLoader(PLAIN, 4, sampler=Order(from_one_seed)),
        lambda: DataLoader(
            PLAIN, batch_sampler=BatchSampler(Order(from_one_seed), 4, drop_last=True)
        ),
        lambda: Epochs(tell=False),
        lambda: Shown(tell=False),
        lambda: Loop(lambda: DataLoader(PLAIN, 4, shuffle=True, generator=from_one_seed())),
    ],
    ids=[
        *("stream", "sampler", "batch sampler", "set_epoch forgotten", "sampler in reach"),
        "a new loader each time",
    ],
)
def test_every_epoch_in_the_same_order(caught, loader):
    finding, line = caught(RULE, trained_from(loader))
    assert line.endswith("# here")
    assert finding.evidence["epochs"] == 2


def synthetic():
    source = from_one_seed()
    for _ in range(8):
        yield torch.randn(4, 4, generator=source), torch.randint(3, (4,), generator=source)


@pytest.mark.parametrize(
    "loader",
    [
        lambda: DataLoader(PLAIN, 4),
        lambda: DataLoader(Stream(list), 4),
        lambda: DataLoader(shuffled_on(), 4),
        lambda: DataLoader(PLAIN, 4, shuffle=True),
        lambda: DataLoader(PLAIN, 4, shuffle=True, generator=from_one_seed()),
        lambda: DataLoader(PLAIN, 4, shuffle=True, num_workers=1),
        lambda: DataLoader(PLAIN, 4, sampler=SubsetRandomSampler(range(9, 23))),
        lambda: DataLoader(PLAIN, 4, sampler=WeightedRandomSampler([1.0] * ROWS, ROWS)),
        lambda: DataLoader(PLAIN, 4, sampler=list(reversed(range(ROWS)))),
        lambda: Epochs(tell=True),
        lambda: Shown(tell=True),
        lambda: Loop(synthetic),
        lambda: Loop(lambda: DataLoader(PLAIN, 4, shuffle=True, num_workers=1)),
        lambda: [torch.ones(2), torch.zeros(2)] * 3,
    ],
    ids=[
        *(
            "in order",
            "stream in order",
            "stream shuffled",
            "shuffled",
            "from a generator",
            "with a worker",
            "subset",
            "weighted",
        ),
        *("sorted", "set_epoch called", "sampler in reach", "synthetic", "workers inside", "list"),
    ],
)
def test_right_loaders_are_silent(loader):
    proof = torchproof.prove(trained_from(loader), rules=[RULE])
    assert not proof.findings, str(proof)
    assert not proof.skipped


class Reachable:
    """The training loop calls ``loader.sampler.set_epoch(epoch)``."""

    def __init__(self):
        self.sampler = DistributedSampler(PLAIN, num_replicas=2, rank=1)

    def __iter__(self):
        yield from DataLoader(PLAIN, 2, sampler=self.sampler)


class Endless(Order):
    """Begins from one seed, as it is begun only once."""

    def __iter__(self):
        source = self.source()
        while True:
            yield from torch.randperm(ROWS, generator=source).tolist()


@pytest.mark.parametrize(
    ("loader", "why"),
    [
        (lambda: DataLoader(PLAIN, 4, sampler=DistributedSampler(PLAIN, 2, 0)), "set_epoch has to"),
        (Reachable, "set_epoch has to"),
        (lambda: iter([1, 2, 3]), "once only"),
        (lambda: [torch.ones(2)], "too short"),
        (lambda: DataLoader(PLAIN, 4, sampler=Endless(from_one_seed)), "does not end"),
        (lambda: Loop(lambda: Endless(from_one_seed)), "does not end"),
        (lambda: DataLoader(Stream(list), 2, num_workers=1), "is a stream"),
        (lambda: DataLoader(Told(list), 2), "set_epoch has to"),
    ],
)
def test_it_says_why_it_cannot_judge(loader, why):
    assert why in torchproof.prove(trained_from(loader), rules=[RULE]).skipped[RULE]


def test_without_a_loader_there_is_nothing_to_judge():
    skipped = torchproof.prove(zoo.plain_mlp, rules=[RULE]).skipped
    assert "does not say what loads the batches" in skipped[RULE]
