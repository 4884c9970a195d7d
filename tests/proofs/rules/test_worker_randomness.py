"""Bugs of the class `worker-randomness`: each worker and each epoch with the same numbers."""

import random

import numpy as np
import pytest
import torch
import zoo
from loaded import Augmented, Stream, trained_from
from torch.utils.data import DataLoader, Subset, get_worker_info

import torchproof


RULE = "worker-randomness"
SHARED = np.random.default_rng(0)


def loading(dataset, **options):
    options = {"batch_size": 4, "shuffle": True, "num_workers": 2, **options}
    return trained_from(lambda: DataLoader(dataset(), **options))


def noise_of_numpy(dataset, _):
    return float(dataset.source.normal())


def held_generators():
    def draw_from_torch(dataset, _):
        return torch.rand(1, generator=dataset.source)

    return {
        "numpy": (noise_of_numpy, np.random.default_rng(0)),
        "old numpy": (noise_of_numpy, np.random.RandomState(0)),
        "python": (lambda dataset, _: dataset.source.random(), random.Random(0)),
        "torch": (draw_from_torch, torch.Generator()),
        "inside": (lambda dataset, _: dataset.source[0]["a"].random(), [{"a": random.Random(0)}]),
    }


@pytest.mark.parametrize("kind", held_generators())
def test_a_generator_that_the_data_set_holds(caught, kind):
    def dataset():
        draw, source = held_generators()[kind]
        return Augmented(draw, source=source)

    finding, line = caught(RULE, loading(dataset))
    assert "def __getitem__" in line
    assert finding.evidence["generators"].startswith("dataset.source")


def test_a_generator_of_the_module():
    def noise(*_):
        return float(SHARED.normal())

    (finding,) = torchproof.prove(loading(lambda: Augmented(noise)), rules=[RULE]).findings
    assert "SHARED" in finding.message


def test_workers_that_are_seeded_alike(caught):
    def noise(*_):
        return float(np.random.normal())  # noqa: NPY002 - the global state is meant

    def seed(_):
        np.random.seed(0)  # noqa: NPY002 - the global state is meant

    build = loading(lambda: Augmented(noise), worker_init_fn=seed)
    finding, _ = caught(RULE, build)
    assert finding.evidence["generators"] == "numpy.random"


def test_a_subset_and_a_collate_function_are_looked_through(caught):
    dataset = Augmented(noise_of_numpy, source=np.random.default_rng(0))
    finding, line = caught(RULE, loading(lambda: Subset(dataset, range(9))))
    assert "def __getitem__" in line
    assert finding.evidence["generators"] == "dataset.dataset.source"
    source = random.Random(0)

    def collate(samples):
        batch = torch.utils.data.default_collate(samples)
        return {**batch, "x": batch["x"] * source.random()}

    plain = loading(lambda: Augmented(lambda *_: 0.0), collate_fn=collate)
    finding, _ = caught(RULE, plain)
    assert "collate_fn.source" in finding.evidence["generators"]


def number_of_the_worker(worker):
    get_worker_info().dataset.source = np.random.default_rng(worker)


@pytest.mark.parametrize("options", [{"worker_init_fn": number_of_the_worker}, {"num_workers": 1}])
def test_epochs_with_the_same_numbers_are_a_warning(options):
    def dataset():
        return Augmented(noise_of_numpy, source=np.random.default_rng(0))

    (finding,) = torchproof.prove(loading(dataset, **options), rules=[RULE]).findings
    assert finding.severity == "warning"
    assert finding.message.startswith("Every epoch")


def seeded_by_index(dataset, index):
    dataset.source = np.random.default_rng(index)
    return noise_of_numpy(dataset, index)


def seeded_in_the_worker(dataset, index):
    if dataset.source is None:
        dataset.source = np.random.default_rng(torch.initial_seed())
    return noise_of_numpy(dataset, index)


def drawn_and_thrown_away(dataset, index):
    noise_of_numpy(dataset, index)
    return torch.rand(1)


RIGHT = {
    "no randomness": (lambda *_: 0.0, {}),
    "torch": (lambda *_: torch.rand(1), {}),
    "python": (lambda *_: random.random(), {}),
    "global numpy": (lambda *_: float(np.random.normal()), {}),  # noqa: NPY002
    "by index": (seeded_by_index, {"source": None}),
    "in the worker": (seeded_in_the_worker, {"source": None}),
    "held and not used": (lambda *_: 0.0, {"source": np.random.default_rng(0)}),
    "drawn and thrown away": (drawn_and_thrown_away, {"source": np.random.default_rng(0)}),
}


@pytest.mark.parametrize("kind", RIGHT)
def test_right_data_sets_are_silent(kind):
    draw, held = RIGHT[kind]
    proof = torchproof.prove(loading(lambda: Augmented(draw, **held)), rules=[RULE])
    assert not proof.findings, str(proof)
    assert not proof.skipped


def test_a_worker_that_lives_on_draws_on():
    def dataset():
        return Augmented(noise_of_numpy, source=np.random.default_rng(0))

    build = loading(dataset, num_workers=1, persistent_workers=True)
    assert not torchproof.prove(build, rules=[RULE]).findings


def test_what_is_made_new_by_set_epoch_is_silent():
    class Epochs(Augmented):
        def set_epoch(self, epoch):
            self.source = np.random.default_rng(epoch)

    build = loading(lambda: Epochs(noise_of_numpy, source=None), num_workers=1)
    assert not torchproof.prove(build, rules=[RULE]).findings


def failing(*_):
    raise KeyError("no such file")


@pytest.mark.parametrize(
    ("build", "why"),
    [
        (zoo.plain_mlp, "does not say what loads the batches"),
        (trained_from(lambda: [1, 2]), "is a list, not a torch DataLoader"),
        (loading(lambda: Augmented(seeded_by_index), num_workers=0), "starts no workers"),
        (
            loading(lambda: Augmented(failing)),
            "the workers do not answer (KeyError: KeyError: 'no such file')",
        ),
        (
            loading(lambda: Augmented(seeded_by_index), multiprocessing_context="spawn"),
            "does not fork",
        ),
        (trained_from(lambda: DataLoader(Stream(list), 2, num_workers=2)), "is a stream"),
    ],
)
def test_it_says_why_it_cannot_judge(build, why):
    assert why in torchproof.prove(build, rules=[RULE]).skipped[RULE]
