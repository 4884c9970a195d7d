"""The 28 criteria, what in a repository speaks for each, and what would raise it."""

from __future__ import annotations

from dataclasses import dataclass


SECTIONS = ("data", "model", "infrastructure", "monitoring")


@dataclass(frozen=True, kw_only=True)
class Criterion:
    """One of the 28 tests of Breck et al. 2017.

    Attributes:
        id: ``data-1`` … ``monitoring-7``, in the paper's order.
        text: What is to hold.
        evidence: Kinds of `Evidence` any of which speaks for it; empty where no program can tell.
        whole: True where the evidence settles the criterion, False where it settles a part.
        remedy: What would raise it.
    """

    id: str
    text: str
    evidence: tuple[str, ...] = ()
    whole: bool = False
    remedy: str

    @property
    def section(self) -> str:
        """Name of the section it belongs to."""
        return self.id.partition("-")[0]


def _whole(id: str, text: str, *evidence: str, remedy: str) -> Criterion:  # noqa: A002 - its name
    return Criterion(id=id, text=text, evidence=evidence, whole=True, remedy=remedy)


def _part(id: str, text: str, *evidence: str, remedy: str) -> Criterion:  # noqa: A002 - its name
    return Criterion(id=id, text=text, evidence=evidence, remedy=remedy)


def _people(id: str, text: str) -> Criterion:  # noqa: A002 - its name
    return Criterion(
        id=id, text=text, remedy="only people can tell: name the document that says so"
    )


CRITERIA = (
    _part(
        "data-1",
        "what is expected of the data is written down and checked",
        "dataset",
        "shapes",
        remedy='proof.dataset("train", …) with a contract, or [tool.torchproof.shapes]',
    ),
    _part(
        "data-2",
        "each feature helps",
        "inputs-used",
        remedy="proof(build): the rule inputs-used; a nightly ablation says how much",
    ),
    _people("data-3", "no feature costs more than it brings"),
    _people("data-4", "features obey the requirements of the house, such as permitted sources"),
    _people("data-5", "the pipeline protects privacy"),
    _people("data-6", "a new feature can be added quickly"),
    _whole(
        "data-7",
        "the code that makes features is tested",
        "feature-tests",
        remedy="a test that imports the module which loads or transforms the data",
    ),
    _whole(
        "model-1",
        "each model's specification is reviewed and in the repository",
        "architecture",
        remedy='proof.architecture(model, example, name="…"): the lock stands in the review',
    ),
    _people("model-2", "offline metrics move with online ones"),
    _people("model-3", "the hyperparameters were searched"),
    _part(
        "model-4",
        "the effect of an old model is known",
        "checkpoint",
        remedy="a nightly test that evaluates last month's checkpoint: proof.metric(…)",
    ),
    _whole(
        "model-5",
        "a simpler model is not better",
        "simple-model",
        remedy='proof.metric("baseline/accuracy", …) beside the model\'s own',
    ),
    _whole(
        "model-6",
        "quality holds on important slices",
        "slices",
        remedy='proof.behaviour("…", kind="MFT", slices={…})',
    ),
    _part(
        "model-7",
        "the model treats groups alike",
        "slices",
        "invariances",
        remedy='proof.behaviour("…", kind="INV") that exchanges what must not matter',
    ),
    _whole(
        "infrastructure-1",
        "training is reproducible",
        "proofs",
        remedy="proof(build): the rule reproducible, on every push",
    ),
    _whole(
        "infrastructure-2",
        "the model's specification is unit tested",
        "proofs",
        "overfits",
        remedy="proof(build) and proof.overfit(build)",
    ),
    _whole(
        "infrastructure-3",
        "the whole pipeline is integration tested",
        "integration",
        remedy="a test with the marker integration that trains and infers",
    ),
    _whole(
        "infrastructure-4",
        "quality is checked before a model is served",
        "quality",
        remedy='proof.metric("val/…", …, better="higher") in the tier integration',
    ),
    _part(
        "infrastructure-5",
        "a single example's way through the model can be followed",
        "overfits",
        remedy="proof.overfit(build) names the cause step by step",
    ),
    _part(
        "infrastructure-6",
        "a model is tried in the service before it serves",
        "handover",
        remedy="proof.handover(…): save, load in a fresh process, compare",
    ),
    _part(
        "infrastructure-7",
        "a model can be rolled back",
        "checkpoint",
        remedy="a test that loads the previous release's checkpoint",
    ),
    _whole(
        "monitoring-1",
        "a change of a dependency is noticed",
        "pinned",
        remedy="commit a lock file (uv.lock): its changes then stand in the comment as a cause",
    ),
    _part(
        "monitoring-2",
        "invariants of the data hold",
        "dataset",
        remedy='proof.dataset("train", …, splits=…) in the scheduled run',
    ),
    _whole(
        "monitoring-3",
        "training and serving compute the same values",
        "handover",
        "serve",
        "architecture",
        remedy="torchproof.Trainee(serve=…): the rules serving-parity and input-parity",
    ),
    _part(
        "monitoring-4",
        "a model is not too old",
        "nightly",
        remedy="the schedule event in the workflow: quality is measured every night",
    ),
    _whole(
        "monitoring-5",
        "the model is numerically stable",
        "proofs",
        remedy="proof(build): the rule finite-gradients; NaN in a metric fails by itself",
    ),
    _whole(
        "monitoring-6",
        "speed and memory do not get worse unnoticed",
        "resources",
        remedy='proof.metric("latency", …, unit="ms", better="lower")',
    ),
    _people("monitoring-7", "quality holds on the data that is served"),
)
