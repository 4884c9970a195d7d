"""Records as tests of several rooms need them: one function an item, plausible defaults."""

from __future__ import annotations

import math

from torchproof.record import Cost, Curve, Finding, Leak, Metric, Outcome, Record, Source


HEAD = "f3a91c2e" + "0" * 32
TESTED = "0b1d5a77" + "0" * 32
BASE = "8ec45371" + "0" * 32

ENVIRONMENT = {"torch": "2.13.0", "python": "3.11.7", "numpy": "2.4.1"}
CPU = {"device": "cpu", "arch": "x86_64", "cpu": "Intel(R) Xeon(R) Processor"}
GPU = {"device": "cuda", "arch": "x86_64", "gpu": "NVIDIA H100", "driver": "580.1", "cuda": "13.0"}


def outcome(test, outcome="passed", **fields):
    return Outcome(_id(test), outcome, **{"seconds": 0.1, **fields})


def metric(name="val/accuracy", value=0.93, *, test="test_quality", **fields):
    return Metric(_id(test), name, value, **{"better": "higher", **fields})


def finding(rule="batch-independence", *, test="test_training", **fields):
    defaults = {
        "severity": "error",
        "message": "row 3 of the output changes when another row of the batch changes",
        "evidence": {"largest change": 0.417, "rows": [3, 7]},
        "location": "digits/model.py:31",
        "remedy": "Use running statistics or LayerNorm,\nor reduce over dim=1 and not over dim=0.",
    }
    return Finding(_id(test), rule, **{**defaults, **fields})


def leak(what="random state", *, test="test_training"):
    return Leak(_id(test), what, "torch.manual_seed was called and the state not put back")


def curve(values=None, *, test="test_one_batch", converged=True, **fields):
    values = tuple(decay(60) if values is None else values)
    defaults = {"name": "overfit", "steps": len(values), "seed": 0}
    return Curve(_id(test), values=values, converged=converged, **{**defaults, **fields})


def decay(steps, start=2.3, end=0.004):
    """A loss that falls by the same factor at every step."""
    return [start * (end / start) ** (i / max(steps - 1, 1)) for i in range(steps)]


def plateau(steps, start=2.3, level=0.71):
    """A loss that stops falling."""
    return [level + (start - level) * math.exp(-i / 8) for i in range(steps)]


def record(*items, tier="unit", state="complete", commit=HEAD, **fields):
    """A record that holds the items; a test that an item belongs to passed unless it is said."""
    kinds = {Outcome: [], Finding: [], Metric: [], Curve: [], Leak: []}
    for item in items:
        kinds[type(item)].append(item)
    outcomes, findings, metrics, curves, leaks = map(tuple, kinds.values())
    said = {each.test for each in outcomes}
    others = {each.test for each in (*findings, *metrics, *curves, *leaks)} - said
    outcomes += tuple(Outcome(test, "passed") for test in sorted(others))
    failed = any(each.outcome in ("failed", "error", "xpassed", "crashed") for each in outcomes)
    defaults = {
        "started": "2026-11-23T09:00:00Z",
        "exit_code": int(failed),
        "fingerprint": {"environment": ENVIRONMENT, "hardware": CPU},
        "cost": Cost(seconds=42.0),
        "source": Source("octo/digits", commit, commit, "main", "push", "1001"),
    }
    return Record(
        tier=tier,
        state=state,
        outcomes=outcomes,
        findings=findings,
        metrics=metrics,
        curves=curves,
        leaks=leaks,
        **{**defaults, **fields},
    )


def broken_pull_request():
    """A change with one broken rule, one worse metric and a loss that stays up; head and base."""
    steady = [outcome(f"test_{name}") for name in ("shapes", "loader", "masking", "export", "seed")]
    base = [
        record(*steady, outcome("test_training"), outcome("test_old"), commit=BASE),
        record(curve(), tier="overfit", commit=BASE),
        record(
            metric(value=0.957, tolerance=0.02),
            metric("train/loss", 0.182, better="lower"),
            metric("peak memory", 6.1 * 1024**3, unit="bytes", better=None),
            tier="integration",
            commit=BASE,
        ),
    ]
    head = [
        record(
            *steady[:-1],
            outcome("test_seed", "skipped", message="needs two devices"),
            outcome("test_training", "failed", message="1 finding"),
            outcome("test_broadcast_mask"),
            finding(),
            leak("default dtype", test="test_export"),
        ),
        record(
            outcome("test_one_batch", "failed", message="did not learn"),
            curve(plateau(60), converged=False, reason="the loss stayed at 0.71, above 0.05"),
            tier="overfit",
        ),
        record(
            metric(value=0.903, tolerance=0.02),
            metric("train/loss", 0.191, better="lower"),
            metric("peak memory", 7.9 * 1024**3, unit="bytes", better=None),
            tier="integration",
        ),
    ]
    return head, base


def _id(test):
    return test if "::" in test else f"tests/test_digits.py::{test}"
