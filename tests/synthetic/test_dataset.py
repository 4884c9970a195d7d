"""What a generator returns, as a test author uses it."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from torch.utils.data import DataLoader, Dataset

import torchproof
from torchproof.synthetic.dataset import Best, octets


@pytest.fixture
def data():
    return torchproof.synthetic.classification(64, seed=3)


def test_it_is_a_batch(data):
    batch = {**data}
    assert list(batch) == ["x", "y"]
    assert data["x"] is data.x is batch["x"]
    assert data["y"] is data.y


def test_it_is_a_dataset_for_a_loader(data):
    assert isinstance(data, Dataset)
    assert len(data) == 64
    batches = list(DataLoader(data, batch_size=16))
    assert torch.equal(torch.cat([batch["x"] for batch in batches]), data.x)
    assert data[5]["y"] == data.y[5]
    assert len(list(data)) == 64


def test_a_part_is_a_dataset_with_the_same_best(data):
    training, validation = data.split(48)
    assert (len(training), len(validation)) == (48, 16)
    assert torch.equal(validation.ideal, data.ideal[48:])
    assert validation.best == data.best
    assert training.fingerprint != data.fingerprint
    assert torch.equal(data[torch.tensor([2, 7])].y, data.y[[2, 7]])


def test_a_trainee_takes_it_as_its_batch(data):
    def build():
        model = torch.nn.Linear(8, 2)
        optimizer = torch.optim.SGD(model.parameters(), 0.1)

        def step(batch):
            optimizer.zero_grad()
            loss = torch.nn.functional.cross_entropy(model(batch["x"]), batch["y"])
            loss.backward()
            optimizer.step()
            return loss

        return torchproof.Trainee(model=model, batch={**data}, step=step)

    assert torchproof.prove(build, rules=["missing-update", "labels-used"]).passed


def test_the_fingerprint_names_generator_and_version_and_sees_a_changed_value(data):
    before = data.fingerprint
    assert before.startswith("classification/1:sha256:")
    data.x[0, 0] += 1
    assert data.fingerprint != before


def test_its_text_says_what_is_in_it(data):
    assert repr(data) == (
        "<classification/1 seed 3: x (64, 8) float32, y (64,) int64;"
        " best accuracy 0.9 (closed form)>"
    )


def test_it_cannot_be_changed_by_assignment(data):
    with pytest.raises(AttributeError):
        data.best = None


def test_bytes_come_lowest_first_on_a_machine_of_either_kind():
    tensor = torch.tensor([1, 258], dtype=torch.int16)
    assert octets(tensor, byteorder="little") == b"\x01\x00\x02\x01"
    assert octets(tensor, byteorder="big") == b"\x00\x01\x01\x02"
    assert octets(torch.empty(0)) == b""


@pytest.mark.parametrize(
    ("better", "best", "chance", "near", "far"),
    [("higher", 0.9, 0.5, 0.895, 0.89), ("lower", 0.0, 0.2, 0.004, 0.005)],
)
def test_within_two_percent_means_of_the_way_from_chance_to_the_best(
    better, best, chance, near, far
):
    best = Best("metric", best, chance, better)
    assert best.gap(best.value) == 0
    assert best.gap(best.chance) == 1
    assert best.reached(near)
    assert not best.reached(far)
    assert best.reached(far, within=0.05)
    assert not best.reached(float("nan"))


def test_the_name_is_there_without_importing_torch():
    code = (
        "import sys, torchproof; assert 'synthetic' in dir(torchproof); "
        "assert 'torch' not in sys.modules; print(torchproof.synthetic.parity(1).name)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "parity\n"
