"""Several metrics of one change: one error rate for all of them."""

import math
import random

from torchproof.verdict import Samples, compare, compare_all


def samples(source, level=0.0, runs=40, stored=50):
    head = [level + source.gauss(0, 1) for _ in range(runs)]
    return Samples(head=head, base=[source.gauss(0, 1) for _ in range(stored)], better="lower")


def test_twenty_metrics_without_a_change_seldom_alarm():
    source, alone, together = random.Random(1), 0, 0
    for _ in range(40):
        metrics = {str(i): samples(source) for i in range(20)}
        alone += any(
            compare(m.head, m.base, better="lower").verdict == "worse" for m in metrics.values()
        )
        together += any(each.verdict == "worse" for each in compare_all(metrics).values())
    assert alone > 16
    assert together <= 7  # 2 are expected


def test_a_loss_is_found_among_many_metrics():
    source = random.Random(2)
    metrics = {str(i): samples(source) for i in range(19)} | {"loss": samples(source, level=2)}
    found = compare_all(metrics)
    assert [name for name, each in found.items() if each.verdict == "worse"] == ["loss"]


def test_what_is_worse_leaves_its_share_to_the_others():
    source = random.Random(3)
    doubtful = next(m for m in _doubtful(source) if m)
    gone = Samples(head=[30.0, 31.0, 32.0], base=doubtful.base, better="lower")
    assert compare_all({"a": doubtful, "b": doubtful})["a"].verdict == "undecided"
    assert compare_all({"a": doubtful, "b": gone})["a"].verdict == "worse"


def _doubtful(source):
    """Yield samples that are worse at 5 % and not at 2.5 %."""
    while True:
        found = samples(source, level=1, runs=5)
        at_5, at_half = (
            compare(found.head, found.base, better="lower", alpha=alpha).verdict
            for alpha in (0.05, 0.025)
        )
        yield found if (at_5, at_half) == ("worse", "undecided") else None


def test_a_diverged_metric_is_worse_and_takes_no_share():
    source = random.Random(4)
    steady = samples(source)
    diverged = Samples(head=[math.nan], base=steady.base, better="lower")
    found = compare_all({"steady": steady, "diverged": diverged})
    assert found["diverged"].verdict == "worse"
    assert found["steady"] == compare(steady.head, steady.base, better="lower")


def test_no_metric_is_no_comparison():
    assert compare_all({}) == {}
