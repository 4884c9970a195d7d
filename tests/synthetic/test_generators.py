"""The generators: pinned bytes, laws that hold for each, and what each promises about its data."""

from __future__ import annotations

import inspect
import json
import math
import os
import subprocess
import sys
from collections import Counter

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from torchproof import synthetic
from torchproof.errors import UsageError


NAMES = sorted({*synthetic.__all__} - {"Best", "SyntheticDataset"})
LARGE = 40_000

# Bytes of 100 rows from seed 5. A change of them needs a new version of that generator: raise the
# number in its Source, which is in the fingerprint's name, and pin anew.
PINNED = {
    "adding": "1:sha256:cc18ba2a067262ae7c7b57b7474fd7bac2ec1a0fa1cd5f7a09613922be6ba487",
    "classification": "1:sha256:55d0b3f7c212ad6b9fb9d607a3ab2b20f4a4f76b770b83c937c6f6e6bf00ebf3",
    "copy": "1:sha256:4f6ee1e2eb8b54da35a16de55a604f173a9640c91fc6f51e77d0bf1a6a28ea47",
    "graphs": "1:sha256:645f0850eef0f756d31d9bf78546600f06ee162dbaac93d6c18b6b6d7eb10ee2",
    "images": "1:sha256:e8234a27cbdba60df39f975022d994788dca7b8389b611b2307cc253a7c76ea7",
    "imbalanced": "1:sha256:4f3befc9e0fbe111b891ee8135c5062bc82ea66232d6555a2e2f53d80de6a679",
    "markov_text": "1:sha256:498b2644d609cebcf6cb6d9356d966104db842d06025e2787731fe065d23a39d",
    "noisy_labels": "1:sha256:003228a5732d1029fbca95b8a432fa394411d8b5bde24e2117873a17fc0512c7",
    "parity": "1:sha256:9e93c082136c6eb92e8fdfe5eb998751cef403e750d21a2861c64808381dfe45",
    "ranking": "1:sha256:30ee8a3fba414d85f0a78443fc3a0f13839028d4bd62394de2ffe283e912bce8",
    "regression": "1:sha256:041408aa4bfa08190feb3084019e803e1b6ceb8fea5cee9f77744a8f78d16dd2",
    "reverse": "1:sha256:2f2154efa73fbe821a98d768f068cc310e815f3da95e3987eb5ce47fce390256",
}

CODE = f"""
import json, torch
from torchproof import synthetic
print(json.dumps({{name: getattr(synthetic, name)(100, seed=5).fingerprint for name in {NAMES}}}))
"""


def make(name, size=100, seed=5, **options):
    return getattr(synthetic, name)(size, seed=seed, **options)


@pytest.mark.parametrize("name", NAMES)
def test_the_bytes_are_those_of_this_version(name):
    fingerprint = make(name).fingerprint
    assert fingerprint.removeprefix(f"{name}/") == PINNED[name]


@pytest.mark.parametrize(
    "environment",
    [
        {"OMP_NUM_THREADS": "1", "ATEN_CPU_CAPABILITY": "default"},
        {"OMP_NUM_THREADS": "2", "ATEN_CPU_CAPABILITY": "avx2", "PYTHONHASHSEED": "7"},
    ],
    ids=["plain", "avx2"],
)
def test_bytes_are_the_same_in_another_process_with_other_threads_and_instructions(environment):
    argv = [sys.executable, "-c", CODE]
    done = subprocess.run(
        argv, env={**os.environ, **environment}, capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout) == {name: f"{name}/{PINNED[name]}" for name in NAMES}


@pytest.mark.parametrize("name", NAMES)
def test_bytes_are_the_same_whatever_torch_was_set_to(name):
    dtype, threads = torch.get_default_dtype(), torch.get_num_threads()
    torch.set_default_dtype(torch.float64)
    torch.set_num_threads(3 - min(threads, 2))
    try:
        with torch.device("meta"), torch.inference_mode():
            fingerprint = make(name).fingerprint
    finally:
        torch.set_default_dtype(dtype)
        torch.set_num_threads(threads)
    assert fingerprint.removeprefix(f"{name}/") == PINNED[name]


@pytest.mark.parametrize("name", NAMES)
def test_the_global_random_state_is_not_touched(name):
    before = torch.get_rng_state()
    make(name)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=5, deadline=None)
@given(st.integers(0, 2**70), st.integers(1, 30), st.integers(0, 30))
def test_a_larger_data_set_begins_with_the_smaller_one_and_seeds_differ(name, seed, size, more):
    small, large = make(name, size, seed), make(name, size + more, seed)
    assert large[:size].fingerprint == small.fingerprint
    assert make(name, 30, seed + 1).fingerprint != make(name, 30, seed).fingerprint


@pytest.mark.parametrize("name", NAMES)
def test_every_row_has_an_ideal_answer_and_finite_numbers(name):
    data = make(name)
    assert {len(tensor) for tensor in data.tensors.values()} == {len(data.ideal)} == {100}
    assert all(tensor.isfinite().all() for tensor in data.tensors.values())
    assert all(tensor.dtype in (torch.float32, torch.int64) for tensor in data.tensors.values())
    assert data.best.better == ("higher" if data.best.value > data.best.chance else "lower")


@pytest.mark.parametrize("name", NAMES)
def test_a_seed_or_size_that_is_none_is_refused(name):
    for options in ({"size": 0}, {"size": "many"}, {"seed": -1}, {"seed": True}):
        with pytest.raises(UsageError, match=r"(size|seed) is .*Give a"):
            make(name, **options)


@pytest.mark.parametrize(
    ("name", "options", "sentence"),
    [
        ("classification", {"noise": 0.5}, r"noise is 0\.5\. Give .* less than 0\.5"),
        ("classification", {"classes": 9, "features": 3}, "3 features .* 9 classes apart.*least 4"),
        ("imbalanced", {"share": 0}, "share is 0"),
        ("noisy_labels", {"noise": "high"}, "noise is 'high'"),
        ("regression", {"features": 17}, "features is 17. Give a whole number from 1 to 16"),
        ("regression", {"noise": float("nan")}, "noise is nan"),
        ("images", {"side": 3}, "side is 3. Give a whole number from 4"),
        ("markov_text", {"symbols": 4, "branches": 5}, "branches is 5. .* from 1 to 4"),
        ("adding", {"length": 1}, "length is 1"),
        ("graphs", {"nodes": 7}, "nodes is 7. Give an even number"),
    ],
)
def test_a_bad_argument_gets_one_sentence(name, options, sentence):
    with pytest.raises(UsageError, match=sentence):
        make(name, **options)


def test_each_generator_says_what_it_returns():
    for name in NAMES:
        text = inspect.getdoc(getattr(synthetic, name))
        assert "else as `copy`" in text or ("Returns:" in text and "best" in text)


def share(condition):
    return condition.double().mean().item()


def near(value, expected, size=LARGE):
    """Within five standard deviations of a share of ``size`` draws."""
    return abs(value - expected) <= 5 * math.sqrt(max(expected * (1 - expected), 0) / size)


@pytest.mark.parametrize("name", ["classification", "images", "parity", "ranking", "graphs"])
def test_the_ideal_answers_reach_the_best_accuracy(name):
    data = make(name, 4000 if name in ("graphs", "images") else LARGE, noise=0.1)
    assert data.best.value == 0.9
    assert near(share(data.ideal == data.y), 0.9, data.y.numel())


@pytest.mark.parametrize("name", ["classification", "noisy_labels", "images"])
def test_classes_are_balanced(name):
    y = make(name, 4000, classes=5).y
    assert all(near(share(y == label), 1 / 5, 4000) for label in range(5))


@pytest.mark.parametrize("classes", [2, 3, 7])
def test_the_best_rule_on_boxes_is_found_by_counting(classes):
    """The Bayes rule, made from counts alone: the commonest label of each box."""
    data = make("classification", LARGE, classes=classes, noise=0.2)
    corners = (data.x > 0).to(torch.int64)
    _, cell = corners.unique(dim=0, return_inverse=True)
    counts = torch.zeros(int(cell.max()) + 1, classes).index_put_(
        (cell, data.y), torch.ones(LARGE), accumulate=True
    )
    assert len(counts) == classes
    assert near(counts.amax(1).sum().item() / LARGE, 0.8)


def test_a_rare_class_is_rare_and_the_majority_answer_is_accurate_and_useless():
    data = make("imbalanced", LARGE)
    assert near(share(data.y == 1), 0.05)
    right = data.ideal == data.y
    rare, common = share(right[data.y == 1]), share(right[data.y == 0])
    assert near(rare, 0.9, LARGE * 0.05)
    assert near(common, 0.9)
    assert share(data.y == 0) > share(right) + 0.04


def test_noisy_labels_are_wrong_as_often_as_promised_and_one_class_on():
    data = make("noisy_labels", LARGE)
    wrong = data.y != data["clean"]
    assert near(share(wrong), 0.3)
    assert torch.equal(data.y[wrong], (data["clean"][wrong] + 1) % 4)
    assert torch.equal(data.ideal, data["clean"])


def test_the_noise_floor_and_the_spread_are_those_of_the_data():
    data = make("regression", LARGE, noise=0.5)
    mse = (data.y - data.ideal).double().square().mean().item()
    assert data.best.value == 0.25 * (1 - 2**-16)
    assert abs(mse / data.best.value - 1) < 5 * math.sqrt(2 / LARGE)
    assert abs(data.y.double().var().item() / data.best.chance - 1) < 0.03


def test_float32_holds_every_number_of_a_regression_exactly():
    data = make("regression", 2000, features=16, noise=3.99)
    assert torch.equal(data.y.double() * 2**16, (data.y.double() * 2**16).round())
    assert data.y.abs().max() < 2**8


def test_a_pattern_is_planted_once_and_its_shape_tells_the_class():
    data = make("images", 500, classes=6)
    bright = data.x[:, 0] >= 0.5
    assert (bright.sum((1, 2)) == 8).all()
    shapes = {}
    for mask, label in zip(bright, data.y.tolist()):
        rows, columns = mask.nonzero().unbind(1)
        pixels = zip((rows - rows.min()).tolist(), (columns - columns.min()).tolist())
        shapes.setdefault(label, set()).add(frozenset(pixels))
    assert [len(found) for found in shapes.values()] == [1] * 6
    assert len(set().union(*shapes.values())) == 6


def test_copy_and_reverse_ask_for_what_was_said():
    for name, turn in (("copy", lambda row: row), ("reverse", lambda row: row.flip(0))):
        data = make(name, 20, length=5)
        assert (data.x[:, 5:] == 8).all()
        assert (data.y[:, :5] == -100).all()
        for x, y in zip(data.x, data.y):
            assert torch.equal(y[5:], turn(x[:5]))


def test_adding_marks_one_number_in_each_half():
    data = make("adding", 2000, length=9)
    number, mark = data.x.unbind(-1)
    assert (mark[:, :4].sum(1) == 1).all()
    assert (mark[:, 4:].sum(1) == 1).all()
    assert torch.equal((number * mark).sum(1), data.y)
    assert abs(data.y.var().item() / data.best.chance - 1) < 0.1


def test_parity_counts_ones():
    data = make("parity", 200, length=7)
    assert data.y.tolist() == [sum(row) % 2 for row in data.x.tolist()]
    assert near(share(make("parity", LARGE).y == 1), 0.5)


@pytest.mark.parametrize(("symbols", "branches"), [(8, 4), (5, 5), (4, 2), (6, 1)])
def test_the_entropy_of_text_is_that_of_its_followers(symbols, branches):
    data = make("markov_text", 2000, length=50, symbols=symbols, branches=branches)
    pairs = Counter(zip(data.x.flatten().tolist(), data.y.flatten().tolist()))
    before = Counter(data.x.flatten().tolist())
    total = data.x.numel()
    measured = -sum(n / total * math.log2(n / before[a]) for (a, _), n in pairs.items())
    assert len(pairs) == symbols * branches
    assert abs(measured - data.best.value) < 0.01
    assert abs(data.ideal.mean().item() - data.best.value) < 0.01
    assert all(near(count / total, 1 / symbols, total) for count in before.values())
    assert data.best.chance == math.log2(symbols)


def test_preferences_follow_one_worth_for_all_items_and_no_pair_is_equal():
    data = make("ranking", 2000, noise=0.0, features=3)
    difference = (data.x[:, 1] - data.x[:, 0]).double()
    sign = 2.0 * data.y.double() - 1
    found = torch.linalg.lstsq(difference, sign[:, None]).solution[:, 0]
    assert share(((difference @ found) > 0) == (data.y == 1)) > 0.95
    assert (difference != 0).any(1).all()
    assert near(share(data.y == 1), 0.5, 2000)


@pytest.mark.parametrize("nodes", [4, 6, 12])
def test_every_node_has_three_neighbours_and_says_what_most_are(nodes):
    data = make("graphs", 300, nodes=nodes)
    edges, bit = data["edges"], data.x[..., 0]
    assert torch.equal(edges, edges.transpose(1, 2))
    assert (edges.sum(-1) == 3).all()
    assert (edges.diagonal(dim1=1, dim2=2) == 0).all()
    assert torch.equal((edges @ bit[..., None])[..., 0] >= 2, data.y == 1)
    assert near(share(bit == data.y), 0.5, data.y.numel())
