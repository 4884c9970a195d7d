"""Bugs of the class `worker-shards`: a stream that every worker brings whole."""

from itertools import islice

import pytest
import torch
from loaded import PLAIN, Stream, trained_from
from torch.utils.data import DataLoader, get_worker_info

import torchproof


RULE = "worker-shards"


def streaming(share, rows=24, **options):
    options = {"batch_size": 2, "num_workers": 2, **options}
    return trained_from(lambda: DataLoader(Stream(share, rows), **options))


def its_own(rows):
    info = get_worker_info()
    return islice(rows, info.id, None, info.num_workers)


def test_a_stream_that_does_not_ask_whose_it_is(caught):
    finding, line = caught(RULE, streaming(list, num_workers=3))
    assert "def __iter__" in line
    assert "comes 3 times in an epoch" in finding.message


@pytest.mark.parametrize("options", [{}, {"batch_size": None}])
def test_a_stream_that_is_shared_out_is_silent(options):
    proof = torchproof.prove(streaming(its_own, **options), rules=[RULE])
    assert not proof.findings
    assert not proof.skipped


def test_a_stream_of_random_samples_is_silent():
    def drawn(rows):
        return torch.randint(100, (len(rows),)).tolist()

    assert not torchproof.prove(streaming(drawn), rules=[RULE]).findings


@pytest.mark.parametrize(
    ("build", "why"),
    [
        (streaming(list, num_workers=1), "one worker"),
        (streaming(list, rows=4), "too few batches"),
        (streaming(lambda rows: [1] * len(rows)), "too few batches"),
        (trained_from(lambda: DataLoader(PLAIN, 2, num_workers=2)), "has indices"),
    ],
)
def test_it_says_why_it_cannot_judge(build, why):
    assert why in torchproof.prove(build, rules=[RULE]).skipped[RULE]
